from __future__ import annotations

from pathlib import Path

import pytest

from xrbench import cards
from xrbench.errors import CardError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_card_takes_its_name_from_the_file(tmp_path: Path) -> None:
    card = cards.read(write(tmp_path, "mine.toml", 'title = "Mine"'), cards.SuiteCard)
    assert card.name == "mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('titel = "x"', ["mine.toml", "`titel`", "did you mean 'title'?"]),
        (
            'title = "x"\n[protocol]\nsettings = [{ train = ["a"], test = "b", sede = 1 }]',
            ["`sede`", "settings[0]", "'seed'"],
        ),
        ('title = "x"\n[profiles.quick]\nepochs = "3"', ["mine.toml", "`int`", "`str`", "epochs"]),
        ('title = "x"\n[profiles.quick]\nepochs = 0', ["profiles.quick", "epochs", "above 0", "got 0"]),
        ('title = "x"\n[interval]\nlevel = 95', ["interval.level", "0 < level < 1", "95"]),
        ('title = "x"\nlabels = ["Edema", "Edema"]', ["labels", "twice"]),
        ('title = "x"\nname = "other"', ["name is its file's name"]),
        ('title = "x', ["mine.toml", "not TOML"]),
        ("labels = []", ["`title`"]),
    ],
)
def test_a_wrong_card_is_one_line_that_names_file_and_field(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(CardError) as caught:
        cards.read(write(tmp_path, "mine.toml", text), cards.SuiteCard)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


SUITE = 'title = "x"\n'
TWO_PROFILES = SUITE + "[profiles.good]\nepochs = 3\n[profiles.bad]\n"
JUDGEMENT = SUITE + "[analyses]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWO_PROFILES + "image_size = 0", "profiles.bad.image_size: expected a number above 0, got 0"),
        (TWO_PROFILES + "epochs = -1", "profiles.bad.epochs: expected a number above 0, got -1"),
        (TWO_PROFILES + "batch_size = 0", "profiles.bad.batch_size: expected a number above 0, got 0"),
        (TWO_PROFILES + "steps_per_epoch = -2", "profiles.bad.steps_per_epoch: expected 0 or more, got -2"),
        (TWO_PROFILES + "threads = -1", "profiles.bad.threads: expected 0 or more, got -1"),
        (
            TWO_PROFILES + "split = { test_fraction = 1.0 }",
            "profiles.bad.split.test_fraction: expected 0 <= test_fraction < 1, got 1.0",
        ),
        (
            SUITE + '[protocol]\nconfigurations = [{ name = "a", train = ["b"], split = { valid_fraction = -0.1 } }]',
            "protocol.configurations[0].split.valid_fraction: expected 0 <= valid_fraction < 1, got -0.1",
        ),
        (SUITE + "[interval]\nlevel = 1.0", "interval.level: expected 0 < level < 1, got 1.0"),
        (SUITE + "[interval]\nreplicates = 0", "interval.replicates: expected a number above 0, got 0"),
        (
            SUITE + '[[comparisons]]\nchallenger = "a"\nbaseline = "b"\nmargin = -0.01',
            "comparisons[0].margin: expected 0 or more, got -0.01",
        ),
        (
            SUITE + '[[comparisons]]\nchallenger = "a"\nbaseline = "b"\nquestion = "equivalence"',
            "comparisons[0].margin: the question 'equivalence' wants a margin above 0",
        ),
        (JUDGEMENT + "prevalences = [0.5, 1.0]", "analyses.prevalences[1]: expected 0 < value < 1, got 1.0"),
        (
            JUDGEMENT + "decision_thresholds = [-0.1]",
            "analyses.decision_thresholds[0]: expected 0 <= value < 1, got -0.1",
        ),
        (
            JUDGEMENT + 'subgroups = [{ column = "sex", minimum = 0 }]',
            "analyses.subgroups[0].minimum: expected 1 or more, got 0",
        ),
        (
            JUDGEMENT + 'subgroups = [{ column = "sex" }, { column = "age", bands = [60, 40] }]',
            "analyses.subgroups[1].bands: expected rising whole numbers above 0, where bands begin; got 60, 40",
        ),
        (
            JUDGEMENT + 'operating = ["sensitivity=0.9", "sensitivity=2"]',
            "analyses.operating[1]: expected sensitivity=SHARE or specificity=SHARE with 0 < SHARE <= 1",
        ),
        (
            JUDGEMENT + 'policies = [{ name = "own policy" }]',
            "analyses.policies[0].name: 'own policy' is what the suite's own policy is called",
        ),
        (JUDGEMENT + 'policies = [{ name = "a" }, { name = "a" }]', "analyses.policies[0].name: 'a' stands twice"),
    ],
)
def test_an_impossible_value_comes_with_its_field_its_range_and_what_came(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write(tmp_path, "mine.toml", text)
    with pytest.raises(CardError) as caught:
        cards.read(path, cards.SuiteCard)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("accumulate = 0", "accumulate: expected a number above 0, got 0"),
        ("l2_in_loss = -1.0", "l2_in_loss: expected 0 or more, got -1.0"),
        ("patience = -1", "patience: expected 0 or more, got -1"),
        ("epochs = -1", "epochs: expected 0 or more, got -1"),
    ],
)
def test_impossible_values_of_methods(tmp_path: Path, field: str, message: str) -> None:
    path = write(tmp_path, "mine.toml", f'title = "x"\n{field}')
    with pytest.raises(CardError) as caught:
        cards.read(path, cards.MethodCard)
    assert str(caught.value) == f"{path}: {message}"


def test_mean_and_standard_deviation_have_a_value_a_channel(tmp_path: Path) -> None:
    path = write(tmp_path, "m.toml", 'title = "x"\nnetwork = "timm"\nmean = [0.5, 0.5]\nstd = [0.5]')
    with pytest.raises(CardError, match="'mean' and 'std' have 2 and 1 values"):
        cards.read(path, cards.ModelCard)


def test_file_name_must_be_a_usable_name(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="lower-case"):
        cards.read(write(tmp_path, "My Suite.toml", 'title = "x"'), cards.SuiteCard)


def test_missing_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"absent\.toml: cannot be read"):
        cards.read(tmp_path / "absent.toml", cards.SuiteCard)


def test_dataset_is_read_or_sliced_never_both(tmp_path: Path) -> None:
    for text in ('title = "x"', 'title = "x"\nreader = "nih"\nbase = "nih"'):
        with pytest.raises(CardError, match="either a field 'reader' or"):
            cards.read(write(tmp_path, "d.toml", text), cards.DatasetCard)


def test_cards_are_frozen(tmp_path: Path) -> None:
    card = cards.read(write(tmp_path, "m.toml", 'title = "x"'), cards.MethodCard)
    with pytest.raises(AttributeError):
        card.title = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[judgement]\n", "field 'judgement' is now called 'analyses'"),
        ('[[tables]]\nname = "t"\nkind = "regimes"', "tables[0].kind: 'regimes' is now called 'multiclass'"),
        (
            '[[figures]]\nname = "t"\nkind = "borderline"',
            "figures[0].kind: 'borderline' is now called 'discordant-errors'",
        ),
        (
            'metrics = ["auc", "alarms-per-1000@sensitivity=0.9"]',
            "metrics: metric 'alarms-per-1000@sensitivity=0.9' is now called 'positive-calls-per-1000@sensitivity=0.9'",
        ),
    ],
)
def test_a_card_with_a_name_of_before_is_told_the_present_one(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'title = "x"\n{text}')
    with pytest.raises(CardError) as caught:
        cards.read(path, cards.SuiteCard)
    assert str(caught.value) == f"{path}: {message}"


def test_a_slice_has_the_colour_of_its_base(tmp_path: Path) -> None:
    skin = cards.read(write(tmp_path, "skin.toml", 'title = "x"\nreader = "table"\nchannels = 3'), cards.DatasetCard)
    assert skin.channels == 3
    with pytest.raises(
        CardError, match=r"of-it\.toml: channels: a slice has the colour of its base; set it on dataset 'skin'"
    ):
        cards.read(write(tmp_path, "of-it.toml", 'title = "x"\nbase = "skin"\nchannels = 3'), cards.DatasetCard)
    with pytest.raises(CardError, match="channels"):
        cards.read(write(tmp_path, "two.toml", 'title = "x"\nreader = "table"\nchannels = 2'), cards.DatasetCard)

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

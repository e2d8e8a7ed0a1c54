"""A word, option, setting or card that is wrong: one line on standard error, exit code 3, nothing done."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xrbench import cli

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

Said = Callable[[], str]


def only_line(said: str) -> str:
    """Return the one line that was said; a traceback or a second line fails."""
    lines = said.strip("\n").split("\n")
    assert len(lines) == 1, said
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["runn"], "No such command 'runn'"),
        (["list", "suite"], "unknown kind of thing 'suite'; did you mean 'suites'?"),
        (["show", "suites", "x"], "unknown kind of card 'suites'; did you mean 'suite'?"),
        (["show", "suite"], "which suite? `xrbench list suites` names them"),
        (["show", "suite", "ood-cx"], "unknown suite 'ood-cx'; did you mean 'ood-cxr'?"),
        (["show", "dataset", "chexprt"], "unknown dataset 'chexprt'; did you mean 'chexpert'?"),
        (["show", "method", "balanced"], "unknown method 'balanced'; did you mean 'balanced-batching'?"),
        (["show", "model", "resnet18"], "unknown model 'resnet18'; did you mean 'resnet18-scratch'?"),
        (["show", "paper", "balanced-batchin"], "unknown paper 'balanced-batchin'; did you mean 'balanced-batching'?"),
        (["plan"], "Missing option '--suite'"),
        (["plan", "--suite", "ood-cxr", "--onyl", "x"], "No such option '--onyl'"),
        (["plan", "--suite", "ood-cxr", "--seed", "x"], "'x' is not a valid integer"),
        (["run", "--suite", "ood-cxr", "--jobs", "0"], "Invalid value for '--jobs': 0 is not in the range x>=1"),
        (["list", "--catalogue", "nowhere"], "catalogue nowhere: no such folder"),
        (["data", "describe", "nhi"], "unknown dataset 'nhi'; did you mean 'nih'?"),
        (["data", "check"], "nothing to check: give --data-root DIR"),
        (["report", "nowhere"], "nowhere: no such folder"),
        (["score", "nowhere.csv"], "nowhere.csv: no such file"),
        (["compare", "nowhere"], "nowhere: no such file or folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word(
    words: list[str], expected: str, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.invoke(words) == 3
    assert expected in only_line(said())
    assert not list(tmp_path.iterdir())


WRONG_OPTIONS = [
    (["--suite", "tinny"], "unknown suite 'tinny'; did you mean 'tiny'?"),
    (["--profile", "quik"], "suite tiny: unknown profile 'quik'; did you mean 'quick'?"),
    (["--only", "methd=plain"], "--only methd=plain: unknown field 'methd'; did you mean 'method'?"),
    (["--only", "method=plan"], "--only: unknown method 'plan'; did you mean 'plain'?"),
    (["--only", "model=tiny-nett"], "--only: unknown model 'tiny-nett'; did you mean 'tiny-net'?"),
    (["--only", "test=noth"], "nothing of suite tiny matches: no test 'noth'; did you mean 'north'?"),
    (["--only", "seed"], "--only seed: expected field=value, such as method=balanced-batching"),
    (["--data-root", "nowhere"], "data root nowhere: no such folder"),
    (["--data-root", __file__], "is a file; a folder is expected"),
    (["--data-root", "eat=nowhere"], "data root of 'eat': unknown dataset; did you mean 'east'?"),
    (["--data-root", "east=nowhere"], "data root of east: nowhere: no such folder"),
    (["--data-root", f"east={__file__}"], "not a folder"),
    (["--out", __file__], "is a file; results need a folder"),
    (["--catalogue", str(Path(__file__).parent)], "has none of registry/, baselines/, leaderboards/"),
]


@pytest.mark.parametrize(
    ("verb", "more", "expected"),
    [
        (verb, more, expected)
        for verb in ("plan", "run", "data prepare")
        for more, expected in WRONG_OPTIONS
        if verb != "data prepare" or more[0] != "--only"
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_a_wrong_option(verb: str, more: list[str], expected: str, first_lab: Lab, said: Said) -> None:
    assert first_lab.invoke(*verb.split(), *first_lab.options(*more)) == 3
    assert expected in only_line(said())


def test_a_missing_dataset_is_exit_1_with_where_to_ask_for_it(said: Said, tmp_path: Path) -> None:
    assert cli.invoke(["plan", "--suite", "ood-cxr", "--data-root", str(tmp_path)]) == 1
    lines = said().splitlines()
    assert re.search(r"missing: nih .*expected in .*/nih; .*https://.*then `xrbench data check nih`", lines[0])
    assert lines[-1] == "nothing of suite ood-cxr can run without them"


def test_a_file_for_out_is_refused_before_a_fixture_is_drawn(first_lab: Lab, tmp_path: Path, said: Said) -> None:
    (tmp_path / "file").write_text("mine")
    words = ["run", "--suite", "ood-tiny", "--catalogue", str(first_lab.catalogue), "--out", str(tmp_path / "file")]
    assert first_lab.invoke(*words) == 3
    assert only_line(said()).endswith("file: is a file; results need a folder")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.train
@pytest.mark.parametrize(("name", "expected"), [("cdua", "expected cpu, cuda"), ("cuda:9", "PyTorch sees")])
def test_an_unknown_device_is_refused_even_if_nothing_is_left_to_do(
    name: str, expected: str, done: Lab, said: Said
) -> None:
    assert done.run("--device", name) == 3
    assert f"--device {name}: {expected}" in only_line(said())


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("JOBS", "0", "XRBENCH_JOBS: expected a whole number of 1 or more, got '0'"),
        ("JOBS", "two", "XRBENCH_JOBS: expected a whole number of 1 or more, got 'two'"),
        ("DATA_ROOT", "nowhere", "data root nowhere: no such folder"),
        ("PATH", "nowhere", "catalogue nowhere: no such folder"),
        ("OUT", __file__, "is a file; results need a folder"),
    ],
)
def test_a_wrong_variable(
    variable: str, value: str, expected: str, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"XRBENCH_{variable}", value)
    assert cli.invoke(["plan", "--suite", "ood-cxr"]) == 3
    assert expected in only_line(said())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jobs = 0", "xrbench.toml: jobs: expected 1 or more, got 0"),
        ('jobs = "two"', "xrbench.toml: Expected `int | null`, got `str` - at `$.jobs`"),
        ("jobz = 2", "xrbench.toml: Object contains unknown field `jobz`; did you mean 'jobs'?"),
        ("out =", "xrbench.toml: not TOML: "),
        ('catalogues = "lab"', "xrbench.toml: Expected `array`, got `str` - at `$.catalogues`"),
        ('data = { nhi = "x" }', "data root of 'nhi': unknown dataset; did you mean 'nih'?"),
        ('data-root = "nowhere"', "data root nowhere: no such folder"),
    ],
)
def test_a_damaged_settings_file(
    text: str, expected: str, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xrbench.toml").write_text(text)
    assert cli.invoke(["plan", "--suite", "ood-cxr"]) == 3
    assert expected in only_line(said())


def test_settings_say_what_holds_and_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xrbench.toml").write_text('out = "results"\njobs = 3\ncatalogues = ["lab"]\ndata = { nih = "/x" }\n')
    monkeypatch.setenv("XRBENCH_JOBS", "5")
    assert cli.invoke(["show", "settings", "--json"]) == 0
    found = {row["setting"]: (row["value"], row["from"]) for row in json.loads(capsys.readouterr().out)}
    file = str(tmp_path / "xrbench.toml")
    assert found["out"] == ("results", file)
    assert found["jobs"] == (5, "variable XRBENCH_JOBS")
    assert found["device"] == ("auto", "default")
    assert (found["catalogue"], found["data.nih"]) == (("lab", file), ("/x", file))


@pytest.mark.parametrize(
    ("card", "old", "new", "expected"),
    [
        ("suites/tiny", "labels = ", "lables = ", "tiny.toml: Object contains unknown field `lables`"),
        ("suites/tiny", '["Effusion", "Edema"]', '"Edema"', "tiny.toml: Expected `array`, got `str` - at `$.labels`"),
        ("suites/tiny", '"Edema"]', '"Edoema"]', "labels: unknown pathology 'Edoema'; did you mean 'Edema'?"),
        ("suites/tiny", '["Effusion", "Edema"]', "[]", "tiny.toml: labels: at least one is expected"),
        ("suites/tiny", '["tiny-net"]', "[]", "suite tiny, profile quick: models: at least one is expected"),
        ("suites/tiny", '["plain", "fancy"]', '["plain", "plain"]', "tiny.toml: methods: 'plain' stands twice"),
        ("suites/tiny", "auc", "acu", "tiny.toml: metrics: unknown metric 'acu'; did you mean 'auc'?"),
        ("suites/tiny", "=0.9", "=1.9", "specificity 1.9 is outside 0..1"),
        ("suites/tiny", "epochs = 1", 'epochs = "one"', "Expected `int`, got `str` - at `$.profiles[...].epochs`"),
        (
            "suites/tiny",
            "epochs = 1",
            "epochs = 0",
            "tiny.toml: profiles.quick.epochs: expected a number above 0, got 0",
        ),
        (
            "suites/tiny",
            "epochs = 1",
            "epocs = 1",
            "unknown field `epocs` - at `$.profiles[...]`; did you mean 'epochs'?",
        ),
        (
            "suites/tiny",
            '"east", "west", "north"]',
            '"east"]',
            "protocol.train_size: expected 1 to 0 of 1 datasets, got 2",
        ),
        (
            "suites/tiny",
            'datasets = ["east", "west", "north"]',
            'settings = [{ train = ["east"], test = "east" }]',
            "tiny.toml: protocol.settings[0]: 'east' stands twice",
        ),
        ("suites/tiny", '"fancy"\nbas', '"fncy"\nbas', "comparisons: unknown method 'fncy'; did you mean 'fancy'?"),
        ("suites/tiny", 'title = "Tiny"', "title = ", "tiny.toml: not TOML: Invalid value (at line 2"),
        ("methods/plain", 'title = "Plain"', "title = 3", "plain.toml: Expected `str`, got `int` - at `$.title`"),
        ("methods/plain", "title", "titel", "plain.toml: Object contains unknown field `titel`; did you mean 'title'?"),
        ("models/tiny-net", '"timm"', '"timmm"', "tiny-net.toml: unknown network 'timmm'; did you mean 'timm'?"),
        ("datasets/east", 'reader = "table"', 'base = "eest"', "east.toml: base: unknown dataset 'eest'"),
        ("datasets/east", 'reader = "table"', 'base = "east"', "east.toml: base: a circle: east -> east"),
        ("datasets/east", '"table"', '"table"\noptions = { csvv = "x" }', "has no option 'csvv'; did you mean 'csv'?"),
    ],
)
def test_a_wrong_card_names_file_and_field(card: str, old: str, new: str, expected: str, lab: Lab, said: Said) -> None:
    path = lab.catalogue / "registry" / f"{card}.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    (lab.out / "cache").mkdir(parents=True)
    assert lab.plan() == 3
    assert expected in only_line(said())


@pytest.mark.train
@pytest.mark.parametrize(
    ("card", "line", "expected"),
    [
        (
            "methods/plain",
            'optimiser = { block = "adam", lrr = 1 }',
            "optimiser 'adam' has no option 'lrr'; did you mean 'lr'?",
        ),
        ("methods/plain", 'optimiser = { block = "adam", lr = "x" }', "method plain: optimiser 'adam': "),
        ("methods/plain", 'schedule = { block = "step", every = 0 }', "method plain: schedule 'step': "),
        ("methods/plain", 'augmentation = [{ block = "affine", degrees = "x" }]', "method plain: augmentation: "),
        ("methods/plain", 'objective = "lab.typo:x"', "lab.typo cannot be imported: SyntaxError: "),
        (
            "methods/plain",
            'objective = "lab.blocks:nvr"',
            "plain.toml: objective 'lab.blocks:nvr': lab.blocks has no 'nvr'; did you mean 'never'?",
        ),
        ("methods/plain", 'objective = "nowhere.blocks:x"', "no module 'nowhere'"),
        (
            "models/tiny-net",
            'weights = "/nowhere/weights.pt"',
            "model tiny-net: weights: /nowhere/weights.pt: no such file",
        ),
    ],
)
def test_what_a_fit_is_made_of_is_tried_before_any_is_trained(
    card: str, line: str, expected: str, lab: Lab, said: Said
) -> None:
    path = lab.catalogue / "registry" / f"{card}.toml"
    path.write_text(f"{path.read_text()}\n{line}\n")
    (lab.catalogue / "typo.py").write_text("def x(:")
    assert lab.run("--quiet") == (1 if "weights" in line else 3)
    assert expected in only_line(said())
    assert not (lab.out / "fits").exists()


@pytest.mark.train
def test_the_folder_of_weights_may_stand_in_the_settings_file(
    lab: Lab, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XRBENCH_OFFLINE", "1")
    (tmp_path / "xrbench.toml").write_text('weights = "shelf"\n')
    card = lab.catalogue / "registry" / "models" / "tiny-net.toml"
    card.write_text(
        'title = "Pretrained"\nnetwork = { block = "torchvision", name = "resnet18" }\nweights = "imagenet"\n'
    )
    assert lab.run("--quiet") == 1
    assert "fetch https://download.pytorch.org/models/resnet18-f37072fd.pth and put it in shelf/resnet18" in only_line(
        said()
    )


def test_a_fault_of_xrbench_itself_is_one_line_and_shows_its_place_when_asked(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise KeyError("inside")

    monkeypatch.setattr("xrbench.cli.registry._listing", fault)
    assert cli.invoke(["list"]) == 3
    assert only_line(said()) == (
        "error: unexpected KeyError: 'inside'; XRBENCH_TRACEBACK=1 shows where (this is a fault in xrbench)"
    )
    monkeypatch.setenv("XRBENCH_TRACEBACK", "1")
    assert cli.invoke(["list"]) == 3
    assert "in fault" in said()


@pytest.mark.parametrize(
    "kind", ["suites", "datasets", "models", "methods", "papers", "pathologies", "metrics", "blocks"]
)
def test_lists_can_be_read_by_machines(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert cli.invoke(["list", kind]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == len(rows) + 1


def test_suites_mark_which_data_are_there(first_lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["list", "suites", "--catalogue", str(first_lab.catalogue), "--data-root", str(first_lab.data)]
    assert first_lab.invoke(*words) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "east ✓  west ✓  north ✓" in rows["tiny"]
    assert "nih ✗  chexpert ✗  mimic ✗  padchest ✗" in rows["ood-cxr"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("suite", "ood-cxr"),
        ("dataset", "nih"),
        ("model", "resnet18-imagenet"),
        ("method", "xrv-all"),
        ("paper", "balanced-batching"),
    ],
)
def test_cards_are_shown_as_toml_and_json(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["show", kind, name, "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["name"] == name
    assert cli.invoke(["show", kind, name]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert Path(first.removeprefix("# ")).is_file()
    assert f"title = {json.dumps(card['title'], ensure_ascii=False)}" in lines


def test_a_plan_can_be_read_by_machines(first_lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert first_lab.plan("--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (len(plan["fits"]), len(plan["cells"]), plan["missing"]) == (6, 24, {})
    assert {fit["done"] for fit in plan["fits"]} == {True}

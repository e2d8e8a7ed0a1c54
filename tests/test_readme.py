"""The README's examples, done just as they stand there."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xrbench import cli
from xrbench.compare.scores_io import read_scores

README = Path(__file__).parents[1] / "README.md"
FILE = re.compile(r"`(?P<path>(?:mylab|DIR)/[\w./-]+|labels\.csv)`[^`]*?:?\n```\w+\n(?P<text>.*?)```", re.DOTALL)
COMMAND = re.compile(r"^`xrbench (?P<line>[^`]+)`", re.MULTILINE)


def example(name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->(.*?)<!-- /example -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"the README has no example of a {name}"
    return found.group(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("user")


@pytest.fixture
def user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's working folder, with nothing in it that the examples do not put there."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def put_files(text: str, folder: Path) -> list[Path]:
    written = []
    for match in FILE.finditer(text):
        path = folder / ("DIR/our-hospital/labels.csv" if match["path"] == "labels.csv" else match["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match["text"], encoding="utf-8")
        written.append(path)
    return written


def command(text: str) -> list[str]:
    found = COMMAND.search(text)
    assert found
    return found["line"].split()


def test_add_a_dataset(user: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = example("dataset")
    card, labels = put_files(text, user)
    assert card.name == "our-hospital.toml"
    for image in pd.read_csv(labels)["image"]:
        path = labels.parent / "images" / image
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    assert cli.invoke([*command(text), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["patients"]) == (2, 2)
    by_label = {row["label"]: row for row in found["labels"]}
    assert by_label["Effusion"]["positive"] == 1, "'Pleural Effusion' is a synonym"
    assert cli.invoke(["data", "check", "our-hospital", "--data-root", "DIR", "--catalogue", "mylab", "--quiet"]) == 0


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "column", "value"), [("model", "model", "mobilenet-scratch"), ("method", "method", "focal")]
)
def test_add_a_model_and_a_method(
    user: Path, capsys: pytest.CaptureFixture[str], name: str, column: str, value: str
) -> None:
    text = example(name)
    assert put_files(text, user)
    assert cli.invoke([*command(text), "--quiet"]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert printed.startswith("FIXTURE")
    run = next((user / "runs" / "ood-cxr").iterdir())
    scores = read_scores(run / "scores.csv")
    mine = scores[(scores[column] == value) & (scores["label"] == "mean") & (scores["metric"] == "auc")]
    assert set(mine["protocol"]) == {"internal", "external", "validation"}
    assert mine["value"].between(0.4, 1).all()


@pytest.mark.train
def test_the_python_example_names_what_there_is() -> None:
    import xrbench as xr

    block = re.search(r"## From Python\n\n```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    for name in re.findall(r"xr\.(\w+(?:\.\w+)?)\(", block.group(1)):
        target: object = xr
        for part in name.split("."):
            target = getattr(target, part)
        assert callable(target)


def test_the_public_face_is_what_it_is() -> None:
    import xrbench

    assert xrbench.__all__ == [
        "XrbenchError",
        "__version__",
        "analyse",
        "metrics",
        "plan",
        "run",
        "score",
        "statistics",
        "suite",
        "table",
    ]

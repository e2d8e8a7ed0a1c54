"""A run is judged as its suite's card asks, and again when the card asks for something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train

ASKED = """
[analyses]
operating = ["sensitivity=0.9"]
across = ["matrix", "ranks"]
[[analyses.subgroups]]
column = "sex"
minimum = 2
[[figures]]
name = "apart"
kind = "critical-difference"
"""


@pytest.fixture
def measured(first_lab: Lab, lab: Lab) -> Lab:
    """A laboratory whose cards may be changed, with a finished run."""
    shutil.copytree(first_lab.out, lab.out)
    return lab


def test_a_card_that_asks_for_more_is_judged_without_training_again(
    measured: Lab, said: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    card = measured.catalogue / "registry" / "suites" / "tiny.toml"
    card.write_text(card.read_text() + ASKED)
    before = {path: path.stat().st_mtime_ns for path in (measured.out / "fits").rglob("*") if path.is_file()}
    said()
    assert measured.run() == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    suite = json.loads((measured.folder / "manifest.json").read_text())["suite"]
    assert suite["analyses"]["operating"] == ["sensitivity=0.9"], "the manifest knows the card as it is now"
    made = {path.stem for path in (measured.folder / "analyses").glob("*.csv")}
    assert made == {"pairs", "operating", "subgroups", "matrix", "ranks"}
    groups = pd.read_csv(measured.folder / "analyses" / "subgroups.csv")
    assert set(groups["group"]) == {"F", "M"}
    assert set(groups["protocol"]) == {"external", "internal"}
    page = (measured.folder / "README.md").read_text()
    assert "## Beyond the scores" in page
    assert "![apart](figures/apart.svg)" in page
    capsys.readouterr()
    assert measured.invoke("report", measured.out, "--table", "ranks", "--format", "md") == 0
    assert "| label | method | mean rank |" in capsys.readouterr().out
    assert measured.invoke("report", measured.out, "--table", "rank") == 3
    assert "did you mean 'ranks'?" in said()
    assert measured.invoke("compare", measured.out, "--across", "--replicates", "100", "--quiet") == 0
    assert "across settings, ranks (1 is best)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[analyses]\noperating = ["recall=0.9"]', "analyses.operating[0]: expected sensitivity=SHARE"),
        ('[[analyses.subgroups]]\ncolumn = "sex"\nmetrics = ["auroc"]', "unknown metric 'auroc'; did you mean 'auc'?"),
        ('[analyses]\nacros = ["ranks"]', "unknown field `acros`"),
        ('[[tables]]\nname = "t"\nkind = "rank"', "unknown kind of table 'rank'; did you mean 'ranks'?"),
        ('[[figures]]\nname = "f"\nkind = "critical-differences"', "did you mean 'critical-difference'?"),
    ],
)
def test_a_card_that_cannot_be_judged_is_refused_before_anything_runs(
    lab: Lab, said: Callable[[], str], more: str, message: str
) -> None:
    card = lab.catalogue / "registry" / "suites" / "tiny.toml"
    card.write_text(f"{card.read_text()}\n{more}\n")
    assert lab.run() == 3
    error = said().strip()
    assert message in error
    assert "tiny.toml" in error
    assert "\n" not in error
    assert not lab.out.exists() or not (lab.out / "fits").exists()

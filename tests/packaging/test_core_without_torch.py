from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xrbench.catalogue import open_catalogue
from xrbench.runs import store

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_there_is_no_torch_and_the_wheel_is_what_runs(core: Run) -> None:
    assert core(code="import torch").returncode == 1
    place = core(code="import xrbench; print(xrbench.__file__)").stdout
    assert "site-packages" in place


def test_the_wheel_lists_and_shows_its_cards_from_an_empty_folder(core: Run) -> None:
    listed = json.loads(core("list", "suites", "--json").stdout)
    assert {row["suite"] for row in listed} == set(open_catalogue().names("suite"))
    shown = core("show", "suite", "ood-cxr")
    assert shown.returncode == 0
    assert "site-packages/xrbench/_catalogue/registry/suites/ood-cxr.toml" in shown.stdout


def test_the_core_plans_on_the_fixture(core: Run) -> None:
    planned = core("plan", "--suite", "ood-cxr", "--json", "--quiet")
    assert planned.returncode == 0, planned.stderr
    outline = json.loads(planned.stdout)
    assert outline["fixture"]
    assert len(outline["fits"]) == 36  # six settings, two methods, three seeds


def test_the_core_describes_and_checks_data(core: Run) -> None:
    assert core("plan", "--suite", "ood-cxr", "--quiet").returncode == 0
    described = core("data", "describe", "padchest", "--data-root", "runs/fixture", "--json")
    assert json.loads(described.stdout)["images"] > 0
    assert core("data", "check", "vindr", "--data-root", "runs/fixture", "--quiet").returncode == 0


def test_the_core_scores_compares_and_reports_a_run(core: Run, make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(tmp_path / "out", {"plain": 1.0, "fancy": 2.0})
    judged = core("score", str(run))
    assert judged.returncode == 0, judged.stderr
    assert core("compare", str(run)).returncode == 0
    assert core("compare", str(run), str(run), "--gate").returncode == 0
    reported = core("report", str(run), "--table", "scores", "--format", "md")
    assert reported.returncode == 0, reported.stderr
    assert "| method |" in reported.stdout


def test_the_core_judges_predictions_from_elsewhere(core: Run, tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(40)], "patient_id": [f"p{i // 2}" for i in range(40)]})
    frame["truth:Edema"] = [i % 2 for i in range(40)]
    frame["score:edema"] = [0.3 + 0.4 * (i % 2) + 0.01 * (i % 7) for i in range(40)]
    store.write_csv(tmp_path / "theirs.csv", frame)
    judged = core("score", str(tmp_path / "theirs.csv"), "--json")
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout)["scores"][0]["value"] == 1.0


def test_training_says_what_is_to_be_installed(core: Run) -> None:
    run = core("run", "--suite", "ood-cxr", "--quiet")
    assert run.returncode == 3
    assert 'pip install "xrbench[train]"' in run.stderr
    assert "Traceback" not in run.stderr


def test_explaining_says_what_is_to_be_installed(core: Run, make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = core("explain", str(make_run(tmp_path / "out", {"plain": 1.0})), "--quiet")
    assert run.returncode == 3
    assert 'pip install "xrbench[train]"' in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "Makefile"])
def test_no_file_names_a_package_index(name: str) -> None:
    text = (Path(__file__).parents[2] / name).read_text()
    assert "http" + "://" not in text
    assert "index-" + "url" not in text

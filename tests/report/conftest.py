"""Small score frames and suites that the report's tests share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards, scoring
from xrbench.catalogue import shipped
from xrbench.compare.scores_io import Results, check_scores
from xrbench.report.reported_values import Reported, reported
from xrbench.report.run_folder import Run

LABELS = ("Cardiomegaly", "Effusion", "Edema", "Consolidation")
SIX = (
    (("nih", "chexpert"), "mimic", "padchest", 0),
    (("nih", "padchest"), "mimic", "chexpert", 42),
    (("chexpert", "mimic"), "padchest", "nih", 99),
    (("nih", "mimic"), "chexpert", "padchest", 1),
    (("chexpert", "padchest"), "nih", "mimic", 2),
    (("mimic", "padchest"), "chexpert", "nih", 3),
)

Row = Callable[..., dict[str, Any]]


@pytest.fixture
def score_row() -> Row:
    """Make one row of a scores frame; everything has a default."""

    def row(value: float, **changes: Any) -> dict[str, Any]:
        about: dict[str, Any] = {
            "suite": "small", "profile": "quick", "data": "real", "method": "plain", "model": "net", "train": "a+b",
            "valid": "held-out", "test": "c", "protocol": "external", "seed": 0, "label": "mean", "metric": "auc",
            "value": value, "low": math.nan, "high": math.nan, "interval": "bootstrap", "unit": "patient",
            "level": 0.95, "replicates": 1000, "dropped": 0, "threshold": math.nan, "n_positive": 20, "n_negative": 80,
            "n_masked": 5, "n_patients": 90, "n_images": 105, "reason": "", "seen": False, "key": "",
        }  # fmt: skip
        about |= changes
        about.setdefault("setting", f"{about['train']}>{about['valid']}>{about['test']}")
        fit = f"{about['method']}/{about['model']}/{about['train']}/valid-{about['valid']}/seed-{about['seed']}"
        last = "validation" if about["protocol"] == "validation" else about["test"]
        about.setdefault("cell", f"{fit}/{last}")
        return about

    return row


@pytest.fixture
def six_settings() -> cards.SuiteCard:
    """A suite with the six settings of the balanced-batching paper."""
    settings = tuple(cards.Setting(train=train, valid=valid, test=test, seed=seed) for train, valid, test, seed in SIX)
    return cards.SuiteCard(
        title="Six settings",
        name="six",
        paper="balanced-batching",
        labels=LABELS,
        methods=("xrv-all", "random-batching", "balanced-batching"),
        protocol=cards.Protocol(settings=settings),
        comparisons=(cards.Comparison(challenger="balanced-batching", baseline="random-batching"),),
        tables=(
            cards.TableLayout(name="table1", kind="datasets", caption="Datasets"),
            cards.TableLayout(name="table2", kind="settings", caption="Comparison"),
        ),
    )


@pytest.fixture
def small_suite() -> cards.SuiteCard:
    """A suite with two settings, two labels and two methods."""
    settings = (cards.Setting(train=("a", "b"), test="c"), cards.Setting(train=("a", "c"), test="b"))
    return cards.SuiteCard(
        title="Small",
        name="small",
        labels=("Edema", "Effusion"),
        methods=("plain", "fancy"),
        protocol=cards.Protocol(settings=settings),
        comparisons=(cards.Comparison(challenger="fancy", baseline="plain"),),
        tables=(
            cards.TableLayout(name="main", kind="settings", caption="Test AUC"),
            cards.TableLayout(name="gap", kind="internal-external", caption="Gap", digits=3),
        ),
    )


@pytest.fixture
def paper() -> Reported:
    """The balanced-batching paper's numbers."""
    folder = shipped() / "baselines" / "balanced-batching"
    values = cards.read_toml(folder / "paper.toml")
    return reported(cards.convert(values, cards.PaperCard, where="paper.toml", name=folder.name), folder)


@pytest.fixture
def paper_scores(paper: Reported, score_row: Row) -> pd.DataFrame:
    """The paper's own cells, as if we had measured them without any error."""
    rows = []
    for row in paper.scores.to_dict("records"):
        if row["setting"] != "MEAN" and not math.isnan(row["value"]):
            same = {
                str(name): row[name] for name in ("method", "train", "valid", "test", "protocol", "label", "metric")
            }
            exact = {"low": row["value"], "high": row["value"]}
            rows.append(score_row(row["value"], seed=int(row["seed"]), model="densenet121", **exact, **same))
    return pd.DataFrame(rows)


@pytest.fixture
def descriptions() -> list[Mapping[str, Any]]:
    """What a run says about two of the paper's datasets."""
    return [
        {"dataset": "nih", "images": 67310, "patients": 28868, "used": 27520, "pathologies": 14, "region": "Bethesda"},
        {"dataset": "padchest", "images": 500, "patients": None, "used": 0, "pathologies": 27, "region": "Alicante"},
    ]


@pytest.fixture
def made_run(tmp_path: Path) -> Callable[..., Run]:
    """Make a run out of frames of predictions: ``made_run(suite, [cell, ...], manifest={...}, paper=None, fixture=False)``.

    A cell is a dict with a ``frame`` and, as far as they differ from the defaults, the columns of the scores that say what it is.
    Scores are computed from the frames unless a cell brings its own as ``scores``: a list of dicts.
    """

    def make(
        suite: cards.SuiteCard,
        cells: Sequence[Mapping[str, Any]],
        *,
        manifest: Mapping[str, Any] | None = None,
        paper: Reported | None = None,
        fixture: bool = False,
    ) -> Run:
        frames: dict[str, pd.DataFrame] = {}
        rows: list[dict[str, Any]] = []
        for cell in cells:
            about: dict[str, Any] = {
                "suite": suite.name, "profile": "quick", "data": "FIXTURE" if fixture else "real", "method": "plain",
                "model": "net", "configuration": "one", "members": 1, "train": "a", "valid": "held-out", "test": "c",
                "protocol": "external", "seed": 0, "seen": False, "key": "",
            }  # fmt: skip
            about |= {name: value for name, value in cell.items() if name not in ("frame", "scores")}
            of = f"{about['configuration']}:{about['train']}"
            about["setting"] = f"{of}>{about['valid']}>{about['test']}"
            fit = f"{about['method']}/{about['model']}/{of}/valid-{about['valid']}/seed-{about['seed']}"
            about["cell"] = f"{fit}/{about['test'] if about['protocol'] != 'validation' else 'validation'}"
            if "frame" in cell:
                frames[about["cell"]] = cell["frame"]
            figures = cell["scores"] if "scores" in cell else scoring.judge(cell["frame"], suite)
            rows += [{**about, **figure} for figure in figures]
        results = Results("made", check_scores(pd.DataFrame(rows)), frames.get, tmp_path)
        about_run = {"suite": cards.plain(suite), "fits": [], "cells": [], "datasets": [], **(manifest or {})}
        return Run(tmp_path / suite.name / "r1", about_run, suite, results, paper)

    return make


@pytest.fixture
def paper_named() -> Callable[[str], Reported]:
    """Read what a shipped paper reported, by the name of its folder."""

    def read(name: str) -> Reported:
        folder = shipped() / "baselines" / name
        values = cards.read_toml(folder / "paper.toml")
        return reported(cards.convert(values, cards.PaperCard, where="paper.toml", name=name), folder)

    return read


@pytest.fixture
def findings() -> Callable[..., pd.DataFrame]:
    """Make predictions of several findings: ``findings("c", Edema=(truth, score), ...)``, one image a patient by default."""

    def make(dataset: str, *, patients: Sequence[object] | None = None, **labels: Any) -> pd.DataFrame:
        size = len(next(iter(labels.values()))[0])
        frame = pd.DataFrame({"image": [f"{dataset}-{n}" for n in range(size)]})
        frame["patient_id"] = [str(one) for one in (patients if patients is not None else range(size))]
        frame["dataset"] = dataset
        for label, (truth, score) in labels.items():
            frame[f"truth:{label}"] = np.asarray(truth, float)
            frame[f"score:{label}"] = np.asarray(score, float)
        return frame

    return make


@pytest.fixture
def exclusive() -> Callable[..., pd.DataFrame]:
    """Make predictions of multi-class labels: ``exclusive("c", classes, truth, called)``, wholly sure unless told how sure."""

    def make(
        dataset: str,
        classes: Sequence[str],
        truth: Sequence[int],
        called: Sequence[int],
        *,
        sure: float = 1.0,
        patients: Sequence[object] | None = None,
    ) -> pd.DataFrame:
        eye, k = np.eye(len(classes)), len(classes)
        frame = pd.DataFrame({"image": [f"{dataset}-{n}" for n in range(len(truth))]})
        frame["patient_id"] = [str(one) for one in (patients if patients is not None else range(len(truth)))]
        frame["dataset"] = dataset
        score = eye[list(called)] * sure + (1 - eye[list(called)]) * (1 - sure) / (k - 1)
        for at, label in enumerate(classes):
            frame[f"truth:{label}"], frame[f"score:{label}"] = eye[list(truth)][:, at], score[:, at]
        return frame

    return make

"""Scores of a run: every metric of the suite for every cell and label, with intervals and counts.

Thresholds come from the validation predictions of the same fit and from nowhere else. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench import cards, metrics, statistics
from xrbench.errors import MeasureError
from xrbench.progress import Reporter, Silent
from xrbench.rng import seed_of
from xrbench.runs import store
from xrbench.runs.prediction_frame import patients_of, truth_and_score
from xrbench.runs.run_cell import SOMETIMES, VALIDATION, RunCell

COLUMNS = (
    "suite",
    "profile",
    "data",
    "setting",
    "configuration",
    "method",
    "model",
    "members",
    "train",
    "valid",
    "test",
    "protocol",
    "seed",
    "label",
    "metric",
    "value",
    "low",
    "high",
    "interval",
    "unit",
    "level",
    "replicates",
    "dropped",
    "threshold",
    "n_positive",
    "n_negative",
    "n_masked",
    "n_patients",
    "n_images",
    "reason",
    "caution",
    "seen",
    "cell",
    "key",
)
"""Columns of ``scores.csv``, in order."""

NO_VALIDATION = "no validation images: a threshold is never chosen on the images that it is judged on"

Thresholds = dict[tuple[str, str], float]


def score_run(folder: Path, *, reporter: Reporter | None = None) -> pd.DataFrame:
    """Score all measured cells of a run and write ``scores.csv`` beside its manifest.

    Args:
        folder: A run folder.
        reporter: Where progress goes.

    Returns:
        One row a cell, label and metric, with the columns of ``COLUMNS``, and ``given`` and ``ancestors`` where fits start from others.

    Raises:
        StoreError: The folder holds no manifest, or a predictions file is damaged.
        MeasureError: No cell of the run has predictions.
    """
    manifest = store.read_manifest(folder)
    suite = msgspec.convert(manifest["suite"], cards.SuiteCard)
    measured = [entry for entry in manifest["cells"] if (folder / entry["file"]).is_file()]
    if not measured:
        raise MeasureError(f"{folder}: no cell has predictions; nothing was measured")
    thresholds = _thresholds_of_fits(folder, measured, suite)
    say = reporter or Silent()
    rows: list[dict[str, Any]] = []
    with say.bar("scores", len(measured)) as bar:
        for entry in measured:
            frame, _ = store.read_predictions(folder / entry["file"], key=entry["key"])
            known = thresholds.get(tuple(entry["fits"]), {})
            head = _head(manifest, entry)
            rows += [{**head, **estimate} for estimate in judge(frame, suite, thresholds=known)]
            bar.advance(1, entry["test"])
    more = [name for name in SOMETIMES if any(entry.get(name) for entry in measured)]
    scores = pd.DataFrame(rows, columns=[*COLUMNS, *more])
    store.write_csv(folder / store.SCORES, scores)
    return scores


def judge(
    frame: pd.DataFrame,
    suite: cards.SuiteCard,
    *,
    thresholds: Mapping[tuple[str, str], float] | None = None,
    labels: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Compute every metric of a suite on one predictions frame.

    Args:
        frame: Predictions, as the store keeps them.
        suite: Names the metrics and the kind of interval.
        thresholds: (label, metric) -> threshold from validation; a metric without one is undefined, with the reason.
        labels: Labels to judge; the suite's by default.

    Returns:
        One dict a label (and ``mean``) and metric: value, low, high, counts and how the interval was made.

    Raises:
        MeasureError: A label has no score column, or a score is NaN where its label is known.
    """
    chosen = tuple(labels or suite.labels)
    truth, score = truth_and_score(frame, chosen)
    known = dict(thresholds or {})
    specs = [metrics.parse_as(suite.task, name) for name in suite.metrics]
    lacking = {
        (label, spec.name): math.nan
        for label in chosen
        for spec in specs
        if spec.from_validation and (label, spec.name) not in known
    }
    estimates = statistics.estimate(
        class_of(truth) if suite.task == "multiclass" else truth,
        score,
        patients_of(frame),
        labels=chosen,
        task=suite.task,
        metrics=suite.metrics,
        thresholds={**lacking, **known},
        **statistics.from_card(suite.interval, seed=interval_seed(frame)),
    )
    reasons = {key: {"reason": NO_VALIDATION} for key in lacking}
    return [{**asdict(row), **reasons.get((row.label, row.metric), {})} for row in estimates]


def class_of(truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn one-hot truth, shape (n, classes), into class numbers, shape (n,); NaN where no class is known.

    >>> class_of(np.array([[0.0, 1.0], [1.0, 0.0], [np.nan, np.nan]])).tolist()
    [1.0, 0.0, nan]
    """
    known = (truth == 1).any(axis=1)
    return np.where(known, (truth == 1).argmax(axis=1), np.nan)


def interval_seed(frame: pd.DataFrame) -> int:
    """Derive the bootstrap's seed from the images judged, so that all methods on one test set get the same resamples."""
    return seed_of("interval", *frame["image"].astype(str).tolist()) % 2**63


def thresholds_from(frame: pd.DataFrame, suite: cards.SuiteCard, labels: Sequence[str] = ()) -> Thresholds:
    """Choose the thresholds that the suite's metrics need on validation predictions; NaN where a label has one class there."""
    # In a multi-class task the class with the highest score is predicted: there is no threshold.
    if suite.task == "multiclass":
        return {}
    chosen = tuple(labels or suite.labels)
    truth, score = truth_and_score(frame, chosen)
    return statistics.thresholds_for(truth, score, labels=chosen, metrics=suite.metrics)


def _thresholds_of_fits(
    folder: Path, entries: Sequence[Mapping[str, Any]], suite: cards.SuiteCard
) -> dict[tuple[str, ...], Thresholds]:
    thresholds = {}
    for entry in entries:
        if entry["protocol"] == VALIDATION:
            frame, _ = store.read_predictions(folder / entry["file"], key=entry["key"])
            thresholds[tuple(entry["fits"])] = thresholds_from(frame, suite)
    return thresholds


def _head(manifest: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "suite": manifest["suite"]["name"],
        "profile": manifest["profile_name"],
        "data": manifest["data"],
        **asdict(RunCell.of_manifest(entry)),
        "key": entry["key"],
    }

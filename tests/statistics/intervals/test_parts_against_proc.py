"""Partial AUCs, sensitivities at specificities and the unpaired test against R's pROC; ``reference/proc_parts.R`` made the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import metrics, statistics
from xrbench.errors import MeasureError
from xrbench.metrics.ranking import mcclish

HERE = Path(__file__).parent / "reference"
DATA = pd.read_csv(HERE / "proc_data.csv")
VALUES = pd.read_csv(HERE / "proc_parts.csv", comment="#", keep_default_na=False)


def expected(what: str) -> list[tuple[Any, str, str, float]]:
    """List the data, column, second word and value of each row."""
    rows = VALUES[VALUES["what"] == what]
    found = [
        (DATA[DATA["set"] == row["set"]], row["first"], row["second"], float(row["value"]))
        for _, row in rows.iterrows()
    ]
    assert found
    return found


def test_partial_aucs_raw_and_corrected() -> None:
    for part, column, words, area in expected("partial"):
        low, high = map(float, words.split("-"))
        found = metrics.partial_auc(part["truth"], part[column], specificity=(low, high))
        assert found == pytest.approx(area, abs=1e-12), (column, words)
    for part, column, words, corrected in expected("corrected"):
        low, high = map(float, words.split("-"))
        area = metrics.partial_auc(part["truth"], part[column], specificity=(low, high))
        assert mcclish(area, (low, high)) == pytest.approx(corrected, abs=1e-12), (column, words)


def test_the_whole_range_is_the_auc_and_weights_are_repetitions() -> None:
    rng = np.random.default_rng(0)
    truth, score = (rng.random(200) < 0.4).astype(float), np.round(rng.random(200), 1)
    assert metrics.partial_auc(truth, score, specificity=(0, 1)) == pytest.approx(metrics.auc(truth, score), abs=1e-12)
    weights = rng.integers(0, 4, 200)
    again = metrics.partial_auc(np.repeat(truth, weights), np.repeat(score, weights))
    assert metrics.partial_auc(truth, score, weights=weights) == pytest.approx(again, abs=1e-12)
    assert np.isnan(metrics.partial_auc([1, 1], [0.1, 0.2]))
    for wrong in ((0.9, 0.9), (1.0, 0.5), (-0.1, 1.0), (0.5, 1.1)):
        with pytest.raises(MeasureError, match="is not a rising range within"):
            metrics.partial_auc(truth, score, specificity=wrong)


def test_sensitivities_at_specificities() -> None:
    found: dict[tuple[str, str], dict[float, float]] = {}
    for part, column, specificity, sensitivity in expected("sensitivity"):
        name = (part["set"].iloc[0], column)
        if name not in found:
            points = statistics.sensitivity_at(
                part["truth"], part[column], specificities=[0.9, 0.5, 0.95, 0.8], replicates=64
            )
            found[name] = {point.specificity: point.sensitivity for point in points}
            for point in points:
                assert point.low <= point.sensitivity <= point.high
                assert point.threshold == metrics.threshold_at(
                    part["truth"], part[column], specificity=point.specificity
                )
                assert point.threshold_low <= point.threshold_high
        assert found[name][float(specificity)] == pytest.approx(sensitivity, abs=1e-12)


def test_the_unpaired_test() -> None:
    p_values = {(part["set"].iloc[0], column): p for part, column, _, p in expected("unpaired p")}
    for part, column, _, t in expected("unpaired t"):
        half = np.arange(len(part)) < len(part) // 2
        first, second = part[half], part[~half]
        found = statistics.delong_unpaired_test(first["truth"], first[column], second["truth"], second[column])
        assert found.difference == pytest.approx(
            metrics.auc(second["truth"], second[column]) - metrics.auc(first["truth"], first[column])
        )
        # pROC subtracts the second from the first.
        assert -found.z == pytest.approx(t, rel=1e-9)
        assert found.p == pytest.approx(p_values[part["set"].iloc[0], column], rel=1e-9)


@pytest.mark.parametrize("patients", [True, False])
def test_intervals_of_parts_hold_as_often_as_they_say(patients: bool) -> None:
    """150 samples: 3.5 standard errors of a coverage of 95 % are 6 points."""
    rng = np.random.default_rng(3)
    big = rng.random(400_000) < 0.4
    latent = 1.5 * big + rng.normal(size=len(big))
    true = metrics.partial_auc(big, latent, specificity=(0.8, 1.0))
    threshold = metrics.threshold_at(big, latent, specificity=0.8)
    held = np.zeros((150, 2), np.bool_)
    for number in range(len(held)):
        patient = np.repeat(np.arange(150), 2 if patients else 1)
        truth = (rng.random(150) < 0.4)[patient]
        shared, own = rng.normal(size=150)[patient], rng.normal(size=len(patient))
        score = 1.5 * truth + (np.sqrt(0.5) * (shared + own) if patients else own)
        area = statistics.partial_auc_interval(truth, score, patient, specificity=(0.8, 1.0), replicates=192, threads=1)
        assert area.low <= area.value <= area.high
        assert area.corrected_low <= area.corrected <= area.corrected_high
        point = statistics.sensitivity_at(truth, score, patient, specificities=[0.8], replicates=192, threads=1)[0]
        held[number] = area.low <= true <= area.high, point.threshold_low <= threshold <= point.threshold_high
    assert (held.mean(axis=0) > 0.88).all()


def test_one_class_has_no_parts() -> None:
    area = statistics.partial_auc_interval([1, 1, 1], [0.1, 0.2, 0.3], replicates=64)
    assert np.isnan([area.value, area.low, area.high, area.corrected]).all()
    assert "replicates have no value" in area.reason

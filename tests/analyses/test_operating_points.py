"""Thresholds from validation, carried to every test set: against sorting, counting and Bayes' rule by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xrbench.analyses import Material
from xrbench.analyses.inputs import records
from xrbench.scoring import NO_VALIDATION

TEST, LABEL = "fancy/net/a+b/valid-held-out/seed-1/c", "Edema"


@pytest.fixture(scope="module")
def table(found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return found["operating"]


def known(frame: pd.DataFrame, label: str) -> tuple[np.ndarray, np.ndarray]:
    rows = frame[f"truth:{label}"].notna()
    return frame.loc[rows, f"truth:{label}"].to_numpy() == 1, frame.loc[rows, f"score:{label}"].to_numpy()


def figures(table: pd.DataFrame, target: str) -> dict[str, dict[str, float]]:
    mine = table[(table["cell"] == TEST) & (table["label"] == LABEL) & (table["target"] == target)]
    return {row["metric"]: row for row in records(mine)}


def test_the_threshold_is_that_of_validation_and_the_rest_is_counted(table: pd.DataFrame, material: Material) -> None:
    valid = material.results.predictions(f"{TEST.rpartition('/')[0]}/validation")
    frame = material.results.predictions(TEST)
    assert valid is not None
    assert frame is not None
    sick, score = known(valid, LABEL)
    at = np.sort(score[sick])[::-1][math.ceil(0.9 * sick.sum()) - 1]
    sick, score = known(frame, LABEL)
    called = score >= at
    found = figures(table, "sensitivity=0.9")
    assert found["recall"]["threshold"] == at
    recall, specificity = called[sick].mean(), (~called)[~sick].mean()
    expected = {
        "recall": recall,
        "specificity": specificity,
        "ppv": sick[called].mean(),
        "npv": (~sick)[~called].mean(),
        "positive-calls-per-1000": 1000 * called.mean(),
        "prevalence": sick.mean(),
        "drift": recall - 0.9,
        "ppv,prevalence=0.02": recall * 0.02 / (recall * 0.02 + (1 - specificity) * 0.98),
        "npv,prevalence=0.02": specificity * 0.98 / (specificity * 0.98 + (1 - recall) * 0.02),
    }
    assert {name: row["value"] for name, row in found.items()} == pytest.approx(expected)
    for name, row in found.items():
        if name != "prevalence":
            assert row["low"] < row["value"] < row["high"]
        assert (row["n_positive"], row["n_negative"]) == (sick.sum(), (~sick).sum())
    # The threshold's own uncertainty widens the interval: drift is that of the procedure.
    assert found["drift"]["high"] == pytest.approx(found["recall"]["procedure_high"] - 0.9)
    assert found["recall"]["procedure_low"] <= found["recall"]["low"]
    assert found["recall"]["procedure_high"] > found["recall"]["high"]


def test_a_specificity_target_drifts_in_specificity(table: pd.DataFrame) -> None:
    found = figures(table, "specificity=0.8")
    assert found["drift"]["value"] == pytest.approx(found["specificity"]["value"] - 0.8)


def test_without_validation_images_there_is_no_point_but_a_reason(table: pd.DataFrame) -> None:
    rows = table[table["method"] == "ready"]
    assert len(rows) == 2 * 3, "one a target and test set"
    assert set(rows["reason"]) == {NO_VALIDATION}
    assert rows["value"].isna().all()
    assert set(rows["target"]) == {"sensitivity=0.9", "specificity=0.8"}


def test_every_held_out_cell_has_its_points_and_validation_none(table: pd.DataFrame, material: Material) -> None:
    judged = {cell.cell for cell in material.cells("external", "internal")}
    assert set(table["cell"]) == judged

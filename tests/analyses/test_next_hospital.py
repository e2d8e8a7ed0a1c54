"""What to expect at a next hospital, and gaps split by case mix, on the study in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

from xrbench import cards, metrics, statistics
from xrbench.analyses import Material, analyse, case_mix
from xrbench.analyses.inputs import records
from xrbench.compare.scores_io import Results


def auc(material: Material, cell: str, label: str) -> float:
    frame = material.results.predictions(cell)
    assert frame is not None
    return metrics.auc(frame[f"truth:{label}"], frame[f"score:{label}"])


def test_a_hospital_is_the_mean_of_the_trainings_tested_there(
    found: dict[str, pd.DataFrame], material: Material
) -> None:
    table = found["hospitals"]
    row = records(table[(table["method"] == "fancy") & (table["label"] == "Edema")])[0]
    figures = []
    for hospital in ("a", "b", "c"):
        cells = [c for c in material.cells("external") if c.method == "fancy" and c.test == hospital]
        figures.append(np.mean([auc(material, cell.cell, "Edema") for cell in cells]))
        assert len(cells) == 3
    assert min(figures) < row["value"] < max(figures)
    assert (row["hospitals"], row["n_hospitals"], row["n_trainings"], row["df"]) == ("a, b, c", 3, 3, 2)
    assert row["next_low"] <= row["low"] < row["value"] < row["high"] <= row["next_high"]
    assert "3 hospitals hardly show" in row["caution"]
    assert set(table["label"]) == {"Edema", "Effusion", "mean"}


def test_hospitals_that_the_weights_have_seen_do_not_count(found: dict[str, pd.DataFrame]) -> None:
    table = found["hospitals"]
    ready = records(table[table["method"] == "ready"])[0]
    assert ready["hospitals"] == "a, b"
    assert "how much trainings differ is not in the intervals" in ready["caution"]


def test_one_hospital_shows_nothing(suite: cards.SuiteCard, make_study: Callable[..., Results]) -> None:
    one = replace_analyses(suite, cards.Analyses(across=("hospitals",)))
    table = analyse(make_study(one, settings=1), one)["hospitals"]
    assert set(table["reason"]) == {"one hospital cannot show how much hospitals differ"}
    assert table["next_low"].isna().all()


def replace_analyses(suite: cards.SuiteCard, analyses: cards.Analyses) -> cards.SuiteCard:
    return msgspec.structs.replace(suite, analyses=analyses)


def test_the_variance_is_that_of_patients_and_trainings() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(300) < 0.4).astype(float)
    base = 1.2 * truth + rng.normal(size=300)
    cells = [statistics.Predictions("a", truth, base + 0.8 * rng.normal(size=300), labels=["x"]) for _ in range(4)]
    row = statistics.hospital_figures(cells)[0]
    aucs = [metrics.auc(cell.truth, cell.score) for cell in cells]
    assert row.hospital.value == pytest.approx(np.mean(aucs))
    left = []
    for i in range(300):
        rest = np.arange(300) != i
        left.append(np.mean([metrics.auc(truth[rest], np.asarray(cell.score)[rest]) for cell in cells]))
    patients = 299 / 300 * np.sum((np.array(left) - np.mean(left)) ** 2)
    # The patients' part is taken on the logit, whose curve changes it a little.
    assert row.hospital.variance == pytest.approx(patients + np.var(aucs, ddof=1) / 4, rel=0.01)
    alone = statistics.hospital_figures(cells[:1])[0]
    assert alone.trainings == 1
    assert alone.hospital.variance > 0
    blank = statistics.hospital_figures([replace(cells[0], truth=np.zeros(300))])[0]
    assert math.isnan(blank.hospital.value)
    assert blank.trainings == 0


def test_each_external_cell_is_split_against_the_internal_ones_of_its_fit(
    suite: cards.SuiteCard, make_study: Callable[..., Results]
) -> None:
    split = replace_analyses(suite, cards.Analyses(case_mix=("age", "sex", "view", "findings")))
    material = Material(make_study(split, seeds=(0,), settings=1), split)
    table = analyse(material.results, split)["case-mix"]
    assert len(case_mix.pairs(material)) == 2 * 2
    assert len(table) == 2 * 2 * 2
    row = records(table[(table["method"] == "plain") & (table["label"] == "Edema")])[0]
    assert row["external"] == pytest.approx(auc(material, row["cell"], "Edema"))
    inside = f"{row['cell'].rpartition('/')[0]}/{row['internal_test']}"
    assert row["internal"] == pytest.approx(auc(material, inside, "Edema"))
    assert row["case_mix"] + row["rest"] == pytest.approx(row["value"])
    assert row["case_mix_low"] < row["case_mix"] < row["case_mix_high"]
    assert (row["used"], row["left_out"]) == ("age, sex, with Effusion", "view")

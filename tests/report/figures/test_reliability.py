"""Reliability diagrams: bins are scikit-learn's, errors are the metric's, intervals count patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint

from xrbench import cards
from xrbench.metrics import expected_calibration_error
from xrbench.report.figures.reliability import reliability, reliability_bins
from xrbench.report.runs import Run

Make = Callable[..., Run]
Layout = Callable[..., cards.FigureLayout]
SMALL = {"labels": ("Edema",), "models": ("net",), "trained": {"nih-alone": ("nih",)}}


def draw(images: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    score = rng.random(images)
    return (rng.random(images) < score**1.5).astype(float), score


def test_bins_are_those_of_scikit_learn() -> None:
    truth, score = draw()
    found = reliability_bins(truth, score, bins=10)
    share, mean = calibration_curve(truth, score, n_bins=10)
    assert found["share"].to_numpy() == pytest.approx(share)
    assert found["mean_score"].to_numpy() == pytest.approx(mean)
    assert found["images"].sum() == 400


def test_the_bins_make_the_expected_calibration_error() -> None:
    truth, score = draw()
    found = reliability_bins(truth, score, bins=15)
    gap = (found["images"] * (found["share"] - found["mean_score"]).abs()).sum() / found["images"].sum()
    assert gap == pytest.approx(expected_calibration_error(truth, score))


def test_images_of_their_own_have_nearly_wilsons_interval() -> None:
    """Without patients the effective number is n - 1, which is a hair wider than statsmodels' interval of n images."""
    truth, score = draw(4000)
    found = reliability_bins(truth, score, bins=5)
    low, high = proportion_confint(found["positive"], found["images"], method="wilson")
    assert found["low"].to_numpy() == pytest.approx(np.asarray(low), abs=1e-3)
    assert found["high"].to_numpy() == pytest.approx(np.asarray(high), abs=1e-3)


def test_copies_of_images_add_nothing_to_their_patients() -> None:
    truth, score = draw()
    patient = np.arange(400)
    once = reliability_bins(truth, score, patient)
    again = reliability_bins(np.tile(truth, 4), np.tile(score, 4), np.tile(patient, 4))
    assert again["low"].to_numpy() == pytest.approx(once["low"].to_numpy())
    assert again["images"].tolist() == (4 * once["images"]).tolist()
    assert again["patients"].tolist() == once["patients"].tolist()


def test_where_all_images_agree_each_patient_counts_once() -> None:
    found = reliability_bins([1, 1, 1, 1], [0.9, 0.9, 0.9, 0.9], ["p", "p", "q", "q"], bins=2)
    low, high = proportion_confint(2, 2, method="wilson")
    assert found["low"].isna().tolist() == [True, False]
    assert (found["low"].iloc[1], found["high"].iloc[1]) == pytest.approx((low, high))


def test_the_picture_has_the_bins_of_each_cell(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_labelled_run(**SMALL)
    svg, _, table = reliability(run, figure_layout("reliability"), tmp_path, bins=5)
    numbers = pd.read_csv(table)
    assert len(numbers) == 2 * 5
    frame = run.results.predictions(run.cells(protocol="external")["cell"].iloc[0])
    assert frame is not None
    known = frame.dropna(subset=["truth:Edema"])
    inside = known[known["score:Edema"] < 0.2]
    first = numbers.query("protocol == 'external' and bin_low == 0").iloc[0]
    assert (first["images"], first["positive"]) == (len(inside), inside["truth:Edema"].sum())
    assert first["mean_score"] == pytest.approx(inside["score:Edema"].mean())
    assert first["patients"] == inside["patient_id"].nunique()
    assert "external, mimic ECE 0.080 (0.050-0.110)" in text_of(svg)
    assert f"of {len(known)} images, {known['patient_id'].nunique()} patients" in text_of(svg)


def test_what_cannot_be_drawn_says_why(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    def change(_: str, frame: pd.DataFrame) -> pd.DataFrame:
        frame["truth:Edema"] = np.nan
        frame["score:Effusion"] = 8 * frame["score:Effusion"] - 4
        return frame

    run = make_labelled_run(**{**SMALL, "labels": ("Edema", "Effusion")}, change=change)
    svg, _, table = reliability(run, figure_layout("reliability"), tmp_path)
    said = " ".join(text_of(svg).split())
    assert "not drawn: no labelled image" in said
    assert "not drawn: scores are not probabilities" in said
    numbers = pd.read_csv(table)
    assert numbers["images"].sum() == 0
    assert numbers["share"].isna().all()


def test_one_class_is_drawn(make_labelled_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    run = make_labelled_run(**SMALL, change=lambda _, frame: frame.assign(**{"truth:Edema": 0.0}))
    numbers = pd.read_csv(reliability(run, figure_layout("reliability"), tmp_path)[2])
    assert set(numbers["share"].dropna()) == {0.0}


def test_a_score_on_an_edge_belongs_above_and_one_to_the_last_bin() -> None:
    found = reliability_bins([1, 0, 1], [0.5, 0.49, 1.0], bins=2)
    assert found["images"].tolist() == [1, 2]

"""Reliability diagrams: each cell's bins are drawn with its error and size, and an empty panel says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrbench import cards
from xrbench.report.figures.reliability import reliability
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Layout = Callable[..., cards.FigureLayout]
SMALL = {"labels": ("Edema",), "models": ("net",), "trained": {"nih-alone": ("nih",)}}


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

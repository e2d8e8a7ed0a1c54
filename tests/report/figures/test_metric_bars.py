"""Pictures of several metrics: the scores' own numbers, in the suite's order, training images apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from xrbench import cards
from xrbench.errors import UnknownNameError
from xrbench.report.figures.metric_bars import metrics
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Layout = Callable[..., cards.FigureLayout]
CLASSES = ("a", "b", "c")


def test_values_and_intervals_are_those_of_the_scores(
    make_class_run: Make, figure_layout: Layout, tmp_path: Path
) -> None:
    run = make_class_run(classes=CLASSES, images=60, seeds=(0, 1))
    numbers = pd.read_csv(metrics(run, figure_layout("metrics"), tmp_path)[2])
    assert list(dict.fromkeys(numbers["metric"])) == ["accuracy", "macro-recall", "macro-f1"]
    assert len(numbers) == 3 * 2 * 2 * 2  # metrics x methods x training sets x test sets
    ensemble = numbers[(numbers["method"] == "ensemble") & (numbers["metric"] == "accuracy")]
    for row in ensemble.to_dict("records"):
        where = {name: str(row[name]) for name in ("method", "configuration", "protocol", "test")}
        cell = run.cells(**where)["cell"].iloc[0]
        score = run.scores[(run.scores["cell"] == cell) & (run.scores["metric"] == "accuracy")].iloc[0]
        assert (row["value"], row["low"], row["high"]) == pytest.approx((score["value"], score["low"], score["high"]))


def test_several_fits_are_averaged_and_have_no_interval(
    make_class_run: Make, figure_layout: Layout, tmp_path: Path
) -> None:
    run = make_class_run(classes=CLASSES, images=60, seeds=(0, 1, 2))
    options = {"method": "single", "metric": "accuracy", "configuration": "val-split", "protocol": "internal"}
    row = pd.read_csv(metrics(run, figure_layout("metrics"), tmp_path, **options)[2]).iloc[0]
    cells = run.cells(method="single", configuration="val-split", protocol="internal")["cell"]
    scores = run.scores[run.scores["cell"].isin(cells) & (run.scores["metric"] == "accuracy")]["value"]
    assert row["fits"] == 3
    assert row["value"] == pytest.approx(scores.mean())
    assert [float(each) for each in row["single"].split()] == pytest.approx(scores.tolist())
    assert pd.isna(row["low"])


def test_training_images_stand_apart_last_and_hollow(
    make_class_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    """Drawn marks: six on other images are filled, two on training images are hollow; systems keep the suite's order."""
    run = make_class_run(classes=CLASSES, images=60, seeds=(0,))
    svg = metrics(run, figure_layout("metrics"), tmp_path, metric="accuracy", method=["single", "ensemble"])[0]
    said = text_of(svg)
    assert said.index("internal") < said.index("external") < said.index("resubstitution (training images)")
    assert "not to be compared" in said
    assert said.index("full-data, single") < said.index("val-split, single") < said.index("full-data, ensemble")
    held = metrics(run, figure_layout("metrics", name="held"), tmp_path, protocol=["internal", "external"])[0]
    assert "resubstitution" not in text_of(held).casefold()
    marks = re.findall(
        r'<use [^>]*style="((?:fill: #ffffff; )?)stroke: #000000(?:; stroke-linejoin: miter)?"', svg.read_text()
    )
    assert (len(marks), sum(map(bool, marks))) == (8, 2)


def test_metrics_outside_the_unit_interval_are_shown_when_asked_for(
    make_class_run: Make, figure_layout: Layout, tmp_path: Path
) -> None:
    made = make_class_run(classes=CLASSES, images=60, seeds=(0,))
    made.results.scores.loc[made.scores["metric"] == "macro-f1", ["value", "high"]] = [1.5, 1.8]
    made.results.scores.loc[made.scores["metric"] == "macro-f1", "metric"] = "calibration-slope"
    names = tuple("calibration-slope" if name == "macro-f1" else name for name in made.suite.metrics)
    run = replace(made, suite=msgspec.structs.replace(made.suite, metrics=names))
    shown = pd.read_csv(metrics(run, figure_layout("metrics"), tmp_path)[2])
    assert set(shown["metric"]) == {"accuracy", "macro-recall"}
    asked = pd.read_csv(metrics(run, figure_layout("metrics"), tmp_path, metric=["calibration-slope"])[2])
    assert set(asked["value"]) == {1.5}


def test_labels_are_chosen_and_default_to_the_mean(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_labelled_run(labels=("Edema", "Effusion"), images=60)
    svg, _, table = metrics(run, figure_layout("metrics"), tmp_path)
    assert set(pd.read_csv(table)["label"]) == {"mean"}
    assert "Figures of mean" in text_of(svg)
    assert "chexpert, nih, chexpert+nih" in text_of(svg)
    one = pd.read_csv(metrics(run, figure_layout("metrics"), tmp_path, label="Edema", model="densenet121")[2])
    assert set(zip(one["label"], one["metric"], strict=True)) == {
        ("Edema", "auc"),
        ("Edema", "expected-calibration-error"),
    }
    with pytest.raises(UnknownNameError, match="unknown metric 'acu'; did you mean 'auc'"):
        metrics(run, figure_layout("metrics"), tmp_path, metric="acu")
    with pytest.raises(UnknownNameError, match="unknown label 'Edma'"):
        metrics(run, figure_layout("metrics"), tmp_path, label="Edma")


def test_undefined_values_are_left_out(make_labelled_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    run = make_labelled_run(labels=("Edema", "Effusion"), images=60, models=("net",))
    run.results.scores.loc[run.scores["protocol"] == "internal", ["value", "low", "high"]] = float("nan")
    numbers = pd.read_csv(metrics(run, figure_layout("metrics"), tmp_path)[2])
    assert set(numbers["protocol"]) == {"external"}
    nothing = make_labelled_run(labels=("Edema", "Effusion"), images=60, models=("net",))
    nothing.results.scores.loc[:, ["value", "low", "high"]] = float("nan")
    assert metrics(nothing, figure_layout("metrics"), tmp_path) == []


def test_by_default_metrics_of_one_axis_are_drawn(make_class_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    """Where the axis ends is a matter of the metric's range, not of where its values happen to lie."""
    names = ("accuracy", "mcc", "brier", "calibration-slope", "calibration-intercept")
    run = make_class_run(classes=CLASSES, images=60, seeds=(0,))
    rows = pd.concat([run.scores[run.scores["metric"] == "accuracy"].assign(metric=name, value=0.5) for name in names])
    results = replace(run.results, scores=rows)
    drawn = replace(run, suite=msgspec.structs.replace(run.suite, metrics=names), results=results)
    numbers = pd.read_csv(metrics(drawn, figure_layout("metrics"), tmp_path)[2])
    assert list(dict.fromkeys(numbers["metric"])) == ["accuracy", "mcc", "brier"]

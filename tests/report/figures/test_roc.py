"""ROC pictures: their numbers are scikit-learn's, a panel without both classes says so, and options choose what is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from xrbench import cards
from xrbench.errors import CardError, UnknownNameError
from xrbench.report.figures import roc as module
from xrbench.report.figures.layout.panel_grid import pages
from xrbench.report.figures.roc import roc
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Layout = Callable[..., cards.FigureLayout]
SMALL = {"labels": ("Edema",), "models": ("net",), "trained": {"nih-alone": ("nih",)}}


def test_the_numbers_are_those_of_the_curve(make_labelled_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    run = make_labelled_run(**SMALL)
    paths = roc(run, figure_layout("roc"), tmp_path)
    assert [path.name for path in paths] == ["picture.svg", "picture.png", "picture.csv"]
    numbers = pd.read_csv(paths[2])
    assert list(numbers.groupby("protocol", sort=False)["test"].first().items()) == [
        ("internal", "nih"),
        ("external", "mimic"),
    ]
    for cell, mine in numbers.groupby("test"):
        frame = run.results.predictions(run.cells(test=str(cell))["cell"].iloc[0])
        assert frame is not None
        known = frame.dropna(subset=["truth:Edema"])
        fpr, tpr, _ = roc_curve(known["truth:Edema"], known["score:Edema"], drop_intermediate=False)
        drawn = mine.set_index("false_positive_rate")["true_positive_rate"]
        upper = pd.Series(tpr).groupby(fpr).max()
        reached = [drawn.iloc[np.searchsorted(drawn.index, at + 1e-9, side="right") - 1] for at in upper.index]
        below = [drawn.iloc[min(np.searchsorted(drawn.index, at - 1e-9), 100)] for at in upper.index]
        assert (np.array(reached) <= upper.to_numpy() + 1e-9).all()
        assert (np.array(below) >= upper.to_numpy() - 1e-9).all()
        rows = run.scores
        score = rows[(rows["test"] == cell) & (rows["label"] == "Edema") & (rows["metric"] == "auc")].iloc[0]
        assert mine["auc"].iloc[0] == pytest.approx(score["value"])
        assert mine["auc_low"].iloc[0] == pytest.approx(score["low"])
        assert mine["n_positive"].iloc[0] == (known["truth:Edema"] == 1).sum()
        assert mine["n_negative"].iloc[0] == (known["truth:Edema"] == 0).sum()
        assert mine["n_patients"].iloc[0] == known["patient_id"].nunique()
        assert ((mine["low"] <= mine["true_positive_rate"]) & (mine["true_positive_rate"] <= mine["high"])).all()


def test_the_legend_states_area_interval_and_size(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_labelled_run(**SMALL)
    svg, _, table = roc(run, figure_layout("roc", caption="Figure 7"), tmp_path)
    one = pd.read_csv(table).query("protocol == 'internal'").iloc[0]
    said = text_of(svg)
    assert f"AUC {one['auc']:.3f} ({one['auc_low']:.3f}-{one['auc_high']:.3f})" in said
    assert f"{one['n_positive']} positive of {one['n_positive'] + one['n_negative']} images" in said
    assert f"{one['n_patients']} patients" in said
    assert "Figure 7: plain, net" in said
    assert "100 bootstrap replicates over patients" in said


def test_each_model_and_method_has_a_picture_and_each_training_set_a_column(
    make_labelled_run: Make, figure_layout: Layout, tmp_path: Path
) -> None:
    run = make_labelled_run(labels=("Edema", "Effusion"), images=120)
    names = [path.name for path in roc(run, figure_layout("roc"), tmp_path, band=False, grid=11)]
    assert [name for name in names if name.endswith(".csv")] == [
        "picture-densenet121.csv",
        "picture-inception-resnet-v2.csv",
    ]
    numbers = pd.read_csv(tmp_path / "picture-densenet121.csv")
    assert list(dict.fromkeys(numbers["configuration"])) == ["chexpert-alone", "nih-alone", "both"]
    assert numbers["low"].isna().all()
    only = roc(
        run,
        figure_layout("roc", name="one"),
        tmp_path,
        model="densenet121",
        configuration=["both"],
        protocol="external",
        label="Edema",
        band=False,
    )
    chosen = pd.read_csv(only[2])
    assert set(zip(chosen["configuration"], chosen["protocol"], chosen["label"], strict=True)) == {
        ("both", "external", "Edema")
    }
    assert only[0].name == "one.svg"


def test_a_label_with_one_class_says_so(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    def change(cell: str, frame: pd.DataFrame) -> pd.DataFrame:
        frame["truth:Edema"] = frame["truth:Edema"] * 0
        frame["truth:Effusion"] = np.nan
        return frame.drop(columns=["truth:Cardiomegaly", "score:Cardiomegaly"])

    run = make_labelled_run(**{**SMALL, "labels": ("Edema", "Effusion", "Cardiomegaly")}, change=change)
    svg, _, table = roc(run, figure_layout("roc"), tmp_path)
    said = " ".join(text_of(svg).split())
    assert "not drawn: no positive" in said
    assert "not drawn: no labelled image" in said
    assert "not drawn: not measured" in said
    numbers = pd.read_csv(table)
    assert numbers["true_positive_rate"].isna().all()
    assert set(numbers["reason"].str.split(" among").str[0]) == {"no positive", "no labelled image"}


def test_unknown_patients_are_not_counted(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_labelled_run(**SMALL, change=lambda _, frame: frame.drop(columns="patient_id"))
    said = text_of(roc(run, figure_layout("roc"), tmp_path)[0])
    assert "patients not known" in said
    assert "replicates over images" in said


def test_too_few_patients_have_a_curve_without_a_band(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    def change(_: str, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{"truth:Edema": (frame.index == 7).astype(float)})

    svg, _, table = roc(make_labelled_run(**SMALL, change=change), figure_layout("roc"), tmp_path)
    numbers = pd.read_csv(table)
    assert numbers["true_positive_rate"].notna().all()
    assert numbers["low"].isna().all()
    assert "lack a class: too few patients" in " ".join(text_of(svg).split())


def test_weights_that_have_seen_the_test_set_are_marked(
    make_labelled_run: Make, figure_layout: Layout, text_of: Callable[[Path], str], tmp_path: Path
) -> None:
    run = make_labelled_run(**SMALL)
    run.results.scores.loc[run.scores["test"] == "mimic", "seen"] = True
    assert "mimic (seen in training)" in text_of(roc(run, figure_layout("roc"), tmp_path, band=False)[0])


def test_many_labels_take_several_pages(
    make_labelled_run: Make, figure_layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pages", partial(pages, down=1, across=1))
    run = make_labelled_run(labels=("a", "b"), models=("net",), images=60, trained={"x": ("nih",), "y": ("chexpert",)})
    paths = roc(run, figure_layout("roc"), tmp_path, band=False, grid=3)
    numbers = [pd.read_csv(path) for path in paths if path.suffix == ".csv"]
    assert [path.name for path in paths if path.suffix == ".png"] == [
        "picture.png",
        *(f"picture-{i}.png" for i in (2, 3, 4)),
    ]
    assert [(*set(page["label"]), *set(page["configuration"])) for page in numbers] == [
        ("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"),
    ]  # fmt: skip


def test_wrong_options_are_one_line(make_labelled_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    run, about = make_labelled_run(**SMALL), figure_layout("roc")
    with pytest.raises(UnknownNameError, match="figure picture: unknown label 'Oedema'; did you mean 'Edema'"):
        roc(run, about, tmp_path, label=["Oedema"])
    with pytest.raises(UnknownNameError, match="unknown protocol 'extern'; did you mean 'external'"):
        roc(run, about, tmp_path, protocol="extern")
    with pytest.raises(CardError, match="option 'model': expected a name or a list of names, got 3"):
        roc(run, about, tmp_path, model=3)  # type: ignore[arg-type]
    with pytest.raises(CardError, match="option 'grid': expected a whole number from 2 up, got 1"):
        roc(run, about, tmp_path, grid=1)


def test_nothing_measured_draws_nothing(make_labelled_run: Make, figure_layout: Layout, tmp_path: Path) -> None:
    run = make_labelled_run(**SMALL, change=lambda _, frame: frame.iloc[:0])
    assert roc(run, figure_layout("roc"), tmp_path / "new") == []
    assert not (tmp_path / "new").exists()

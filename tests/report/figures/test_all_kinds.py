"""What every kind of figure keeps: stamp, same bytes, black and white, one line for wrong options, no global state, no torch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

from xrbench import blocks, cards
from xrbench.errors import CardError, StoreError
from xrbench.fixture_notice import STAMP
from xrbench.report.figures.build import draw_figure
from xrbench.report.figures.layout.style import file_name
from xrbench.report.run_folder import Run

OF_LABELS, OF_CLASSES = (
    ("roc", "reliability", "ages", "prevalence"),
    ("confusion", "confidence", "classes", "metrics", "loss"),
)
ONE = {"method": "single", "configuration": "val-split"}
FEW: dict[str, dict[str, Any]] = {"confusion": ONE, "confidence": ONE, "metrics": ONE, "roc": {"label": "Edema"}}
HOSTILE = "<script>x</script> $\\bad{ " * 3
Rows = list[dict[str, Any]]
Layout = Callable[..., cards.FigureLayout]


@pytest.fixture
def runs(
    make_labelled_run: Callable[..., Run], make_class_run: Callable[..., Run], splits: Rows, ages: Rows, tmp_path: Path
) -> Callable[..., dict[str, Run]]:
    """Make the run that each kind is drawn of: ``runs(data="FIXTURE")``."""

    def make(**options: Any) -> dict[str, Run]:
        small = {"images": 60, "replicates": 20, "labels": ("Edema", "Effusion"), "models": ("net",)}
        labelled = make_labelled_run(**small, trained={"n": ("nih",)}, splits=splits, ages=ages, **options)
        parts = [{**entry, "positive": {"a": 3, "b": 4}, "labelled": {"a": 7, "b": 7}} for entry in splits]
        fit = {
            "name": "f",
            "key": "k",
            "method": "single",
            "model": "resnet18",
            "train": ["vindr"],
            "valid": "none",
            "seed": 0,
        }
        classed = make_class_run(classes=("a", "b"), images=40, seeds=(0,), splits=parts, fits=[fit], **options)
        log = classed.folder.parents[1] / "fits" / "k" / "log.csv"
        log.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"epoch": [1, 2], "train_loss": [1.0, 0.5]}).to_csv(log, index=False)
        return {**dict.fromkeys(OF_LABELS, labelled), **dict.fromkeys(OF_CLASSES, classed)}

    return make


@pytest.mark.parametrize("kind", [*OF_LABELS, *OF_CLASSES])
def test_pictures_are_stamped_safe_grey_and_the_same_twice(
    kind: str,
    runs: Callable[..., dict[str, Run]],
    figure_layout: Layout,
    text_of: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    before = dict(mpl.rcParams)
    run = runs(data="FIXTURE")[kind]
    about = cards.FigureLayout(name="../a b/picture", kind=kind, caption=HOSTILE, options=FEW.get(kind, {}))
    first, second = (draw_figure(run, about, tmp_path / name) for name in ("one", "two"))
    assert {path.parent for path in first} == {tmp_path / "one"}
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        if path.suffix == ".csv":
            assert set(pd.read_csv(path)["stamp"]) == {STAMP}
        if path.suffix == ".svg":
            assert STAMP in text_of(path)
            assert "<script>" not in path.read_text()
            assert "$\\bad{" in text_of(path)
            greys = re.findall(r"#[0-9a-f]{6}", path.read_text())
            assert greys
            assert all(grey[1:3] == grey[3:5] == grey[5:7] for grey in greys)
            assert not re.search(r"<dc:date>|20\d\d-\d\d-\d\d", path.read_text())
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("kind", ["roc", "confusion"])
def test_real_figures_have_no_stamp(
    kind: str,
    runs: Callable[..., dict[str, Run]],
    figure_layout: Layout,
    text_of: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    paths = draw_figure(runs()["prevalence"], figure_layout("prevalence"), tmp_path)
    assert STAMP not in text_of(paths[0])
    assert "stamp" not in pd.read_csv(paths[2])


@pytest.mark.parametrize("kind", [*OF_LABELS, *OF_CLASSES])
def test_an_unknown_option_is_one_line(
    kind: str, runs: Callable[..., dict[str, Run]], figure_layout: Layout, tmp_path: Path
) -> None:
    for option in ("folder", "colour"):
        wrong = cards.FigureLayout(name="picture", kind=kind, options={option: "red"})
        with pytest.raises(CardError, match=f"figure '{kind}' has no option '{option}'"):
            draw_figure(runs()[kind], wrong, tmp_path)


def test_long_file_names_are_cut_and_stay_apart() -> None:
    names = [file_name("figure", "model-" * 40, end) for end in ("a", "b")]
    assert len({*names}) == 2
    assert max(map(len, names)) <= 120
    assert file_name("figure", "a" * 50) == "figure-" + "a" * 50


def test_a_place_that_cannot_be_written_is_named(
    runs: Callable[..., dict[str, Run]], figure_layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file: cannot be written"):
        draw_figure(runs()["ages"], figure_layout("ages"), tmp_path / "file")


def test_drawing_needs_no_torch_and_importing_nothing_heavy() -> None:
    modules = sorted({blocks.BLOCKS["figure"][kind].partition(":")[0] for kind in (*OF_LABELS, *OF_CLASSES)})
    code = f"import sys, {', '.join(modules)}; print([m for m in ('torch', 'matplotlib', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

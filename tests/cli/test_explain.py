"""`xrbench explain` on runs of seconds: what it shows is what was measured, and what it cannot do is one line."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xrbench.fixture_notice import STAMP
from xrbench.runs import store

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train

Said = Callable[[], str]
TRAINED = """
models = ["tiny-net"]
[profiles.quick]
image_size = 32
epochs = 1
batch_size = 8
threads = 1
channels_last = false
split = { test_fraction = 0.3, valid_fraction = 0.3, seed = 0 }
"""
CLASSES = """
title = "Exclusive findings"
task = "multiclass"
labels = ["Effusion", "Edema"]
methods = ["one-of", "all-of"]
metrics = ["accuracy"]
[classes]
rule = "exactly-one"
[protocol]
kind = "internal-external"
external = ["west"]
seeds = [0, 1]
configurations = [{ name = "only", train = ["east"], valid = "none" }]
[[figures]]
name = "figure6"
kind = "explain"
caption = "Edema inside and outside"
[figures.options]
label = "Edema"
count = 2
method = "all-of"
"""
BOXED = """
title = "Where boxes are"
labels = ["Effusion"]
methods = ["plain"]
[protocol]
internal = true
settings = [{ train = ["drawn"], valid = "held-out", test = "north", seed = 0 }]
"""
METHODS = {
    "one-of": 'title = "One"\nobjective = "cross-entropy"\nselection = "last"',
    "all-of": 'title = "All"\nensemble = "one-of"',
}
SQUARE = (10, 12, 22, 26)
"""Left, top, right and bottom of the finding in images of 40 x 40 pixels."""


def write_suite(lab: Lab, name: str, text: str) -> None:
    models, profile = TRAINED.strip().split("\n", 1)
    head, protocol = text.strip().split("\n[", 1)
    card = f"{head}\n{models}\n[{protocol}\n{profile}\n"
    (lab.catalogue / "registry" / "suites" / f"{name}.toml").write_text(card)
    for method, method_card in METHODS.items():
        (lab.catalogue / "registry" / "methods" / f"{method}.toml").write_text(method_card)


def run(lab: Lab, suite: str) -> Path:
    given = ("--suite", suite, "--catalogue", lab.catalogue, "--data-root", lab.data, "--out", lab.out, "--quiet")
    assert lab.invoke("run", *given) == 0
    return next((lab.out / suite).iterdir())


def explain(lab: Lab, folder: Path, *more: str | Path, data: Path | None = None) -> int:
    given: list[str | Path] = [
        "--catalogue",
        lab.catalogue,
        "--data-root",
        data or lab.data,
        "--device",
        "cpu",
        "--jobs",
        "1",
    ]
    return lab.invoke("explain", folder, *given, *more)


def shown(capsys: pytest.CaptureFixture[str], lab: Lab, folder: Path, *more: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    assert explain(lab, folder, *more, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(scope="module")
def classes(first_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Two members and their ensemble, on multi-class labels, measured."""
    root = tmp_path_factory.mktemp("classes")
    shutil.copytree(first_lab.catalogue, root / "lab", ignore=shutil.ignore_patterns("__pycache__"))
    lab = type(first_lab)(root / "lab", first_lab.data, root / "runs")
    write_suite(lab, "classes", CLASSES)
    run(lab, "classes")
    return lab


def test_what_is_shown_is_what_was_measured(done: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str | Path] = [
        "--label",
        "Edema",
        "--only",
        "method=plain,train=east+west",
        "--count",
        "4",
        "--into",
        tmp_path / "a",
    ]
    found = shown(capsys, done, done.folder, *asked)
    rows = pd.DataFrame(found["maps"])
    assert set(rows["test"]) == {"east", "west", "north"}
    assert set(rows["protocol"]) == {"internal", "external"}
    assert set(rows["layer"]) == {"layer1, 8 x 8"}, "32 pixels leave 4 x 4 cells in the second stage"
    cells = {entry["cell"]: entry for entry in store.read_manifest(done.folder)["cells"]}
    scores = pd.read_csv(done.folder / "scores.csv")
    for row in found["maps"]:
        frame, _ = store.read_predictions(done.folder / cells[row["cell"]]["file"])
        at = frame[(frame["image"] == row["image"]) & (frame["dataset"] == row["dataset"])].iloc[0]
        assert row["score"] == pytest.approx(at["score:Edema"])
        assert row["truth"] == at["truth:Edema"]
        fixed = scores[(scores["cell"] == row["cell"]) & (scores["label"] == "Edema")]["threshold"].dropna().item()
        assert row["threshold"] == pytest.approx(fixed)
        assert row["predicted"] == ("Edema" if at["score:Edema"] >= fixed else "no Edema")
    written = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert written == ["about.json", "index.csv", *(f"panels-Edema.{form}" for form in ("csv", "png", "svg"))]
    with Image.open(tmp_path / "a" / "panels-Edema.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10
    assert shown(capsys, done, done.folder, *asked[:-1], tmp_path / "b")["maps"] == found["maps"]
    assert [(tmp_path / "b" / name).read_bytes() for name in written] == [
        (tmp_path / "a" / name).read_bytes() for name in written
    ]


def test_another_question_replaces_the_last_one(done: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--only", "method=plain,test=north", "--count", "1", "--quiet"]
    assert explain(done, done.folder, "--label", "Edema", "--maps", *where) == 0
    assert (done.folder / "explained" / "maps.npz").exists()
    assert explain(done, done.folder, "--label", "Effusion", *where) == 0
    assert {path.stem for path in (done.folder / "explained").iterdir()} == {"about", "index", "panels-Effusion"}


def test_the_map_of_an_ensemble_is_the_mean_of_its_members(
    classes: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = next((classes.out / "classes").iterdir())
    frame, _ = store.read_predictions(folder / store.read_manifest(folder)["cells"][0]["file"])
    image = str(frame["image"].iloc[0])
    asked: list[str | Path] = [
        "--image",
        f"west/{image}",
        "--only",
        "test=west",
        "--target",
        "Edema",
        "--label",
        "Edema",
        "--maps",
    ]
    found = shown(capsys, classes, folder, *asked, "--into", tmp_path)
    with np.load(tmp_path / "maps.npz") as arrays:
        maps = {row["method"]: [] for row in found["maps"]}  # type: ignore[var-annotated]
        for row in found["maps"]:
            maps[row["method"]].append(arrays[f"map-{row['map']}"].astype(float))
    assert {name: len(of) for name, of in maps.items()} == {"one-of": 2, "all-of": 1}
    np.testing.assert_allclose(maps["all-of"][0], np.mean(maps["one-of"], axis=0), atol=2e-3)
    assert np.abs(maps["one-of"][0] - maps["one-of"][1]).max() > 0.01, "members differ"
    (together,) = (row for row in found["maps"] if row["members"] == 2)
    assert together["method"] == "all-of"


def test_of_exclusive_classes_the_predicted_one_is_explained(
    classes: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = next((classes.out / "classes").iterdir())
    asked = ["--label", "Edema", "--only", "method=all-of,test=west", "--count", "6", "--into", str(tmp_path)]
    targets = {"": [], **{target: ["--target", target] for target in ("predicted", "truth", "Edema")}}
    found = {target: shown(capsys, classes, folder, *asked, *more)["maps"] for target, more in targets.items()}
    assert found[""] == found["predicted"]
    assert all(row["target"] == row["predicted"] for row in found[""])
    assert all(row["target"] == row["actual"] for row in found["truth"])
    assert {row["target"] for row in found["Edema"]} == {"Edema"}
    assert any(row["predicted"] != row["actual"] for row in found[""])


def test_a_suite_s_figure_is_computed_once_and_drawn_without_torch(
    classes: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xrbench import api
    from xrbench.explain import explain_for_suite
    from xrbench.report.pages.publish import publish

    lab = type(classes)(classes.catalogue, classes.data, tmp_path / "runs")
    shutil.copytree(classes.out, lab.out)
    folder = next((lab.out / "classes").iterdir())
    suite = api.suite("classes", catalogues=[lab.catalogue])
    bound = api.plan(suite, data_root=lab.data, out=lab.out)
    (made,) = explain_for_suite(folder, bound, suite.catalogue, device="cpu")
    assert made == folder.resolve() / "explained" / "figure6"
    before = {path.name: path.stat().st_mtime_ns for path in made.iterdir()}
    assert explain_for_suite(folder, bound, suite.catalogue, device="cpu") == [made]
    assert {path.name: path.stat().st_mtime_ns for path in made.iterdir()} == before
    publish(folder, suite.catalogue)
    (picture,) = (folder / "figures").glob("figure6*.svg")
    text = picture.read_text(encoding="utf-8")
    assert "Edema inside and outside" in text
    assert "external: west" in text
    assert "figure6-Edema.svg" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_figure_that_cannot_be_explained_does_not_end_the_run(classes: Lab, tmp_path: Path) -> None:
    import msgspec

    from xrbench import api
    from xrbench.cards import FigureLayout
    from xrbench.explain import explain_for_suite
    from xrbench.progress import Silent

    class Listening(Silent):
        said: list[str] = []  # noqa: RUF012

        def line(self, text: str) -> None:
            self.said.append(text)

    folder = next((classes.out / "classes").iterdir())
    suite = api.suite("classes", catalogues=[classes.catalogue])
    bound = api.plan(suite, data_root=classes.data, out=classes.out)
    wrong = FigureLayout(name="wrong", kind="explain", options={"layer": "layer9"})
    changed = msgspec.structs.replace(bound.plan.suite, figures=(wrong,))
    bound.plan = msgspec.structs.replace(bound.plan, suite=changed)
    told = Listening()
    assert explain_for_suite(folder, bound, suite.catalogue, device="cpu", reporter=told) == []
    assert any(line.startswith("figure wrong: not explained: model tiny-net: unknown layer") for line in told.said)


@pytest.fixture
def boxed(lab: Lab) -> Lab:
    """A hospital in the layout of ChestX-ray14 whose readers drew boxes around bright squares, beside one without boxes."""
    (lab.catalogue / "registry" / "datasets" / "drawn.toml").write_text('title = "Drawn"\nreader = "nih"\n')
    write_suite(lab, "boxed", BOXED)
    folder, rng = lab.data / "drawn", np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    entries, boxes = [], []
    left, top, right, bottom = SQUARE
    for number in range(48):
        name, ill = f"{number:08}_000.png", number % 2 == 0
        pixels = rng.normal(100, 10, (40, 40))
        pixels[top:bottom, left:right] += 80 * ill
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "images" / name)
        entries.append([name, "Effusion" if ill else "No Finding", 0, f"{number // 4:08}", "050Y", "F", "PA"])
        boxes += [[name, "Effusion", left, top, right - left, bottom - top]] if ill else []
    head = [
        "Image Index",
        "Finding Labels",
        "Follow-up #",
        "Patient ID",
        "Patient Age",
        "Patient Gender",
        "View Position",
    ]
    for file, header, rows in (
        ("Data_Entry_2017_v2020.csv", head, entries),
        ("BBox_List_2017.csv", ["Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"], boxes),
    ):
        with (folder / file).open("w", newline="") as out:
            csv.writer(out).writerows([header, *rows])
    return lab


def test_maps_are_measured_against_boxes(boxed: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(boxed, "boxed")
    found = shown(capsys, boxed, folder, "--boxes", "--maps", "--count", "99", "--into", tmp_path)
    rows = pd.DataFrame(found["maps"])
    left, top, right, bottom = (round(edge * 32 / 40) for edge in SQUARE)
    with np.load(tmp_path / "maps.npz") as arrays:
        drawn = rows[(rows["map"] >= 0) & (rows["dataset"] == "drawn") & (rows["truth"] == 1)]
        assert len(drawn) > 3
        for _, row in drawn.iterrows():
            values = arrays[f"map-{row['map']}"].astype(float)
            assert row["share"] == pytest.approx(values[top:bottom, left:right].sum() / values.sum(), abs=0.01)
    assert rows.loc[rows["truth"] == 0, "share"].isna().all()
    assert rows.loc[rows["dataset"] == "north", "share"].isna().all()
    share, hit = found["agreement"]
    assert (share["figure"], share["protocol"], share["test"]) == ("share", "internal", "drawn")
    held_out = rows[~rows["shown"]]
    assert share["n_images"] == len(held_out) > 3
    assert share["n_patients"] == held_out["patient_id"].nunique() < len(held_out)
    assert share["value"] == pytest.approx(held_out["share"].mean())
    assert share["chance"] == pytest.approx((right - left) * (bottom - top) / 32**2)
    assert hit["value"] == pytest.approx(held_out["hit"].mean())
    boxes = pd.read_csv(tmp_path / "boxes.csv")
    assert set(boxes["label"]) == {"Effusion"}
    assert (boxes[["x0", "y0", "x1", "y1"]].iloc[0] * 40 / 32).tolist() == pytest.approx(SQUARE)
    assert explain(boxed, folder, "--boxes", "--only", "test=north") == 1
    assert capsys.readouterr().err.strip() == "error: north: no boxes of Effusion on images of the run"
    with (boxed.data / "drawn" / "BBox_List_2017.csv").open("a") as file:
        file.write("00000000_000.png,Effusion,30,30,400,5\n")
    assert explain(boxed, folder, "--boxes", "--quiet") == 3
    message = capsys.readouterr().err.strip()
    assert "00000000_000.png" in message
    assert "outside of 40 x 40 pixels" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "Edma"], "suite tiny: unknown label 'Edma'; did you mean 'Edema'?"),
        (["--image", "0001.png"], "the chosen cells: unknown image '0001.png'; did you mean '001.png'?"),
        (["--target", "predict"], "unknown target 'predict'; did you mean 'predicted'?"),
        (["--technique", "grad-cam"], "unknown technique 'grad-cam'; did you mean 'gradcam'?"),
        (["--layer", "layer33"], "model tiny-net: unknown layer 'layer33'; did you mean 'layer3'?"),
        (["--layer", "fc"], "model tiny-net: layer 'fc' gives no map of an image of 32 x 32 pixels, it gives 2"),
        (["--only", "test=sout"], "no test 'sout'; known: east, north, west"),
        (["--only", "methd=plain"], "--only methd=plain: unknown field 'methd'; did you mean 'method'?"),
        (["--images", "none.txt"], "--images none.txt: cannot be read: No such file or directory"),
        (["--count", "0"], "0 is not in the range x>=1"),
        (["--device", "abacus"], "--device abacus: expected cpu, cuda, cuda:0, mps or auto"),
    ],
)
def test_wrong_words_are_one_line(done: Lab, said: Said, words: list[str], message: str) -> None:
    assert explain(done, done.folder, "--only", "method=plain", *words, "--quiet") == 3
    line = said().strip()
    assert message in line
    assert len(line.splitlines()) == 1


def test_data_that_moved_are_one_line(done: Lab, tmp_path: Path, said: Said) -> None:
    few = ["--only", "method=plain,test=north", "--count", "1", "--quiet"]
    (tmp_path / "empty").mkdir()
    assert explain(done, done.folder, *few, data=tmp_path / "empty") == 1
    assert f"missing: north   expected in {tmp_path / 'empty' / 'north'}" in said()
    assert done.invoke("explain", done.folder, "--catalogue", done.catalogue, *few) == 1
    assert "missing: north   expected in a data root (--data-root)" in said()
    shutil.copytree(done.data, tmp_path / "moved")
    assert explain(done, done.folder, *few, data=tmp_path / "moved") == 0
    assert said() == ""


def test_other_pixels_or_weights_are_noticed(done: Lab, tmp_path: Path, said: Said) -> None:
    few = ["--only", "method=plain,train=east+west,test=north", "--label", "Edema", "--quiet"]
    shutil.copytree(done.data, tmp_path / "changed")
    for path in (tmp_path / "changed" / "north" / "images").iterdir():
        Image.fromarray(np.full((40, 40), 255, np.uint8)).save(path)
    assert explain(done, done.folder, *few, data=tmp_path / "changed") == 3
    assert "when it was measured: its pixels or the weights are others" in said()
    path = tmp_path / "changed" / "north" / "labels.csv"
    path.write_text(path.read_text().replace(".png", ".png2"))
    assert explain(done, done.folder, *few, data=tmp_path / "changed") == 3
    assert "of the run is not listed in" in said()
    for weights in (done.out / "fits").glob("*/weights.pt"):
        weights.write_bytes(weights.read_bytes()[:1000])
    assert explain(done, done.folder, *few) == 3
    assert "weights.pt: broken" in said()
    shutil.rmtree(done.out / "fits")
    assert explain(done, done.folder, *few) == 3
    assert "the run's weights are not there any more; run it again" in said()


def test_synthetic_images_below_out_are_found_and_stamped(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    for card in (lab.catalogue / "registry" / "datasets").glob("*.toml"):
        card.write_text(card.read_text() + "synthetic = true\n")
    assert lab.run("--quiet", "--only", "method=plain,train=east+west") == 0
    lab.data.rename(lab.out / "fixture")
    capsys.readouterr()
    given: list[str | Path] = [
        "--catalogue",
        lab.catalogue,
        "--out",
        lab.out,
        "--label",
        "Edema",
        "--count",
        "1",
        "--quiet",
    ]
    assert lab.invoke("explain", "tiny", *given) == 0
    assert capsys.readouterr().out.startswith(STAMP)
    folder = lab.folder / "explained"
    assert STAMP in (folder / "panels-Edema.svg").read_text(encoding="utf-8")
    assert set(pd.read_csv(folder / "index.csv")["stamp"]) == {STAMP}


def test_without_the_library_it_is_said_what_to_install(done: Lab, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    assert explain(done, done.folder, "--quiet") == 3
    assert 'pip install "xrbench[train]"' in said()
    assert os.environ.get("XRBENCH_TRACEBACK") is None

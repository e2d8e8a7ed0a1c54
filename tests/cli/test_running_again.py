"""The same command again, a larger one, or one on data that changed: only what is missing is done, nothing stale is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.cli.conftest import Lab

pytestmark = pytest.mark.train
Said = Callable[[], str]


def stored(lab: Lab) -> dict[str, bytes]:
    """Return every stored fit and cell with its content."""
    files = [*lab.out.glob("cells/*.parquet"), *lab.out.glob("fits/*/weights.pt")]
    return {str(path.relative_to(lab.out)): path.read_bytes() for path in files}


def manifest(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((lab.folder / "manifest.json").read_text())
    return found


def cells(lab: Lab) -> dict[str, str]:
    return {entry["cell"]: entry["key"] for entry in manifest(lab)["cells"]}


def test_the_same_command_does_nothing_twice_and_says_so(done: Lab, said: Said) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.out.rglob("*") if path.is_file()}
    written = manifest(done)
    assert done.run() == 0
    words = said()
    assert "24 of 24 cells are there, 0 to do\n" in words
    assert "fit 1" not in words
    changed = {path.name for path in before if path.stat().st_mtime_ns != before[path] and path.parent != done.folder}
    assert not {name for name in changed if name.endswith((".parquet", ".pt", ".u8"))}
    assert manifest(done) == written
    assert all(entry["training"]["images_per_second"] > 0 for entry in written["fits"])
    assert "\n## Trainings\n" in (done.folder / "README.md").read_text()


def test_one_more_seed_and_one_more_method_are_only_added(done: Lab, said: Said) -> None:
    before, names = stored(done), cells(done)
    assert done.run("--seed", "0", "--seed", "1", "--only", "method=plain,train=east+west") == 0
    assert "4 of 8 cells are there, 4 to do\n" in said()
    after = stored(done)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 5
    assert cells(done).items() > names.items()
    (done.catalogue / "registry" / "methods" / "third.toml").write_text('title = "Third"\nepochs = 2\n')
    assert done.run("--only", "method=third,train=east+west") == 0
    assert "0 of 4 cells are there, 4 to do\n" in said()
    assert len(cells(done)) == 24 + 4 + 4
    (done.catalogue / "registry" / "methods" / "third.toml").unlink()


def test_one_image_with_other_content_redoes_exactly_what_it_is_part_of(done: Lab, lab: Lab, said: Said) -> None:
    mine = type(done)(done.catalogue, lab.data, done.out)
    assert mine.run("--quiet") == 0, "a copy of the data: nothing is trained again"
    first, keys = stored(mine), cells(mine)
    path = mine.data / "east" / "images" / "000.png"
    image = Image.open(path)
    image.putpixel((3, 3), (int(image.getpixel((3, 3)) or 0) + 90) % 256)  # type: ignore[arg-type]
    image.save(path)
    assert mine.run("--only", "method=plain", "--quiet") == 0
    kept = {name for name, key in cells(mine).items() if keys[name] == key}
    now = manifest(mine)
    on = {entry["cell"]: [*entry["train"], entry["test"]] for entry in now["cells"]}
    assert all("east" in on[name] for name in set(on) - kept)
    assert all(name in kept for name, datasets in on.items() if "east" not in datasets)
    assert any(name in kept for name in on if name.startswith("fancy/")), "what did not change stays"
    gone = set(keys) - set(on)
    assert gone, "cells of the other method on this image are no longer part of the run"
    assert all(name.startswith("fancy/") for name in gone)
    said()
    assert mine.run("--quiet") == 0
    assert set(cells(mine)) == set(keys)
    changed = {name.removeprefix("fancy").removeprefix("plain") for name in keys if cells(mine)[name] != keys[name]}
    assert {name for name in keys if cells(mine)[name] != keys[name]} == {
        f"{method}{rest}" for rest in changed for method in ("fancy", "plain")
    }
    image.putpixel((3, 3), (int(image.getpixel((3, 3)) or 0) - 90) % 256)  # type: ignore[arg-type]
    image.save(path)
    assert mine.run() == 0
    assert "24 of 24 cells are there, 0 to do\n" in said()
    assert cells(mine) == keys
    assert stored(mine).items() >= first.items()


def test_another_label_redoes_what_it_is_part_of(done: Lab, lab: Lab, said: Said) -> None:
    mine = type(done)(done.catalogue, lab.data, done.out)
    table = mine.data / "north" / "labels.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1][:-1] + ("0" if lines[1].endswith("1") else "1")
    table.write_text("\n".join(lines) + "\n")
    before = stored(mine)
    assert mine.run("--only", "method=plain") == 0
    words = said()
    assert "3 of 12 cells are there, 9 to do\n" in words, "east+west on its own patients and in validation"
    assert "fit 2/2 plain tiny-net west+north" in words
    assert len(list((mine.out / "tiny").iterdir())) == 2, "other labels are other data: a run of its own"
    assert {name: stored(mine)[name] for name in before} == before


def test_failing_methods_are_named_and_the_others_go_on(lab: Lab, said: Said) -> None:
    words = ("--only", "method=never,broken,plain,train=east+west", "--quiet")
    assert lab.run(*words) == 1
    lines = said().splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["failed", f"{method}/tiny-net/east+west/valid-held-out/seed-0"] for method in ("never", "broken")
    ]
    assert "epoch 1, step 1: the loss is nan" in lines[0]
    assert lines[1].endswith("KeyError: 'a weight of this label' (blocks.py, line 14)")
    entries = manifest(lab)["cells"]
    assert {entry["method"] for entry in entries if entry["failed"]} == {"never", "broken"}
    page = (lab.folder / "README.md").read_text()
    assert "- Failed: broken/tiny-net/east+west/valid-held-out/seed-0: KeyError" in page
    assert "| plain |" in page
    assert lab.run("--only", "method=never,train=east+west", "--quiet") == 1
    assert said().startswith("failed: never/")


def test_a_run_in_which_all_fails_ends_with_the_reasons(lab: Lab, said: Said) -> None:
    assert lab.run("--only", "method=never,train=east+west", "--quiet") == 1
    assert said().startswith("failed: never/tiny-net/east+west/valid-held-out/seed-0: epoch 1, step 1: the loss is nan")
    assert lab.invoke("report", lab.folder) == 3
    assert "holds no scores.csv" in said()


def test_exit_codes_of_comparisons(done: Lab, said: Said, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = str(done.out)
    assert done.invoke("compare", out, out, "--gate", "--quiet") == 0
    half = type(done)(done.catalogue, done.data, tmp_path / "half")
    assert half.run("--only", "method=fancy,train=east+west", "--quiet") == 0
    capsys.readouterr()
    assert done.invoke("compare", half.out, "--quiet") == 2
    assert "not measured in" in (printed := capsys.readouterr().out)
    assert "method plain\n\nnothing was measured" in printed
    assert done.invoke("compare", half.out, "--methods", "fancy,plan", "--quiet") == 3
    assert "unknown method 'plan'; did you mean 'plain'?" in said()
    assert done.invoke("compare", out, half.out, "--gate", "--quiet") == 2
    assert done.invoke("compare", out, "--gate", "--quiet") == 3
    assert "--gate compares two runs: name a second one" in said()
    assert done.invoke("compare", out, "--only", "test=nowhere", "--quiet") == 3
    assert "--only test=nowhere: nothing in" in said()
    assert done.invoke("compare", out, out, "--metric", "acu") == 3
    assert "unknown metric 'acu'; did you mean 'auc'?" in said()


def test_reports_of_what_is_not_there(done: Lab, said: Said) -> None:
    assert done.invoke("report", "--out", done.out, "--suite", "tniy") == 3
    assert "no run of suite 'tniy' in it; did you mean 'tiny'?" in said()
    assert done.invoke("report", done.out, "--table", "setings", "--catalogue", done.catalogue) == 3
    assert "unknown table 'setings'; did you mean 'settings'?" in said()
    assert done.invoke("report", done.out, "--format", "mdd") == 3
    assert "unknown format 'mdd'; did you mean 'md'?" in said()
    assert done.invoke("reproduce", done.out) == 3
    assert "suite tiny: has no paper with reported figures" in said()
    assert done.invoke("leaderboard", done.out, "--into", done.out, "--predictions") == 3
    assert "these terms do not allow to be published" in said()
    assert not (done.out / "leaderboards").exists()


def test_a_suite_can_be_named_in_the_place_of_its_run(done: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert done.invoke("report", "tiny", "--out", done.out, "--catalogue", done.catalogue) == 0
    by_name = capsys.readouterr().out
    assert done.invoke("report", done.folder, "--catalogue", done.catalogue) == 0
    assert capsys.readouterr().out == by_name


def test_a_report_leaves_nothing_of_an_earlier_one(done: Lab) -> None:
    stale = done.folder / "tables" / "gone.md"
    stale.write_text("of a table that the suite no longer has")
    notes = done.folder / "tables" / "my-notes.docx"
    notes.write_text("mine")
    assert done.invoke("report", done.folder, "--catalogue", done.catalogue) == 0
    assert not stale.exists()
    assert notes.exists()
    assert (done.folder / "tables" / "settings.md").is_file()

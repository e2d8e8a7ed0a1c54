"""A page is a pure function of the files beside it, and every committed page can be made again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xrbench import compare
from xrbench.catalogue import Catalogue, open_catalogue, shipped
from xrbench.compare.scores_io import PREDICTIONS, open_results
from xrbench.errors import MeasureError, StoreError, UsageError
from xrbench.fixture_notice import STAMP
from xrbench.report.pages import leaderboard
from xrbench.report.run_folder import open_run, paper_of, run_of_scores, suite_of
from xrbench.runs import store

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def out(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An --out folder with one run."""
    out = tmp_path_factory.mktemp("out")
    make_run(out, {"plain": 1.5, "fancy": 2.5})
    return out


@pytest.fixture
def run(out: Path) -> Path:
    """The run folder."""
    return out / "small" / "r1"


@pytest.fixture
def catalogue() -> Catalogue:
    """The shipped cards."""
    return Catalogue([shipped()])


def test_every_committed_page_is_what_its_files_say() -> None:
    catalogue = open_catalogue()
    for folder in catalogue.leaderboards().values():
        assert (folder / "README.md").read_text(encoding="utf-8") == leaderboard.render(folder, catalogue), folder


def test_a_written_page_can_be_rendered_again(run: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    folder = leaderboard.write(run, tmp_path, catalogue, caveats=["Small & selected <sets>."])
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text == leaderboard.render(folder, catalogue)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "meta.json", "scores.csv"]
    assert (folder / "scores.csv").read_bytes() == (run / "scores.csv").read_bytes()
    for expected in (
        f"> **{STAMP}**",
        "xrbench run --suite small --out DIR",
        "- Small &amp; selected &lt;sets&gt;.",
        "- Made: 2026-11-20",
        "**fancy minus plain, external test AUC, methods, trained anew: trainings and patients vary**",
        "Gap internal minus external: 0.",
        "**AUC of every cell and label**",
    ):
        assert expected in text
    assert "/somewhere" not in text + (folder / "meta.json").read_text()
    assert str(run.parent.parent) not in text + (folder / "meta.json").read_text()


def test_the_page_says_what_the_comparison_says(run: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    text = (leaderboard.write(run, tmp_path, catalogue) / "README.md").read_text(encoding="utf-8")
    card = suite_of(store.read_manifest(run))
    how = compare.CompareOptions(replicates=card.interval.replicates)
    (part,) = compare.compare_methods(open_results(run), card.comparisons, how).sections
    for row in part.rows:
        assert re.search(
            rf"\| {row.label} \| 2 \| .* \| {re.escape(f'{row.difference:+.3f}')} \| .*{row.verdict} \|", text
        )


def test_ids_of_patients_are_published_only_where_every_card_allows_it(
    out: Path, catalogue: Catalogue, tmp_path: Path
) -> None:
    run = shutil.copytree(out, tmp_path / "out") / "small" / "r1"
    manifest = store.read_json(run / store.MANIFEST)
    manifest["datasets"][1]["shareable"] = False
    store.write_json(run / store.MANIFEST, manifest)
    with pytest.raises(UsageError, match=r"^b: predictions hold image and patient ids"):
        leaderboard.write(run, tmp_path / "boards", catalogue, predictions=True)
    assert not (tmp_path / "boards").exists()
    assert (leaderboard.write(run, tmp_path / "boards", catalogue) / "scores.csv").is_file()


def test_a_board_with_predictions_gates_like_the_run(
    out: Path, run: Path, catalogue: Catalogue, tmp_path: Path
) -> None:
    folder = leaderboard.write(run, tmp_path, catalogue, predictions=True)
    found = compare.run(folder / "scores.csv", out, gate=True, replicates=100)
    assert isinstance(found, compare.Gate)
    assert found.exit_code == 0
    assert all(part.paired for part in found.comparison.sections)
    frame, _ = store.read_predictions(folder / PREDICTIONS)
    assert {"image", "patient_id", "dataset", "cell"} == {name for name in map(str, frame.columns) if ":" not in name}
    leaderboard.write(run, tmp_path, catalogue)
    assert not (folder / PREDICTIONS).exists()


def test_missing_predictions_are_named(make_run: MakeRun, catalogue: Catalogue, tmp_path: Path) -> None:
    run = make_run(tmp_path / "out", {"plain": 1.5})
    next((tmp_path / "out" / "cells").glob("*.parquet")).unlink()
    with pytest.raises(MeasureError, match=r"plain/net/.*: predictions are missing"):
        leaderboard.write(run, tmp_path, catalogue, predictions=True)


def test_the_page_of_a_run_shows_its_figures(run: Path, catalogue: Catalogue) -> None:
    (run / "figures").mkdir(exist_ok=True)
    (run / "figures" / "forest-auc.svg").write_text("<svg/>")
    assert "![forest-auc](figures/forest-auc.svg)" in leaderboard.page_of_run(open_run(run, catalogue))


def test_real_results_stand_beside_the_paper(catalogue: Catalogue, run: Path, paper_scores: pd.DataFrame) -> None:
    meta = leaderboard.meta_of(store.read_manifest(run), [], [])
    card = catalogue.suite("ood-cxr")
    alone = run_of_scores(paper_scores, card, paper=paper_of(card, catalogue))
    text = leaderboard.page(alone, {**meta, "data": "real"})
    assert "119 reproduced, 0 near, 0 differs, 0 cannot tell, 0 not measured, of 119 reported figures." in text
    assert STAMP not in text


def test_what_failed_is_said(run: Path) -> None:
    manifest = store.read_manifest(run)
    manifest["cells"][0]["failed"] = "loss is not a number"
    manifest["missing"] = {"mimic": "expected in /data/mimic"}
    meta = leaderboard.meta_of(manifest, [], [])
    text = leaderboard.page(run_of_scores(open_results(run).scores, suite_of(manifest)), meta)
    assert f"- Failed: {manifest['cells'][0]['cell']}: loss is not a number" in text
    assert "- Not measured, data missing: mimic" in text
    assert "/data" not in text


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, catalogue: Catalogue) -> None:
    with pytest.raises(StoreError, match=r"holds no scores\.csv"):
        leaderboard.write(tmp_path, tmp_path, catalogue)
    with pytest.raises(StoreError, match="not a run folder"):
        open_run(tmp_path, catalogue)


def test_a_leaderboard_keeps_who_stood_on_which_side(run: Path) -> None:
    sides = [{"dataset": "a", "split": "train", "images": 3}]
    meta = leaderboard.meta_of({**store.read_manifest(run), "splits": sides, "ages": []}, [], [])
    assert (meta["splits"], meta["ages"]) == (sides, [])
    assert "splits" not in leaderboard.meta_of(store.read_manifest(run), [], [])

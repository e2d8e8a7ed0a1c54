"""Make every leaderboard again from its stored predictions: scores, conclusions, page, and each table in every form.

    python tests/leaderboards/remake.py OUT                        # the leaderboards of this checkout
    python tests/leaderboards/remake.py OUT --leaderboards DIR     # those of another one
    python tests/leaderboards/remake.py OUT --only open-cxr        # one of them
    python tests/leaderboards/remake.py OUT --more                 # with figures and stand-in patients, see below

``OUT/<suite>/`` is a leaderboard folder as ``xrbench leaderboard`` writes it, with ``tables/*.{csv,md,tex}`` of every table that the
suite gets, and ``predictions.csv``: the number of rows of each cell, and a digest of each column of ids, truth and scores. A run
folder is laid out from ``meta.json`` and ``predictions.parquet``; then the functions behind ``xrbench score``, ``xrbench leaderboard``
and ``xrbench report`` are called on it. One process, no clock, no unseeded generator: the same code writes the same bytes.

A leaderboard keeps less than its run, so that some things are not made again:

* ``analyses/subgroups.csv`` needs sex and age of each patient, and ``analyses/policies.csv`` the published states of each label.
  Neither is published with the predictions: both files are copied from the leaderboard folder, and the page is made with them.
  ``--more`` makes both, and a decision curve, of sex, age and states that follow from ids: ``stand-in/*.csv`` says nothing of anybody,
  but the same code must write the same bytes.
* Figures are not on pages of leaderboards. ``--more`` draws them and keeps the numbers of each (``figures/*.csv``) and the run's page
  (``run.md``); curves need the training logs, and pictures the images: neither is stored.
* What the run says about its data and machine (``meta.json``: datasets, splits, ages, environment, command, date, caveats) is carried
  over; only the comparisons in it are computed again. No leaderboard has a failed cell; one would be lost from ``meta.json``.
* Which fits an ensemble is made of is not stored. Its validation cell is found by the name they share, which gives the same thresholds.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from xrbench import analyses, cards, scoring
from xrbench.catalogue import Catalogue, open_catalogue
from xrbench.compare.scores_io import META, PREDICTIONS, open_results
from xrbench.rendering import table as writers
from xrbench.report.pages import leaderboard, publish
from xrbench.report.run_folder import open_run
from xrbench.report.tables import build
from xrbench.runs import store
from xrbench.runs.run_cell import GIVEN

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
COPIED = ("subgroups", "policies")
"""Analyses that need more of each image than is published."""
FORMS = ("csv", "md", "tex")
HEAD = (
    "setting",
    "configuration",
    "method",
    "model",
    "members",
    "valid",
    "test",
    "protocol",
    "seed",
    "seen",
    "cell",
    "key",
)
"""Columns of the scores that describe a cell; ``train`` is a list in a manifest."""
STAND_IN = cards.Analyses(
    decision_thresholds=(0.1, 0.3, 0.5),
    subgroups=(cards.SubgroupRule(column="sex"), cards.SubgroupRule(column="age", bands=(30.0, 60.0))),
    policies=(cards.PolicyRule(name="ones", uncertain="ones"), cards.PolicyRule(name="zeros", uncertain="zeros")),
)
"""What is asked about patients whose sex, age and states follow from their ids."""


def remake(board: Path, out: Path, catalogue: Catalogue, *, more: bool = False) -> Path:
    """Make one leaderboard again.

    Args:
        board: A leaderboard folder with predictions.
        out: Where ``<suite>/`` is written; what stands there is replaced.
        catalogue: Where papers' reported figures are.
        more: Whether to add the numbers of figures, and analyses of stand-in patients.

    Returns:
        The written folder.
    """
    shutil.rmtree(out / board.name, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        run = lay_out(board, Path(temporary))
        scoring.score_run(run)
        analyses.analyse_run(run)
        for name in COPIED:
            made = run / analyses.FOLDER / f"{name}.csv"
            if made.is_file():
                shutil.copyfile(board / analyses.FOLDER / made.name, made)
        caveats = store.read_json(board / META)["caveats"]
        written = leaderboard.write(run, out, catalogue, predictions=True, caveats=caveats)
        opened = open_run(run, catalogue)
        for table in build.every_table(opened):
            writers.save(table, written / "tables", FORMS)
        if more:
            keep_figures(run, written, catalogue)
            judge_stand_ins(run, written)
    store.write_csv(written / "predictions.csv", digests(store.read_predictions(written / PREDICTIONS)[0]))
    return written


def lay_out(board: Path, out: Path) -> Path:
    """Write the run folder that a leaderboard was made of, with its cells, and return it."""
    meta = store.read_json(board / META)
    folder = store.Store(out).run_folder(board.name, "remade")
    predictions, _ = store.read_predictions(board / PREDICTIONS)
    of_cell = dict(iter(predictions.groupby("cell", sort=False)))
    entries = []
    for entry in cells(board):
        frame = of_cell[entry["cell"]].drop(columns="cell").reset_index(drop=True)
        store.write_predictions(store.Store(out).cell_file(entry["key"]), frame, {"key": entry["key"]})
        entries.append({**entry, "file": f"../../cells/{entry['key']}.parquet"})
    manifest = {
        **{name: value for name, value in meta.items() if name not in ("date", "failed", "caveats", "comparisons")},
        "format": store.MANIFEST_FORMAT,
        "missing": dict.fromkeys(meta["missing"], ""),
        "fits": [],
        "cells": entries,
        "written": meta["date"],
    }
    store.write_json(folder / store.MANIFEST, manifest)
    return folder


def keep_figures(run: Path, written: Path, catalogue: Catalogue) -> None:
    """Draw the figures of a run and keep their numbers, and the run's page."""
    publish.publish(run, catalogue)
    (written / "figures").mkdir()
    for path in (run / "figures").glob("*.csv"):
        shutil.copyfile(path, written / "figures" / path.name)
    shutil.copyfile(run / publish.PAGE, written / "run.md")


def judge_stand_ins(run: Path, written: Path) -> None:
    """Judge a run's predictions with sex, age and states of labels that follow from ids, whatever the suite asks for."""
    results = open_results(run)
    assert results.card is not None

    def load(cell: str) -> pd.DataFrame:
        frame = results.predictions(cell)
        assert frame is not None
        return with_stand_ins(frame)

    suite = msgspec.structs.replace(results.card, tables=(), analyses=STAND_IN)
    for name, frame in analyses.analyse(dataclasses.replace(results, predictions=load), suite).items():
        store.write_csv(written / "stand-in" / f"{name}.csv", frame)


def with_stand_ins(frame: pd.DataFrame) -> pd.DataFrame:
    """Add columns ``sex``, ``age`` and ``raw:<label>``: a fifth of the images is uncertain (-1), a fifth blank (NaN)."""
    patient, image = (frame[name].map(lambda text: zlib.crc32(str(text).encode())) for name in ("patient_id", "image"))
    added = frame.assign(sex=patient.mod(2).map({0: "F", 1: "M"}), age=(patient // 2).mod(90).astype(float))
    for label in store.labels_of(frame):
        truth = frame[f"truth:{label}"].astype(float)
        added[f"raw:{label}"] = truth.mask(image % 5 == 0, -1.0).mask(image % 5 == 1)
    return added


def cells(board: Path) -> Iterator[dict[str, Any]]:
    """Describe the cells of a leaderboard as a manifest does, in the order of its scores."""
    scores = pd.read_csv(board / store.SCORES, keep_default_na=False)
    for row in scores.drop_duplicates("cell").to_dict("records"):
        train = [name for name in str(row["train"]).split("+") if name]
        head = [*HEAD, *({GIVEN} & set(scores))]
        yield {**{name: row[name] for name in head}, "train": train, "fits": [row["cell"].rpartition("/")[0]]}


def digests(frame: pd.DataFrame) -> pd.DataFrame:
    """Describe stored predictions in a form that renamed words do not touch.

    Returns:
        One row a column of ids, truth or scores, with a digest of its values in their order; and one row a cell and dataset, in the
        order in which they come, with the number of its rows.
    """
    named = (frame["cell"] + "/" + frame["dataset"]).value_counts(sort=False)
    rows = [{"column": str(name), "rows": int(count), "digest": ""} for name, count in named.items()]
    for name in frame.columns:
        if name not in ("cell", "dataset"):
            values = frame[name].map(repr if frame[name].dtype.kind == "f" else str)
            digest = hashlib.sha256("\n".join(values).encode()).hexdigest()
            rows.append({"column": name, "rows": len(frame), "digest": digest})
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the leaderboards again that the command line names."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--leaderboards", type=Path, default=LEADERBOARDS, metavar="DIR")
    parser.add_argument("--only", action="append", metavar="SUITE")
    parser.add_argument("--more", action="store_true", help="also figures, and analyses of stand-in patients")
    given = parser.parse_args(arguments)
    catalogue = open_catalogue()
    for board in sorted(path.parent for path in given.leaderboards.glob(f"*/{PREDICTIONS}")):
        if not given.only or board.name in given.only:
            print(remake(board, given.out, catalogue, more=given.more))


if __name__ == "__main__":
    main()

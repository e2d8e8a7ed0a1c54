"""Images, patients, sexes and positives of each split of each dataset, as flowcharts of cohorts show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xrbench.cards import TableLayout
from xrbench.rendering.numbers import MISSING, count
from xrbench.rendering.table import Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables.reported_beside import UNMATCHED, Brackets

ORDER = ("all", "train", "valid", "test")
Split = Mapping[str, Any]
"""One split of one dataset, as a manifest describes it."""


def splits(run: Run, layout: TableLayout) -> Table | None:
    """Show the splits of each dataset, with the paper's numbers in brackets on real data.

    Splits that are the same for several training sets and seeds are one row; where they differ, the training set or the seed is named.
    """
    entries = [entry for entry in run.manifest.get("splits", ()) if entry["images"]]
    if not entries:
        return None
    brackets, labels = Brackets.of(run), run.suite.labels
    blocks = []
    for dataset in dict.fromkeys(entry["dataset"] for entry in entries):
        rows = []
        for name, entry in _distinct([entry for entry in entries if entry["dataset"] == dataset]):
            texts = map(brackets.behind, _texts(entry, labels), _reported(brackets.shown, entry, labels))
            rows.append((dataset, name, *texts))
        blocks.append(rows)
    return Table.of(
        layout.name,
        layout.caption or "Images, patients and positives of each side of each dataset",
        ("dataset", "side", "images", "patients", "male", "female", *labels),
        blocks,
        "ll" + "r" * (4 + len(labels)),
        titled=True,
        notes=(*_notes(run, entries), *brackets.notes(unmatched=UNMATCHED)),
        stamp=run.stamp,
    )


def _distinct(entries: Sequence[Split]) -> list[tuple[str, Split]]:
    """Name each different split once; the name has what it belongs to where a dataset has several of the kind."""
    named: list[tuple[str, Split]] = []
    for kind in ORDER:
        of_kind = [entry for entry in entries if entry["split"] == kind]
        by_content: dict[str, list[Split]] = {}
        for entry in of_kind:
            by_content.setdefault(repr(_content(entry)), []).append(entry)
        several_seeds = len({entry["seed"] for entry in entries}) > 1
        for same in by_content.values():
            belongs = f", {_belongs(same, seeds=several_seeds)}" if len(by_content) > 1 else ""
            named.append((kind + belongs, same[0]))
    return named


def _content(entry: Split) -> list[Any]:
    return [entry[name] for name in ("images", "patients", "male", "female")] + sorted(entry["positive"].items())


def _belongs(entries: Sequence[Split], *, seeds: bool) -> str:
    """Name what splits of the same content belong to: training sets, and seeds where there are several."""
    names = list(dict.fromkeys(entry["configuration"] for entry in entries if entry["configuration"]))
    numbers = ", ".join(str(seed) for seed in dict.fromkeys(entry["seed"] for entry in entries))
    return " and ".join([*names, *([f"seed {numbers}"] if seeds or not names else [])])


def _texts(entry: Split, labels: Sequence[str]) -> list[str]:
    sexed = (entry["male"] or 0) + (entry["female"] or 0)
    percent = [f"{100 * entry[sex] / sexed:.0f}%" if sexed else MISSING for sex in ("male", "female")]
    return [count(entry["images"]), count(entry["patients"]), *percent, *(_positive(entry, label) for label in labels)]


def _positive(entry: Split, label: str) -> str:
    labelled = entry["labelled"].get(label, 0)
    if not labelled:
        return MISSING
    positive = entry["positive"].get(label, 0)
    return f"{count(positive)} ({100 * positive / labelled:.1f}%)"


def _reported(paper: Reported | None, entry: Split, labels: Sequence[str]) -> list[str]:
    """Return what the paper prints in each column; empty texts where it prints nothing."""
    if paper is None:
        return [""] * (4 + len(labels))
    where = {"about": entry["dataset"], "split": entry["split"]}
    plain = [paper.stated(quantity=name, label="", **where) for name in ("images", "patients", "male", "female")]
    return [*plain, *(paper.stated(quantity="positive", label=label, **where) for label in labels)]


def _notes(run: Run, entries: Sequence[Split]) -> list[str]:
    notes = [
        "Positives with their share of the labelled images. Patients are divided, not images: no patient is in more than one split."
    ]
    without = sorted({entry["dataset"] for entry in entries if entry["patients"] is None})
    if without:
        notes.append(f"No patient ids: {', '.join(without)}; there, images are divided.")
    unsexed = {entry["dataset"] for entry in entries if not (entry["male"] or entry["female"])} - set(without)
    if unsexed:
        notes.append(f"No sexes: {', '.join(sorted(unsexed))}.")
    undivided = [
        each.name for each in run.suite.protocol.configurations if each.split and each.split.kind == "everything"
    ]
    if undivided:
        notes.append(
            f"In {', '.join(undivided)} nobody is held out: the side that is tested is the one that was trained on."
        )
    return notes

"""Who stands on which side: images, patients, sexes and positives of each part of each dataset, as flowcharts show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xrbench.cards import TableLayout
from xrbench.rendering.numbers import MISSING, count
from xrbench.rendering.table import Cell, Row, Table
from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.tables import reported_beside

ORDER = ("all", "train", "valid", "test")
Side = Mapping[str, Any]


def splits(run: Run, layout: TableLayout) -> Table | None:
    """Make the table of the sides of each dataset, with the paper's numbers in brackets on real data.

    Sides that are the same for several training sets and seeds stand once; where they differ, the training set or the seed is named.

    Args:
        run: The run; its manifest describes the sides.
        layout: Name and caption.
    """
    sides = [side for side in run.manifest.get("splits", ()) if side["images"]]
    if not sides:
        return None
    paper, matched, blocks = reported_beside.shown(run), False, []
    for dataset in dict.fromkeys(side["dataset"] for side in sides):
        rows: list[Row] = []
        for name, side in _distinct([side for side in sides if side["dataset"] == dataset]):
            said = _said(paper, side, run.suite.labels)
            matched = matched or any(said)
            texts = (
                text + reported_beside.bracket(theirs) for text, theirs in zip(_texts(run, side), said, strict=True)
            )
            rows.append(tuple(Cell(text) for text in (dataset, name, *texts)))
        blocks.append(tuple(rows))
    return Table(
        name=layout.name,
        caption=layout.caption or "Images, patients and positives of each side of each dataset",
        header=(("dataset", "side", "images", "patients", "male", "female", *run.suite.labels),),
        blocks=tuple(blocks),
        align="ll" + "r" * (4 + len(run.suite.labels)),
        titled=True,
        notes=(*_notes(run, sides), *reported_beside.notes(run, matched=matched)),
        stamp=run.stamp,
    )


def _distinct(sides: Sequence[Side]) -> list[tuple[str, Side]]:
    """Name each different side once; the name has what it belongs to where a dataset has several of the kind."""
    found: list[tuple[str, Side]] = []
    for kind in ORDER:
        same: dict[str, list[Side]] = {}
        for side in sides:
            if side["split"] == kind:
                same.setdefault(repr(_content(side)), []).append(side)
        several = len({side["seed"] for side in sides}) > 1
        for group in same.values():
            belongs = f", {_belongs(group, seeds=several)}" if len(same) > 1 else ""
            found.append((kind + belongs, group[0]))
    return found


def _content(side: Side) -> list[Any]:
    return [side[name] for name in ("images", "patients", "male", "female")] + sorted(side["positive"].items())


def _belongs(group: Sequence[Side], *, seeds: bool) -> str:
    """Name what sides of the same content belong to: training sets, and seeds where there are several."""
    names = list(dict.fromkeys(side["configuration"] for side in group if side["configuration"]))
    numbers = ", ".join(str(seed) for seed in dict.fromkeys(side["seed"] for side in group))
    return " and ".join([*names, *([f"seed {numbers}"] if seeds or not names else [])])


def _texts(run: Run, side: Side) -> list[str]:
    sexed = (side["male"] or 0) + (side["female"] or 0)
    percent = [f"{100 * side[sex] / sexed:.0f}%" if sexed else MISSING for sex in ("male", "female")]
    patients = MISSING if side["patients"] is None else count(side["patients"])
    return [count(side["images"]), patients, *percent, *(_positive(side, label) for label in run.suite.labels)]


def _positive(side: Side, label: str) -> str:
    labelled = side["labelled"].get(label, 0)
    if not labelled:
        return MISSING
    positive = side["positive"].get(label, 0)
    return f"{count(positive)} ({100 * positive / labelled:.1f}%)"


def _said(paper: Reported | None, side: Side, labels: Sequence[str]) -> list[str]:
    if paper is None:
        return [""] * (4 + len(labels))
    where = {"about": side["dataset"], "split": side["split"]}
    plain = [paper.stated(quantity=name, label="", **where) for name in ("images", "patients", "male", "female")]
    return [*plain, *(paper.stated(quantity="positive", label=label, **where) for label in labels)]


def _notes(run: Run, sides: Sequence[Side]) -> list[str]:
    notes = [
        "Positives with their share of the labelled images. Patients are divided, not images: nobody stands on two sides."
    ]
    without = sorted({side["dataset"] for side in sides if side["patients"] is None})
    if without:
        notes.append(f"No patient ids: {', '.join(without)}; there, images are divided.")
    unsexed = sorted({side["dataset"] for side in sides if not (side["male"] or side["female"])} - set(without))
    if unsexed:
        notes.append(f"No sexes: {', '.join(unsexed)}.")
    everything = [one.name for one in run.suite.protocol.configurations if one.split and one.split.kind == "everything"]
    if everything:
        notes.append(
            f"In {', '.join(everything)} nobody is held out: the side that is tested is the one that was learned from."
        )
    return notes

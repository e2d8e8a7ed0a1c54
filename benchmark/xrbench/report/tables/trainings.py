"""What every fit of a run took: epochs, speed, wall time, peak memory, threads and device."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xrbench.cards import TableLayout
from xrbench.progress import clock
from xrbench.rendering.numbers import MISSING, count
from xrbench.rendering.table import Table
from xrbench.report.run_folder import Run

MOST = 30
"""Fits above which a row is a method with a model, instead of a fit."""
Fit = Mapping[str, Any]
"""The entry of a fit in a run's manifest."""

RATE, WALL, MEMORY = "images_per_second", "wall_seconds", "peak_memory"
FIGURES = ("epochs (kept)", "images/s", "wall time", "peak memory (MiB)", "threads", "device")


def trainings(run: Run, layout: TableLayout) -> Table | None:
    """Show what each finished fit took; of many fits, the median and range of each method, model and stage."""
    known = {str(entry["name"]): entry for entry in run.manifest.get("fits", ())}
    finished = [entry for entry in known.values() if entry.get("training")]
    if not finished:
        return None
    if len(finished) > MOST:
        return _table(run, layout, ("method", "model", "stage", "fits"), _groups(finished), "lllr", grouped=True)
    heads = ("method", "model", "trained on", "seed", "stage", "parent")
    by_method: dict[str, list[tuple[str, ...]]] = {}
    for entry in finished:
        by_method.setdefault(entry["method"], []).append(_row(entry, known))
    return _table(run, layout, heads, list(by_method.values()), "lllrll", grouped=False)


def _table(
    run: Run,
    layout: TableLayout,
    heads: Sequence[str],
    blocks: Sequence[Sequence[tuple[str, ...]]],
    align: str,
    *,
    grouped: bool,
) -> Table:
    notes = [
        "Epochs: trained, and in parentheses the one whose weights were kept. images/s: training images per second of training, without "
        "validation and checkpoints. Wall time (h:mm:ss): with both, over all starts. Peak memory: of the process on a CPU, of the "
        "tensors on a GPU.",
        *(["Of each figure: the median, and the range in parentheses."] if grouped else []),
    ]
    return Table.of(
        layout.name,
        layout.caption or "Trainings",
        (*heads, *FIGURES),
        blocks,
        align + "rrrrrl",
        titled=True,
        notes=notes,
        stamp=run.stamp,
    )


def _row(entry: Fit, known: Mapping[str, Fit]) -> tuple[str, ...]:
    took = entry["training"]
    parents = ", ".join(_parent(name, known) for name in entry.get("parents", ())) or MISSING
    kept = f" ({took['best_epoch']:g})" if "best_epoch" in took else ""
    early = ", stopped early" if took.get("stopped") == "patience" else ""
    return (
        *(
            entry["method"],
            entry["model"],
            _trained_on(entry),
            str(entry["seed"]),
            entry.get("stage", MISSING),
            parents,
        ),
        f"{took['epochs']:g}{kept}{early}" if "epochs" in took else MISSING,
        _rate(took[RATE]) if RATE in took else MISSING,
        clock(took[WALL]) if WALL in took else MISSING,
        count(took.get(MEMORY)),
        count(took.get("threads") or None),
        took.get("device", MISSING),
    )


def _parent(name: str, known: Mapping[str, Fit]) -> str:
    """Name a parent by what tells its row from others: method and seed."""
    return f"{known[name]['method']}, seed {known[name]['seed']}" if name in known else name


def _trained_on(entry: Fit) -> str:
    before = "pretrain" if entry.get("role") == "pretrain" else entry.get("configuration", "")
    return f"{before}{': ' if before else ''}{'+'.join(entry['train'])}"


def _groups(fits: Sequence[Fit]) -> list[list[tuple[str, ...]]]:
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for entry in fits:
        name = (entry["method"], entry["model"], entry.get("stage", MISSING))
        groups.setdefault(name, []).append(entry["training"])
    blocks: dict[str, list[tuple[str, ...]]] = {}
    for name, of_group in groups.items():
        devices = dict.fromkeys(took["device"] for took in of_group if "device" in took)
        threads = dict.fromkeys(count(took["threads"]) for took in of_group if took.get("threads"))
        epochs, kept = (_range(of_group, field, lambda value: f"{value:g}") for field in ("epochs", "best_epoch"))
        row = (
            *(*name, str(len(of_group)), epochs if kept == MISSING else f"{epochs}; kept {kept}"),
            *(_range(of_group, RATE, _rate), _range(of_group, WALL, clock), _range(of_group, MEMORY, count)),
            *(", ".join(threads) or MISSING, ", ".join(devices) or MISSING),
        )
        blocks.setdefault(name[0], []).append(row)
    return list(blocks.values())


def _range(took: Sequence[Mapping[str, Any]], field: str, text: Callable[[float], str]) -> str:
    """Write the median of a field with its range, where it varies."""
    values = [float(one[field]) for one in took if field in one]
    if not values:
        return MISSING
    middle, low, high = (text(value) for value in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})"


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else count(value)

"""Saliency maps of a run as figures, tables and text; from stored maps, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xrbench.cards import FigureLayout
from xrbench.explain.storage import ABOUT, Explained, read
from xrbench.rendering.numbers import interval, number, signed, signed_interval
from xrbench.rendering.table import Table
from xrbench.report.figures.layout.style import file_name
from xrbench.report.figures.saliency_panels import draw, pages
from xrbench.report.run_folder import Run

FOLDER = "explained"
"""Where a run folder keeps explanations."""
FIGURES = {"share": "share of map in box", "hit": "highest point in box"}


def panels(explained: Explained, folder: Path, *, name: str = "panels", caption: str = "") -> list[Path]:
    """Draw the shown images of an explanation, a page a label (and more where there are many), with their numbers.

    Args:
        explained: Maps with their images.
        folder: Where the files go.
        name: Beginning of their names.
        caption: A sentence over every page; one is made where it is empty.

    Raises:
        StoreError: A file cannot be written.
    """
    paths = []
    for page in pages(explained.index):
        last = f"{page.number}" if page.number > 1 else ""
        paths += draw(explained, page, folder, file_name(name, page.label, last), caption)
    return paths


def figure(run: Run, layout: FigureLayout, folder: Path, /, **_asked: Any) -> list[Path]:
    """Draw the maps that ``xrbench run`` has stored for a figure of kind ``explain``; its options were read when they were computed.

    Raises:
        StoreError: The stored maps are damaged.
    """
    stored = run.folder / FOLDER / layout.name
    if not (stored / ABOUT).is_file():
        return []
    return panels(read(stored), folder, name=layout.name, caption=layout.caption)


def summary(explained: Explained, folder: Path, written: Sequence[Path]) -> str:
    """Write an explanation for a terminal: each map, the localisation against boxes, and the written files."""
    lines = [explained.stamp] if explained.stamp else []
    lines += [table.text() for table in (_maps_table(explained), _boxes_table(explained)) if table is not None]
    names = "  ".join(path.name for path in written)
    return "\n".join([*lines, f"written: {folder}   {names}"])


def to_dict(explained: Explained, written: Sequence[Path]) -> dict[str, Any]:
    """Return an explanation as plain values, for JSON: its settings, a row a map, localisation against boxes, files."""
    return {
        **explained.about,
        "maps": explained.index.to_dict("records"),
        "agreement": explained.agreement.to_dict("records"),
        "files": [str(path) for path in written],
    }


def _maps_table(explained: Explained) -> Table | None:
    """List the maps that panels show."""
    header = ("label", "image", "test", "network", "truth", "predicted", "score", "explained", "highest at", "in box")
    rows = []
    for _, row in explained.index[explained.index["map"] >= 0].iterrows():
        peak = "nowhere" if np.isnan(row["peak_x"]) else f"{row['peak_x']:.0f}, {row['peak_y']:.0f}"
        box = "" if np.isnan(row["area"]) else f"{number(row['share'], 2)} (chance {number(row['area'], 2)})"
        where = (f"{row['dataset']}/{row['image']}", f"{row['protocol']}: {row['test']}", row["network"])
        predicted = (row["actual"], row["predicted"], number(row["predicted_score"], 2))
        rows.append((row["label"], *where, *predicted, row["target"], peak, box))
    return _table("maps", "", header, rows, "llllllrlrr")


def _boxes_table(explained: Explained) -> Table | None:
    """List the localisation of maps against boxes and chance, internal and external."""
    columns = ("value", "interval", "chance", "above chance", "interval")
    header = ("label", "figure", "test", "network", *columns, "images", "patients")
    rows = []
    for _, row in explained.agreement.iterrows():
        where = (FIGURES[row["figure"]], f"{row['protocol']}: {row['test']}", row["network"])
        figures = (number(row["value"], 3), interval(row["low"], row["high"], 3), number(row["chance"], 3))
        above = (signed(row["above"]), signed_interval(row["above_low"], row["above_high"]))
        rows.append((row["label"], *where, *figures, *above, f"{row['n_images']:,}", f"{row['n_patients']:,}"))
    reasons = tuple(dict.fromkeys(reason for reason in explained.agreement.get("reason", ()) if reason))
    return _table(
        "boxes", "Maps against readers' boxes (intervals over patients)", header, rows, "llllrrrrrrr", reasons
    )


def _table(
    name: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], align: str, notes: Sequence[str] = ()
) -> Table | None:
    """Make a table; a column in which all rows name the same network becomes a note."""
    if not rows:
        return None
    at = header.index("network")
    networks = {row[at] for row in rows}
    columns = [column for column in range(len(header)) if column != at or len(networks) > 1]
    return Table.of(
        name,
        caption,
        [header[column] for column in columns],
        [[[str(row[column]) for column in columns] for row in rows]],
        "".join(align[column] for column in columns),
        notes=(*notes, *((f"network: {networks.pop()}",) if len(networks) == 1 else ())),
    )

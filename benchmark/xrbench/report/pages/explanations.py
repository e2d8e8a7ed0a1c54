"""What a run's networks saw in its images, as panels, tables and words; from stored maps, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xrbench.cards import FigureLayout
from xrbench.explain.storage import ABOUT, Explained, read
from xrbench.rendering.numbers import interval, number, signed, signed_interval
from xrbench.rendering.table import Cell, Table
from xrbench.report.figures.saliency_panels import draw, pages
from xrbench.report.figures.style import file_name
from xrbench.report.run_folder import Run

FOLDER = "explained"
"""Where a run folder keeps explanations."""
FIGURES = {"share": "share of map in box", "hit": "highest point in box"}


def panels(found: Explained, folder: Path, *, name: str = "panels", caption: str = "") -> list[Path]:
    """Draw the shown images of an explanation, a page a label (and more where there are many), with their numbers.

    Args:
        found: Maps with their films.
        folder: Where the files go.
        name: How their names begin.
        caption: A sentence over every page; one is made where it is empty.

    Raises:
        StoreError: A file cannot be written.
    """
    paths = []
    for page in pages(found.index):
        last = f"{page.number}" if page.number > 1 else ""
        paths += draw(found, page, folder, file_name(name, page.label, last), caption)
    return paths


def figure(run: Run, layout: FigureLayout, folder: Path, /, **_asked: Any) -> list[Path]:
    """Draw what ``xrbench run`` has explained for a figure of kind ``explain``; nothing where it has not.

    Args:
        run: The run.
        layout: Name and caption; its options were read when the maps were computed.
        folder: Where the files go.

    Raises:
        StoreError: The stored maps are damaged.
    """
    kept = run.folder / FOLDER / layout.name
    if not (kept / ABOUT).is_file():
        return []
    return panels(read(kept), folder, name=layout.name, caption=layout.caption)


def summary(found: Explained, folder: Path, written: Sequence[Path]) -> str:
    """Say in words what was explained: each map, how maps lie to boxes, and which files were written."""
    lines = [found.stamp] if found.stamp else []
    lines += [table.text() for table in (_maps_table(found), _boxes_table(found)) if table is not None]
    names = "  ".join(path.name for path in written)
    return "\n".join([*lines, f"written: {folder}   {names}"])


def to_dict(found: Explained, written: Sequence[Path]) -> dict[str, Any]:
    """Write an explanation for machines: what was asked, a row a map, agreement with boxes, files."""
    return {
        **found.about,
        "maps": found.index.to_dict("records"),
        "agreement": found.agreement.to_dict("records"),
        "files": [str(path) for path in written],
    }


def _maps_table(found: Explained) -> Table | None:
    """List the maps that panels show."""
    header = ("label", "image", "test", "network", "truth", "predicted", "score", "explained", "highest at", "in box")
    rows = []
    for _, row in found.index[found.index["map"] >= 0].iterrows():
        peak = "nowhere" if np.isnan(row["peak_x"]) else f"{row['peak_x']:.0f}, {row['peak_y']:.0f}"
        box = "" if np.isnan(row["area"]) else f"{number(row['share'], 2)} (chance {number(row['area'], 2)})"
        where = (f"{row['dataset']}/{row['image']}", f"{row['protocol']}: {row['test']}", row["network"])
        said = (row["actual"], row["predicted"], number(row["predicted_score"], 2), row["target"], peak, box)
        rows.append((row["label"], *where, *said))
    return _table("maps", "", header, rows, "llllllrlrr")


def _boxes_table(found: Explained) -> Table | None:
    """List how maps lie to boxes, against chance, inside and outside."""
    header = (
        "label",
        "figure",
        "test",
        "network",
        "value",
        "interval",
        "chance",
        "above chance",
        "interval",
        "images",
        "patients",
    )
    rows = []
    for _, row in found.agreement.iterrows():
        where = (FIGURES[row["figure"]], f"{row['protocol']}: {row['test']}", row["network"])
        figures = (number(row["value"], 3), interval(row["low"], row["high"], 3), number(row["chance"], 3))
        above = (signed(row["above"]), signed_interval(row["above_low"], row["above_high"]))
        rows.append((row["label"], *where, *figures, *above, f"{row['n_images']:,}", f"{row['n_patients']:,}"))
    reasons = tuple(dict.fromkeys(reason for reason in found.agreement.get("reason", ()) if reason))
    return _table(
        "boxes", "Maps against readers' boxes (intervals over patients)", header, rows, "llllrrrrrrr", reasons
    )


def _table(
    name: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], align: str, said: Sequence[str] = ()
) -> Table | None:
    """Make a table; a column in which all rows name the same network becomes a note."""
    if not rows:
        return None
    at = header.index("network")
    networks = {row[at] for row in rows}
    kept = [place for place in range(len(header)) if place != at or len(networks) > 1]
    return Table(
        name=name,
        caption=caption,
        header=(tuple(header[place] for place in kept),),
        blocks=(tuple(tuple(Cell(str(row[place])) for place in kept) for row in rows),),
        align="".join(align[place] for place in kept),
        notes=(*said, *((f"network: {networks.pop()}",) if len(networks) == 1 else ())),
    )

"""Style that all figures share, and the files of a figure: picture as SVG and PNG, numbers as CSV.

The same numbers give the same files. Nothing here touches matplotlib's global state, and matplotlib is imported only to draw. Series
differ in line style, mark, hatch or grey level, never in colour alone.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from xrbench.errors import StoreError
from xrbench.files import write_atomic
from xrbench.rng import seed_of
from xrbench.runs import store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

STYLE: Any = {
    "svg.hashsalt": "xrbench",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "figure.dpi": 100,
}
SMALL, LEGEND = 6.5, 5.5
"""Type size of notes, and of legends below panels, in points."""


class Look(NamedTuple):
    """Style of one series: its line, its mark, and the faces of mark and area."""

    line: Any
    mark: str
    face: str
    shade: str
    hatch: str

    @property
    def area(self) -> dict[str, Any]:
        """Style of an area: grey, or hatched with nothing behind, so that two areas may overlap."""
        if self.hatch:
            return {"facecolor": "none", "edgecolor": self.shade, "hatch": self.hatch}
        return {"facecolor": self.shade}


LONGEST = 120
"""Letters of a file name without its ending; a longer one is cut and ends in a hash of the whole."""

LOOKS = (
    Look("-", "o", "white", "0.82", ""),
    Look((0, (4, 1.5)), "s", "black", "0.6", "///////"),
    Look((0, (1, 1.2)), "^", "0.6", "0.7", "......"),
    Look((0, (6, 1.5, 1, 1.5)), "D", "white", "0.35", "\\\\\\\\"),
    Look((0, (3, 1, 1, 1, 1, 1)), "v", "black", "0.9", "xxxx"),
    Look((0, (8, 3)), "P", "0.6", "0.25", "----"),
)
"""Looks that differ without colour, in the order in which they are taken."""


def look(number: int) -> Look:
    """Return the look of a series by its number, in a cycle."""
    return LOOKS[number % len(LOOKS)]


@contextmanager
def canvas_of(width: float, height: float) -> Iterator[Canvas]:
    """Open an empty picture of that size in inches in the style of all figures."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    with mpl.rc_context(STYLE):
        canvas = Drawing(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(canvas)
        yield canvas


def title(canvas: Canvas, text: str, stamp: str, keys: Sequence[Any] = ()) -> None:
    """Put the stamp, a title and the keys of what is drawn over a picture; long titles are broken."""
    lines = "\n".join(wrapped(part, canvas.get_figwidth(), 9) for part in (stamp, text) if part)
    if not keys:
        canvas.suptitle(lines, fontsize=9)
        return
    # A legend's title and its keys are laid out together, and apart from the panels.
    legend = canvas.legend(
        handles=list(keys),
        title=lines,
        title_fontsize=9,
        fontsize=7,
        loc="outside upper center",
        ncols=min(len(keys), max(1, int(canvas.get_figwidth() / 1.8))),
        borderaxespad=0.2,
    )
    legend.get_title().set_multialignment("center")


def notes(canvas: Canvas, sentences: Sequence[str]) -> None:
    """Put sentences below a picture in small type."""
    text = "\n".join(wrapped(sentence, canvas.get_figwidth(), SMALL) for sentence in sentences if sentence)
    if text:
        canvas.supxlabel(text, fontsize=SMALL, ha="left", x=0.01)


def wrapped(text: str, inches: float, size: float) -> str:
    r"""Break text into lines that fit a width at a type size in points.

    >>> wrapped("one two three", 0.7, 10)
    'one two\nthree'
    """
    return "\n".join(textwrap.wrap(text, max(8, int(inches * 72 / (0.55 * size))))) if text else ""


def short(text: str, limit: int) -> str:
    """Cut what is longer than a limit in the middle.

    >>> short("abcdefghij", 7), short("abc", 7)
    ('abc…hij', 'abc')
    """
    if len(text) <= limit:
        return text
    left = limit // 2
    return f"{text[:left]}…{text[len(text) - (limit - left - 1) :]}"


def legend_below(axes: Axes, handles: Sequence[Any], texts: Sequence[str], *, drop: float) -> None:
    """Put a legend ``drop`` points below a panel, where it cannot cover a curve."""
    from matplotlib.transforms import ScaledTranslation

    canvas = axes.get_figure(root=True)
    if canvas is None or not handles:
        return
    axes.legend(
        handles=list(handles),
        labels=list(texts),
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=axes.transAxes + ScaledTranslation(-18 / 72, -drop / 72, canvas.dpi_scale_trans),
        fontsize=LEGEND,
        handlelength=2.6,
        borderaxespad=0.0,
        borderpad=0.0,
        labelspacing=0.35,
        handletextpad=0.5,
    )


def legend_text(*lines: str, inches: float = 1.95) -> str:
    """Break the lines of a legend's entry so that they fit below a panel."""
    return "\n".join(wrapped(line, inches, LEGEND) for line in lines)


def legend_inches(texts: Sequence[str]) -> float:
    """Estimate the height of a legend of these entries, in inches."""
    return sum(0.093 * (text.count("\n") + 1) + 0.03 for text in texts)


def say_empty(axes: Axes, reason: str) -> None:
    """Write in the middle of a panel why nothing is drawn in it; ticks are removed where there are no data."""
    if not axes.has_data():
        axes.set(xticks=[], yticks=[])
    text = textwrap.fill(f"not drawn: {reason}", 26)
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL, "color": "0.25"}
    axes.text(0.5, 0.5, text, transform=axes.transAxes, backgroundcolor="white", **style)


def save(canvas: Canvas, numbers: pd.DataFrame, folder: Path, name: str, stamp: str) -> list[Path]:
    """Write a picture as SVG and PNG and its numbers as CSV; a stamp becomes a column.

    Raises:
        StoreError: A file cannot be written.
    """
    metadata: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": "xrbench"}, "png": {"Software": "xrbench"}}
    paths = []
    try:
        for form, about in metadata.items():
            data = io.BytesIO()
            canvas.savefig(data, format=form, metadata=about, dpi=150)
            paths.append(folder / f"{name}.{form}")
            write_atomic(paths[-1], data.getvalue())
        paths.append(folder / f"{name}.csv")
        store.write_csv(paths[-1], numbers.assign(stamp=stamp) if stamp else numbers)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}") from error
    return paths


def file_name(*parts: str) -> str:
    """Join parts into a file name of letters, digits, dots, hyphens and underscores.

    >>> file_name("figure7", "densenet121", "a/b")
    'figure7-densenet121-a-b'
    """
    joined = "-".join(part for part in parts if part)
    kept = "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "-" for c in joined)
    kept = kept.lstrip(".") or "figure"
    return kept if len(kept) <= LONGEST else f"{kept[: LONGEST - 9]}-{seed_of(joined) % 2**32:08x}"

"""Pages of saliency maps: each image, each network's map over it, and what was predicted.

Over a grey image a map is drawn in colour and as contour lines of different style, so that it can be read in black and white. Over
an image in colour it is contour lines alone, since a tint would hide the colours that a diagnosis rests on. Boxes that readers drew are
white with a black rim.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.explain.storage import Explained
from xrbench.report.figures.layout.style import SMALL, canvas_of, notes, save, short, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROTOCOLS = ("internal", "resubstitution", "external")
LEVELS = {0.25: ":", 0.5: "--", 0.75: "-"}
"""Share of a map's highest value -> style of its contour line."""
NETWORKS, ROWS, ACROSS = 3, 6, 6
"""Networks and images on one page, and pictures in one row of it."""
INCHES, LINE, GAP, HEAD, TITLE = 1.5, 0.105, 0.09, 0.2, 0.155
"""Side of a picture, height of a line of words, room between pictures, for a test set's name, for a title's line; in inches."""
LETTERS = 27
"""Letters in a line of words."""
SAYS = (
    "{drawn} show where evidence was found: the lines enclose what is above 0.25 (dotted), 0.5 (dashed) and 0.75 (solid) "
    "of a map's highest value. A map is scaled by itself: it says where, not how much. Over it stand score and decision."
)
FEW_CELLS = 7
"""Cells along a side of a map below which a page says that it is coarse."""
T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """Contents of one picture: rows of the index for one label, a few networks, and a few images of each test set."""

    label: str
    number: int
    index: pd.DataFrame

    @property
    def networks(self) -> list[str]:
        """The networks, in order."""
        return list(dict.fromkeys(self.index["network"]))

    @property
    def tests(self) -> list[str]:
        """The test sets, internal ones first."""
        order = self.index["protocol"].map(PROTOCOLS.index)
        return list(dict.fromkeys(self.index.loc[order.sort_values(kind="stable").index, "test"]))

    def pictures(self, test: str) -> list[tuple[str, str]]:
        """Dataset and id of the images of a test set."""
        rows = self.index[self.index["test"] == test]
        return list(dict.fromkeys(zip(rows["dataset"], rows["image"], strict=True)))

    def words(self) -> dict[object, list[str]]:
        """Map number, or dataset and image id, -> the lines over that picture."""
        names = differing(self.index) if len(self.networks) > 1 else dict.fromkeys(self.networks, "")
        lines: dict[object, list[str]] = {}
        for _, row in self.index.iterrows():
            lines[row["dataset"], row["image"]] = [short(row["image"], LETTERS), *_wrapped([f"truth: {row['actual']}"])]
            name = names[row["network"]]
            lines[row["map"]] = _wrapped([*(name.split("\n") if name else ()), *_verdict(row)])
        return lines

    def bands(self) -> list[list[str]]:
        """Divide the test sets into rows of as many as fit side by side."""
        return chunks(self.tests, max(1, ACROSS // (1 + len(self.networks))))


def pages(index: pd.DataFrame) -> Iterator[Page]:
    """Divide the shown rows of an index into pages."""
    shown = index[index["map"] >= 0]
    for label, of_label in shown.groupby("label", sort=False):
        number = 0
        for networks in chunks(list(dict.fromkeys(of_label["network"])), NETWORKS):
            rows = of_label[of_label["network"].isin(networks)]
            pictures = rows["dataset"] + "/" + rows["image"]
            # Number of an image within its test set, in the order of the index.
            place = pictures.groupby(rows["test"], sort=False).transform(lambda ids: pd.factorize(ids)[0])
            for start in range(0, int(place.max()) + 1, ROWS):
                number += 1
                yield Page(str(label), number, rows[(place >= start) & (place < start + ROWS)])


def chunks(items: Sequence[T], size: int) -> list[list[T]]:
    """Cut a list into pieces.

    >>> chunks("abc", 2)
    [['a', 'b'], ['c']]
    """
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def differing(rows: pd.DataFrame) -> dict[str, str]:
    r"""Name each network by its method and whatever else tells it from the others.

    >>> both = {"model": ["net"] * 2, "train": ["a"] * 2, "configuration": [""] * 2, "members": [1, 1]}
    >>> differing(pd.DataFrame({"network": ["m/0", "m/1"], "method": ["m", "m"], "seed": [0, 1], **both}))
    {'m/0': 'm\nseed 0', 'm/1': 'm\nseed 1'}
    """
    each = rows.drop_duplicates("network")
    words = {name: [str(row["method"])] for name, row in each.set_index("network").iterrows()}
    alone = each["members"] == 1
    for field, form in (("model", "{}"), ("configuration", "{}"), ("train", "on {}"), ("seed", "seed {}")):
        shown = each[alone] if field == "seed" else each
        if each[field].nunique() > 1:
            for name, value in zip(shown["network"], shown[field], strict=True):
                words[name] += [form.format(value)] if value != "" else []
    for name, members in each.loc[~alone, ["network", "members"]].itertuples(index=False):
        words[name].append(f"mean of {members}")
    return {str(name): "\n".join(parts) for name, parts in words.items()}


def draw(explained: Explained, page: Page, folder: Path, name: str, caption: str) -> list[Path]:
    """Draw one page and write its numbers beside it.

    Raises:
        StoreError: A file cannot be written.
    """
    words, sentences = page.words(), _sentences(explained, page)
    over = LINE * max(len(lines) for lines in words.values())
    heading = (explained.stamp, caption or f"Where networks found evidence: {page.label}")
    title = "\n".join(wrapped(part, _Grid.width_of(page), 9) for part in heading if part)
    grid = _Grid.of(page, over, GAP + TITLE * (title.count("\n") + 1))
    below = LINE * sum(wrapped(sentence, grid.width, SMALL).count("\n") + 1 for sentence in sentences) + 2 * GAP
    height = grid.height + below
    with canvas_of(grid.width, height) as canvas:
        canvas.set_layout_engine("none")  # every place is known

        def place(left: float, top: float) -> Axes:
            across, down = grid.width, height
            axes = canvas.add_axes((left / across, 1 - (top + INCHES) / down, INCHES / across, INCHES / down))
            axes.set_axis_off()
            return axes

        for test, (left, top) in grid.heads.items():
            of_test = page.index[page.index["test"] == test]
            head = f"{'/'.join(dict.fromkeys(of_test['protocol']))}: {test}"
            canvas.text(left / grid.width, 1 - top / height, head, fontsize=8, fontweight="bold", va="top")
            for down, (dataset, image) in enumerate(page.pictures(test)):
                rows = of_test[(of_test["dataset"] == dataset) & (of_test["image"] == image)]
                row_top = top + HEAD + over + down * (over + INCHES + GAP)
                axes = place(left, row_top)
                first = rows.iloc[0]
                _image(axes, explained.images[first["pixels"]], _boxes(explained, first))
                _title(axes, words[dataset, image])
                for _, row in rows.iterrows():
                    axes = place(left + (1 + page.networks.index(row["network"])) * (INCHES + GAP), row_top)
                    _overlay(axes, explained.images[row["pixels"]], explained.maps[row["map"]], _boxes(explained, row))
                    _title(axes, words[row["map"]])
        canvas.text(0.5, 1 - GAP / height, title, fontsize=9, ha="center", va="top")
        notes(canvas, sentences)
        return save(canvas, page.index, folder, name, explained.stamp)


@dataclass(frozen=True)
class _Grid:
    """Where the pictures of each test set begin, in inches from the left and the top.

    Attributes:
        width, height: Of the whole page, without what is said below it.
        heads: Test set -> left and top of its head line.
    """

    width: float
    height: float
    heads: dict[str, tuple[float, float]]

    @staticmethod
    def width_of(page: Page) -> float:
        """Compute how wide a page is."""
        block = (1 + len(page.networks)) * (INCHES + GAP) + GAP
        return max(4.5, GAP + max(len(band) for band in page.bands()) * block)

    @classmethod
    def of(cls, page: Page, over: float, above: float) -> _Grid:
        """Put test sets side by side in bands; ``over`` is the room for words over a picture, ``above`` that for the title."""
        block = (1 + len(page.networks)) * (INCHES + GAP) + GAP
        top, heads = above, {}
        for band in page.bands():
            heads.update({test: (GAP + at * block, top) for at, test in enumerate(band)})
            top += HEAD + max(len(page.pictures(test)) for test in band) * (over + INCHES + GAP)
        return cls(cls.width_of(page), top, heads)


def _image(axes: Axes, image: npt.NDArray[np.uint8], boxes: Sequence[Sequence[float]]) -> None:
    from matplotlib import patheffects
    from matplotlib.patches import Rectangle

    axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, image.shape[1], image.shape[0], 0))
    rim = [patheffects.withStroke(linewidth=2.4, foreground="black")]
    for x0, y0, x1, y1 in boxes:
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="white", path_effects=rim))


def _overlay(
    axes: Axes, image: npt.NDArray[np.uint8], saliency: npt.NDArray[np.float32], boxes: Sequence[Sequence[float]]
) -> None:
    from matplotlib import patheffects

    _image(axes, image, boxes)
    height, width = saliency.shape
    if image.ndim == 2:
        axes.imshow(saliency, cmap="inferno", vmin=0, vmax=1, alpha=0.5 * saliency, extent=(0, width, height, 0))
    highest = float(saliency.max())
    if not highest > 0:
        axes.text(width / 2, height / 2, "no evidence", color="white", ha="center", va="center", fontsize=7)
        return
    forms = {share * highest: form for share, form in LEVELS.items() if share * highest > saliency.min()}
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    lines = axes.contour(x, y, saliency, [*forms], colors="white", linewidths=0.8, linestyles=[*forms.values()])
    lines.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="black")])


def _title(axes: Axes, lines: Sequence[str]) -> None:
    axes.set_title("\n".join(lines), fontsize=5.5, loc="left", pad=2)


def _wrapped(lines: Sequence[str]) -> list[str]:
    return [piece for line in lines for piece in textwrap.wrap(line, LETTERS) or [""]]


def _verdict(row: pd.Series) -> list[str]:
    """Write what was predicted, whether that is right, what the map explains, and its share in the boxes."""
    right = "" if row["actual"] == "not labelled" else " (right)" if row["predicted"] == row["actual"] else " (wrong)"
    lines = [f"{row['predicted_score']:.2f}: {row['predicted']}{right}"]
    lines += [f"evidence for {row['target']}"] if row["target"] != row["predicted"] else []
    if not np.isnan(row["share"]):
        lines.append(f"in box {row['share']:.2f} (chance {row['area']:.2f}), {'hit' if row['hit'] else 'no hit'}")
    return lines


def _boxes(explained: Explained, row: pd.Series) -> list[list[float]]:
    boxes = explained.boxes
    if not len(boxes):
        return []
    same = (boxes["dataset"] == row["dataset"]) & (boxes["image"] == row["image"]) & (boxes["label"] == row["label"])
    chosen = boxes[same & (boxes["image_size"] == row["image_size"])]
    edges: list[list[float]] = chosen[["x0", "y0", "x1", "y1"]].to_numpy(float).tolist()
    return edges


def _sentences(explained: Explained, page: Page) -> list[str]:
    """Describe how the maps of a page were computed and its images chosen."""
    index = page.index
    layers, technique = ("; ".join(dict.fromkeys(index[column])) for column in ("layer", "technique"))
    how = [f"{technique} of layer {layers} cells, for {_target_words(index)}."]
    fewest = min(int(side) for size in re.findall(r"(\d+) x (\d+)", layers) for side in size)
    if fewest < FEW_CELLS:
        how.append(f"With {fewest} cells along a side, a map cannot tell where in a cell the evidence is.")
    thresholds = sorted(index["threshold"].dropna().unique())
    if thresholds:
        how.append(f"A score of {' or '.join(f'{value:.2f}' for value in thresholds)} and above is called present.")
    if (index["members"] > 1).any():
        how.append("An ensemble's map is the mean of its members' maps.")
    networks = f"Network{'s' if len(page.networks) > 1 else ''}: {'; '.join(page.networks)}."
    return [
        SAYS.format(drawn=_what_is_drawn(explained, index)),
        " ".join(how),
        f"Images: {explained.about.get('images', '')}.",
        networks,
    ]


def _what_is_drawn(explained: Explained, index: pd.DataFrame) -> str:
    in_colour = {explained.images[at].ndim == 3 for at in index["pixels"]}
    if in_colour == {True}:
        return "Lines"
    return "Colour and lines, over images in colour lines alone," if in_colour == {True, False} else "Colour and lines"


def _target_words(index: pd.DataFrame) -> str:
    targets = list(dict.fromkeys(index["target"]))
    if (index["target"] == index["predicted"]).all():
        return "the predicted class"
    return targets[0] if len(targets) == 1 else "what stands over each map"

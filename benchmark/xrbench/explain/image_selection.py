"""Selection of the images that are explained: those that are named, or a few by a rule that always selects the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from xrbench.errors import UnknownNameError, UsageError
from xrbench.explain.run_cells import NetworkCell
from xrbench.rng import seed_of

RULE = (
    "{count} images of each label and test set: half of them with the label and classified so, half misclassified (missed or "
    "falsely called), each half in the order of a hash of dataset and image name; where one half is short, the other fills it"
)


ImageId = tuple[str, str]
"""Dataset and image id."""


class Item(NamedTuple):
    """One image of one cell that is explained for one label.

    Attributes:
        cell: The cell.
        row: Row of the image among its predictions.
        label: Position of the label.
        shown: Whether a panel shows it; else it is only measured against its boxes.
    """

    cell: NetworkCell
    row: int
    label: int
    shown: bool = True

    @property
    def name(self) -> str:
        """Name of the label."""
        return self.cell.labels[self.label]

    @property
    def image(self) -> ImageId:
        """Dataset and image id."""
        row = self.cell.frame.iloc[self.row]
        return str(row["dataset"]), str(row["image"])


def named(cells: Sequence[NetworkCell], labels: Sequence[int], images: Sequence[str]) -> list[Item]:
    """Select these images in every cell that has them.

    Args:
        cells: Cells that are searched.
        labels: Positions of the labels.
        images: Image ids, or ``dataset/id`` where an id stands in several datasets.

    Raises:
        UnknownNameError: No cell has an image of that name; the nearest one is offered.
    """
    items: list[Item] = []
    known: set[str] = set()
    for cell in cells:
        rows_of = _rows_by_name(cell)
        rows = [row for name in images for row in rows_of.get(name, ())]
        known.update(rows_of)
        items += [Item(cell, row, label) for label in labels for row in rows]
    for name in images:
        if name not in known:
            ids = {str(image) for cell in cells for image in cell.frame["image"]}
            raise UnknownNameError("image", name, ids, where="the chosen cells")
    return items


def by_rule(cells: Sequence[NetworkCell], labels: Sequence[int], count: int) -> list[Item]:
    """Select ``count`` images a label and test set, as ``RULE`` says, by the predictions of the first cell of the test set.

    Other cells of the same test set are explained on the same images, as far as they have them.
    """
    items = []
    for test in dict.fromkeys(cell.test for cell in cells):
        of_test = [cell for cell in cells if cell.test == test]
        for label in labels:
            names = [_name(of_test[0], row) for row in _rows_by_rule(of_test[0], label, count)]
            for cell in of_test:
                rows_of = _rows_by_name(cell)
                items += [Item(cell, row, label) for name in names for row in rows_of.get(name, ())]
    return items


def read_list(path: Path) -> tuple[str, ...]:
    """Read image ids, one a line; empty lines and those that start with ``#`` are skipped.

    Raises:
        UsageError: The file cannot be read, or names no image.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--images {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    ids = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not ids:
        raise UsageError(f"--images {path}: names no image; expected one id a line")
    return tuple(dict.fromkeys(ids))


def outcome(truth: float, predicted: bool) -> str:
    """Name the outcome of a prediction: true or false, positive or negative.

    Args:
        truth: 1, 0 or NaN (not labelled).
        predicted: Whether the label is predicted.

    >>> outcome(1, True), outcome(0, True), outcome(float("nan"), True)
    ('true positive', 'false positive', 'not labelled')
    """
    if np.isnan(truth):
        return "not labelled"
    return f"{'true' if bool(truth) == predicted else 'false'} {'positive' if predicted else 'negative'}"


def _rows_by_rule(cell: NetworkCell, label: int, count: int) -> list[int]:
    truth, predicted = cell.truth[:, label], cell.predicted[:, label]
    correct = _in_order_of_hash(cell, (truth == 1) & predicted)
    wrong = _in_order_of_hash(cell, ~np.isnan(truth) & ((truth == 1) != predicted))
    errors = min(len(wrong), max(count // 2, count - len(correct)))
    return [*correct[: count - errors], *wrong[:errors]]


def _in_order_of_hash(cell: NetworkCell, mask: npt.NDArray[np.bool_]) -> list[int]:
    """List the marked rows in an order that depends on the images alone, whatever the order of rows is."""
    rows = np.flatnonzero(mask).tolist()
    return sorted(rows, key=lambda row: seed_of("explain", _name(cell, row)))


def _name(cell: NetworkCell, row: int) -> str:
    return f"{cell.frame['dataset'].iloc[row]}/{cell.frame['image'].iloc[row]}"


def _rows_by_name(cell: NetworkCell) -> dict[str, list[int]]:
    """Map each image id, and each ``dataset/id``, to its rows."""
    rows: dict[str, list[int]] = {}
    pairs = zip(cell.frame["dataset"].astype(str), cell.frame["image"].astype(str), strict=True)
    for row, (dataset, image) in enumerate(pairs):
        for name in (image, f"{dataset}/{image}"):
            rows.setdefault(name, []).append(row)
    return rows

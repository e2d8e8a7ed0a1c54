"""Which images are explained: those that are named, or a few by a rule that gives the same ones every time."""

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
    "{count} images of each label and test set: half of them with the label and called so, half called wrongly (missed or "
    "falsely called), each half in the order of a hash of dataset and image name; where one half is short, the other fills it"
)


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
    def picture(self) -> tuple[str, str]:
        """Dataset and image id."""
        row = self.cell.frame.iloc[self.row]
        return str(row["dataset"]), str(row["image"])


def named(cells: Sequence[NetworkCell], labels: Sequence[int], images: Sequence[str]) -> list[Item]:
    """Take these images from every cell that has them.

    Args:
        cells: Where they are looked for.
        labels: Positions of the labels.
        images: Image ids, or ``dataset/id`` where an id stands in several datasets.

    Raises:
        UnknownNameError: No cell has an image of that name; the nearest one is offered.
    """
    found: list[Item] = []
    seen: set[str] = set()
    for cell in cells:
        at = _rows_by_name(cell)
        wanted = [(name, row) for name in images for row in at.get(name, ())]
        seen.update(name for name, _ in wanted)
        found += [Item(cell, row, label) for label in labels for _, row in wanted]
    for name in images:
        if name not in seen:
            known = {str(image) for cell in cells for image in cell.frame["image"]}
            raise UnknownNameError("image", name, known, where="the chosen cells")
    return found


def by_rule(cells: Sequence[NetworkCell], labels: Sequence[int], count: int) -> list[Item]:
    """Choose ``count`` images a label and test set, as ``RULE`` says, by what the first cell of the test set predicted.

    Other cells of the same test set are explained on the same images, as far as they have them.
    """
    found = []
    for test in dict.fromkeys(cell.test for cell in cells):
        mine = [cell for cell in cells if cell.test == test]
        for label in labels:
            first = mine[0]
            chosen = [_name(first, row) for row in _some(first, label, count)]
            for cell in mine:
                at = _rows_by_name(cell)
                found += [Item(cell, row, label) for name in chosen for row in at.get(name, ())]
    return found


def read_list(path: Path) -> tuple[str, ...]:
    """Read image ids, one a line; empty lines and those that start with ``#`` are passed over.

    Raises:
        UsageError: The file cannot be read, or names no image.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--images {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    found = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not found:
        raise UsageError(f"--images {path}: names no image; wanted one id a line")
    return tuple(dict.fromkeys(found))


def outcome(truth: float, called: bool) -> str:
    """Say how a decision compares with the truth.

    >>> outcome(1, True), outcome(0, True), outcome(float("nan"), True)
    ('true positive', 'false positive', 'not labelled')
    """
    if np.isnan(truth):
        return "not labelled"
    return f"{'true' if bool(truth) == called else 'false'} {'positive' if called else 'negative'}"


def _some(cell: NetworkCell, label: int, count: int) -> list[int]:
    truth, called = cell.truth[:, label], cell.called[:, label]
    right = _hashed(cell, (truth == 1) & called)
    wrong = _hashed(cell, ~np.isnan(truth) & ((truth == 1) != called))
    errors = min(len(wrong), max(count // 2, count - len(right)))
    return [*right[: count - errors], *wrong[:errors]]


def _hashed(cell: NetworkCell, mask: npt.NDArray[np.bool_]) -> list[int]:
    rows = np.flatnonzero(mask).tolist()
    return sorted(rows, key=lambda row: seed_of("explain", _name(cell, row)))


def _name(cell: NetworkCell, row: int) -> str:
    return f"{cell.frame['dataset'].iloc[row]}/{cell.frame['image'].iloc[row]}"


def _rows_by_name(cell: NetworkCell) -> dict[str, list[int]]:
    """List the rows of each id, and of each id with its dataset before it."""
    found: dict[str, list[int]] = {}
    pairs = zip(cell.frame["dataset"].astype(str), cell.frame["image"].astype(str), strict=True)
    for row, (dataset, image) in enumerate(pairs):
        for name in (image, f"{dataset}/{image}"):
            found.setdefault(name, []).append(row)
    return found

"""Readers' boxes of the explained images, in pixels of their saliency maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrbench.data.annotations.boxes import EDGES
from xrbench.errors import MissingDataError
from xrbench.explain.image_selection import Item
from xrbench.explain.image_source import ImageSource
from xrbench.explain.localisation import Box
from xrbench.explain.run_cells import NetworkCell

COLUMNS = ("dataset", "image", "label", "reader", "image_size", *EDGES)


class Boxes:
    """Readers' boxes, read when a dataset is first asked for, and moved to cached pixels image by image.

    Args:
        source: Where the datasets are.
        labels: The labels whose boxes count.
    """

    def __init__(self, source: ImageSource, labels: Sequence[str]) -> None:
        self._source, self._labels = source, tuple(labels)
        self._tables: dict[str, pd.DataFrame | None] = {}
        self._moved: dict[tuple[str, str, int], pd.DataFrame] = {}

    def of(self, dataset: str, image: str, label: str, image_size: int) -> list[Box]:
        """List the boxes of all readers for one label of one image; empty where nobody drew any.

        Raises:
            DataError: The table of boxes is broken, or a box lies outside the image.
        """
        table = self._table(dataset)
        if table is None or image not in table.index:
            return []
        key = (dataset, image, image_size)
        if key not in self._moved:
            self._moved[key] = self._source.cached_boxes(dataset, table.loc[[image]], image_size)
        moved = self._moved[key]
        return [(x0, y0, x1, y1) for x0, y0, x1, y1 in moved.loc[moved["label"] == label, list(EDGES)].to_numpy(float)]

    def items(self, cells: Sequence[NetworkCell], labels: Sequence[int]) -> list[Item]:
        """List the images that have a label and a box of it, in every cell.

        Raises:
            MissingDataError: No dataset of the cells has boxes of these labels.
        """
        items = [item for cell in cells for item in self._of_cell(cell, labels)]
        if not items:
            datasets = sorted({str(name) for cell in cells for name in cell.frame["dataset"].unique()})
            raise MissingDataError(f"{', '.join(datasets)}: no boxes of {', '.join(self._labels)} on images of the run")
        return items

    def table(self) -> pd.DataFrame:
        """List all boxes that were asked for, in cached pixels."""
        parts = [
            moved.assign(dataset=dataset, image_size=size)[list(COLUMNS)]
            for (dataset, _, size), moved in self._moved.items()
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))

    def _table(self, dataset: str) -> pd.DataFrame | None:
        if dataset not in self._tables:
            table = self._source.boxes(dataset, self._labels)
            self._tables[dataset] = None if table is None or table.empty else table.set_index("image", drop=False)
        return self._tables[dataset]

    def _of_cell(self, cell: NetworkCell, labels: Sequence[int]) -> list[Item]:
        items = []
        for dataset in cell.frame["dataset"].unique():
            table = self._table(str(dataset))
            if table is None:
                continue
            of_dataset = (cell.frame["dataset"] == dataset).to_numpy()
            for label in labels:
                annotated = set(table.loc[table["label"] == cell.labels[label], "image"])
                has_box = cell.frame["image"].isin(annotated).to_numpy()
                rows = np.flatnonzero(of_dataset & (cell.truth[:, label] == 1) & has_box)
                items += [Item(cell, int(row), label, shown=False) for row in rows]
        return items

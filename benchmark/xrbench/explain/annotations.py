"""The boxes of images that are explained, in pixels of their maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xrbench.data.annotations.boxes import EDGES
from xrbench.errors import MissingDataError
from xrbench.explain.image_selection import Item
from xrbench.explain.image_source import Places
from xrbench.explain.localisation import Box
from xrbench.explain.run_cells import NetworkCell

COLUMNS = ("dataset", "image", "label", "reader", "image_size", *EDGES)


class Boxes:
    """Readers' boxes, read when a dataset is first asked for, and moved to cached pixels image by image.

    Args:
        places: Where the datasets are.
        labels: The labels whose boxes count.
    """

    def __init__(self, places: Places, labels: Sequence[str]) -> None:
        self._places, self._labels = places, tuple(labels)
        self._tables: dict[str, pd.DataFrame | None] = {}
        self._moved: dict[tuple[str, str, int], pd.DataFrame] = {}

    def of(self, dataset: str, image: str, label: str, image_size: int) -> list[Box]:
        """List the boxes of all readers for one label of one image; none where nobody drew any.

        Raises:
            DataError: The table of boxes is broken, or a box lies outside of the image.
        """
        table = self._table(dataset)
        if table is None or image not in table.index:
            return []
        key = (dataset, image, image_size)
        if key not in self._moved:
            self._moved[key] = self._places.cached_boxes(dataset, table.loc[[image]], image_size)
        found = self._moved[key]
        return [(x0, y0, x1, y1) for x0, y0, x1, y1 in found.loc[found["label"] == label, list(EDGES)].to_numpy(float)]

    def items(self, cells: Sequence[NetworkCell], labels: Sequence[int]) -> list[Item]:
        """List the images that have a label and a box of it, in every cell.

        Raises:
            MissingDataError: No dataset of the cells has boxes of these labels.
        """
        found = [item for cell in cells for item in self._of_cell(cell, labels)]
        if not found:
            datasets = sorted({str(name) for cell in cells for name in cell.frame["dataset"].unique()})
            raise MissingDataError(f"{', '.join(datasets)}: no boxes of {', '.join(self._labels)} on images of the run")
        return found

    def table(self) -> pd.DataFrame:
        """List all boxes that were asked for, in cached pixels."""
        parts = [
            moved.assign(dataset=dataset, image_size=size)[list(COLUMNS)]
            for (dataset, _, size), moved in self._moved.items()
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))

    def _table(self, dataset: str) -> pd.DataFrame | None:
        if dataset not in self._tables:
            read = self._places.boxes(dataset, self._labels)
            self._tables[dataset] = None if read is None or read.empty else read.set_index("image", drop=False)
        return self._tables[dataset]

    def _of_cell(self, cell: NetworkCell, labels: Sequence[int]) -> list[Item]:
        items = []
        for dataset in cell.frame["dataset"].unique():
            table = self._table(str(dataset))
            if table is None:
                continue
            here = (cell.frame["dataset"] == dataset).to_numpy()
            for label in labels:
                drawn = set(table.loc[table["label"] == cell.labels[label], "image"])
                boxed = here & (cell.truth[:, label] == 1) & cell.frame["image"].isin(drawn).to_numpy()
                items += [Item(cell, int(row), label, shown=False) for row in np.flatnonzero(boxed)]
        return items

"""Storage of explanations, which are read without torch to draw panels or to summarise them again.

In the folder::

    index.csv       one row a map: image, cell, label, truth, score, prediction, target, layer, how the map is spread, boxes
    boxes.csv       the readers' boxes of these images and labels, in pixels of the maps; where there are any
    agreement.csv   maps against boxes, with intervals; where there are any
    maps.npz        pixels-0, pixels-1 ... (uint8) and map-0, map-1 ... (float16, 0..1); the index says which
    about.json      what was asked, and of which networks
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import StoreError
from xrbench.files import write_atomic
from xrbench.runs import store

FORMAT = "xrbench-explained-1"
ABOUT, INDEX, BOXES, AGREEMENT, MAPS = "about.json", "index.csv", "boxes.csv", "agreement.csv", "maps.npz"
TEXT = (
    *("label", "dataset", "image", "patient_id", "test", "protocol", "cell", "network", "method", "model", "train"),
    *("configuration", "actual", "predicted", "outcome", "target", "layer", "technique"),
)


@dataclass(frozen=True)
class Explained:
    """Saliency maps of some images, with all that panels state.

    Attributes:
        index: One row a map: the image, its scores, and location and extent of the map.
        images: Cached pixels of each image and size, uint8, shape (height, width) or in colour (height, width, 3);
            ``index["pixels"]`` counts them.
        maps: Float32 maps in 0..1, shape (height, width); ``index["map"]`` counts them, -1 where only the numbers are kept.
        boxes: Columns ``dataset, image, label, reader, image_size, x0, y0, x1, y1``, in pixels of maps of that size.
        agreement: As ``agreement`` makes it; empty where there are no boxes.
        about: The question, the rule that selected the images, keys of the cells, and the stamp.
    """

    index: pd.DataFrame
    images: tuple[npt.NDArray[np.uint8], ...]
    maps: tuple[npt.NDArray[np.float32], ...]
    boxes: pd.DataFrame
    agreement: pd.DataFrame
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stamp(self) -> str:
        """The FIXTURE stamp for every panel and table; empty on real images."""
        return str(self.about.get("stamp", ""))


def clear(folder: Path) -> None:
    """Remove the files of an earlier explanation in this folder."""
    try:
        earlier = store.read_json(folder / ABOUT).get("files", ())
    except StoreError:
        return
    for name in (*earlier, ABOUT):
        if Path(name).name == name:
            (folder / name).unlink(missing_ok=True)


def write(folder: Path, explained: Explained, *, maps: bool = True, panels: Sequence[Path] = ()) -> list[Path]:
    """Write an explanation into a folder; ``about.json`` is written last, so that a folder that has one is complete.

    Args:
        folder: Where the files go.
        explained: The explanation.
        maps: Whether images and maps are stored, without which no panel can be drawn again.
        panels: Panels that were drawn into this folder already.

    Raises:
        StoreError: The folder cannot be written.
    """
    tables = {INDEX: explained.index, BOXES: explained.boxes, AGREEMENT: explained.agreement}
    paths = []
    try:
        for name, table in tables.items():
            if len(table):
                store.write_csv(folder / name, table.assign(stamp=explained.stamp) if explained.stamp else table)
                paths.append(folder / name)
        if maps:
            arrays: dict[str, Any] = {f"pixels-{at}": image for at, image in enumerate(explained.images)}
            arrays |= {f"map-{at}": saliency.astype(np.float16) for at, saliency in enumerate(explained.maps)}
            content = io.BytesIO()
            np.savez_compressed(content, **arrays)
            write_atomic(folder / MAPS, content.getvalue())
            paths.append(folder / MAPS)
        files = [path.name for path in (*paths, *panels)]
        store.write_json(folder / ABOUT, {"format": FORMAT, **explained.about, "files": files})
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror}") from error
    return [*paths, folder / ABOUT, *panels]


def read(folder: Path) -> Explained:
    """Read an explanation that was written with its maps.

    Raises:
        StoreError: It is missing, damaged, or of another version.
    """
    about = store.read_json(folder / ABOUT)
    if about.get("format") != FORMAT:
        raise StoreError(f"{folder / ABOUT}: format {about.get('format')!r}; this version reads {FORMAT!r}")
    images, maps = _arrays(folder / MAPS)
    index = _table(folder / INDEX, TEXT)
    if len(index) and (index["pixels"].max() >= len(images) or index["map"].max() >= len(maps)):
        raise StoreError(f"{folder / MAPS}: has {len(maps)} maps, {INDEX} names more; it was damaged or edited")
    boxes = _table(folder / BOXES, ("dataset", "image", "label", "reader"))
    return Explained(index, images, maps, boxes, _table(folder / AGREEMENT, ()), about)


def _table(path: Path, text: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame()
    try:
        types = dict.fromkeys(text, str)
        table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path}: not a CSV table: {str(error).splitlines()[0]}") from error
    for column in text:
        if column not in table:
            raise StoreError(f"{path}: column {column!r} missing")
        table[column] = table[column].astype(object).where(table[column].notna(), "")
    return table.drop(columns="stamp", errors="ignore")


def _arrays(path: Path) -> tuple[tuple[npt.NDArray[np.uint8], ...], tuple[npt.NDArray[np.float32], ...]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            images = [
                archive[f"pixels-{at}"] for at in range(sum(name.startswith("pixels-") for name in archive.files))
            ]
            maps = [archive[f"map-{at}"] for at in range(sum(name.startswith("map-") for name in archive.files))]
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file; maps were not kept") from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path}: damaged ({type(error).__name__})") from error
    return tuple(images), tuple(saliency.astype(np.float32) for saliency in maps)

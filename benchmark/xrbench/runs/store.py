"""Read and write stored results; each file is verified when it is read.

Layout below ``--out``::

    fits/<key>/                 weights and log of a fit, written by training
    cells/<key>.parquet         predictions of one cell, with its key, description and digest
    <suite>/<run>/manifest.json fits and cells of the run, its data and versions
    <suite>/<run>/scores.csv    its scores; the tables, figures and pages lie beside it
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock
import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xrbench.cards import SuiteCard
from xrbench.errors import StoreError
from xrbench.files import write_atomic

FORMAT = "xrbench-predictions-1"
MANIFEST_FORMAT = "xrbench-run-2"
"""Raised by one whenever manifests of before cannot be read as they are."""
COLUMNS = ("image", "patient_id", "dataset")
MANIFEST = "manifest.json"
SCORES = "scores.csv"
MANIFEST_FIELDS: Mapping[str, type] = {
    "suite": dict,
    "profile_name": str,
    "data": str,
    "datasets": list,
    "fits": list,
    "cells": list,
}
"""Fields that every manifest has, with their types."""


class Store:
    """The folder given by ``--out``.

    Args:
        out: The folder; made when something is first written.

    Raises:
        StoreError: It is a file.
    """

    def __init__(self, out: Path) -> None:
        if out.exists() and not out.is_dir():
            raise StoreError(f"{out}: is a file; results need a folder")
        self.out = out

    def fit_folder(self, key: str) -> Path:
        """Return the folder of a fit."""
        return self.out / "fits" / key

    def cell_file(self, key: str) -> Path:
        """Return the file of a cell's predictions."""
        return self.out / "cells" / f"{key}.parquet"

    def run_folder(self, suite: str, run: str) -> Path:
        """Return the folder of a run."""
        return self.out / suite / run

    def runs(self, suite: str | None = None) -> list[Path]:
        """List run folders, the one written last first."""
        manifests = self.out.glob(f"{suite or '*'}/*/{MANIFEST}")
        return [path.parent for path in sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True)]

    def has_cell(self, key: str) -> bool:
        """Say whether a cell's predictions are stored."""
        return self.cell_file(key).is_file()

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock, after waiting for another process that holds it."""
        with filelock.FileLock(self._lock_file(name)):
            yield

    @contextlib.contextmanager
    def try_lock(self, name: str) -> Iterator[bool]:
        """Hold a lock unless another process holds it, so that two commands never do the same work.

        The file is removed afterwards. Whoever holds a lock must look first whether the work is done by now: two processes can both
        come after the one that did it.

        Yields:
            Whether the lock is held.
        """
        path = self._lock_file(name)
        held = filelock.FileLock(path)
        try:
            held.acquire(timeout=0)
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):  # Windows cannot remove a file that is open
                path.unlink()
            held.release()

    def _lock_file(self, name: str) -> Path:
        path = self.out / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file atomically; NaN becomes null."""
    write_atomic(path, (json.dumps(without_nan(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file.

    Raises:
        StoreError: It is not there or not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise StoreError(f"{path}: expected a JSON object, got {type(values).__name__}")
    return values


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check the manifest of a run.

    Raises:
        StoreError: There is no manifest in the folder, or it lacks what every manifest has.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(f"{folder}: not a run folder (no {MANIFEST})")
    values = read_json(path)
    if values.get("format") != MANIFEST_FORMAT:
        raise StoreError(
            f"{path}: written by another version of xrbench (format {values.get('format')!r}, expected {MANIFEST_FORMAT!r}); "
            "run the suite again"
        )
    for field, kind in MANIFEST_FIELDS.items():
        if not isinstance(values.get(field), kind):
            raise StoreError(f"{path}: field {field!r} is missing or of another type; the file was damaged or edited")
    try:
        msgspec.convert(values["suite"], SuiteCard)
    except msgspec.ValidationError as error:
        raise StoreError(f"{path}: suite: {error}") from error
    return values


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV with shortest exact numbers, atomically."""
    write_atomic(path, frame.to_csv(index=False, lineterminator="\n").encode())


def write_predictions(path: Path, frame: pd.DataFrame, about: Mapping[str, Any]) -> None:
    """Write a cell's predictions with its description.

    Args:
        path: The file.
        frame: Columns ``image, patient_id, dataset``, others, ``truth:<label>`` and ``score:<label>``.
        about: The cell's name, key and provenance; JSON values.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False)
    described = {"format": FORMAT, "digest": _digest(table), **about}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"xrbench": json.dumps(described).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(path, sink.getvalue().to_pybytes())


def read_predictions(path: Path, *, key: str = "") -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a cell's predictions and description.

    Args:
        path: The file.
        key: The cell's key, if it is known what should be there.

    Raises:
        StoreError: The file is missing, damaged, not ours, or belongs to another specification.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{path}: not a readable Parquet file: {str(error).splitlines()[0]}") from error
    about = json.loads((table.schema.metadata or {}).get(b"xrbench", b"{}"))
    if about.get("format") != FORMAT:
        raise StoreError(f"{path}: not written by xrbench (format {about.get('format')!r}, expected {FORMAT!r})")
    if about.get("digest") != _digest(table):
        raise StoreError(
            f"{path}: its content does not match its digest; it was damaged or edited, remove it to measure again"
        )
    if key and about.get("key") != key:
        raise StoreError(
            f"{path}: field key: expected {key}, got {about.get('key')}; the file belongs to another specification"
        )
    return table.to_pandas(), about


def labels_of(frame: pd.DataFrame, prefix: str = "score:") -> tuple[str, ...]:
    """List the labels that a predictions frame has, in order."""
    return tuple(name[len(prefix) :] for name in frame.columns if str(name).startswith(prefix))


def _digest(table: pa.Table) -> str:
    """Hash column names and values, whatever the chunking and compression."""
    digest = hashlib.blake2b(digest_size=16)
    hashed = pd.util.hash_pandas_object(table.to_pandas(), index=False).to_numpy()
    digest.update("\x1f".join(table.column_names).encode())
    digest.update(hashed.tobytes())
    return digest.hexdigest()


def without_nan(value: Any) -> Any:
    """Replace NaN by None, at any depth, for JSON."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value

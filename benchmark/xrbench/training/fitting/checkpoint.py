"""Files of a fit: checkpoints to resume from, the log, and the selected weights, each tied to the fit's key.

The fit's folder holds::

    checkpoint.pt   the state to resume from, written after an epoch; removed at the end
    log.csv         one row an epoch
    weights.pt      the weights that were selected, at the end
    done.json       written last: the fit is finished

A checkpoint is written after the first epoch of every start and after the last one, and in between only when ``INTERVAL`` times as long has
passed as the last one took, so that checkpoints take at most one part in ``INTERVAL`` + 1 of the time.

Every file is written under a temporary name, flushed to the disk and renamed. Tensors are read with ``weights_only=True``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import pickle
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from xrbench.cards import Recipe, plain
from xrbench.errors import StoreError
from xrbench.files import write_atomic
from xrbench.progress import Reporter
from xrbench.training.fitting.difference import first_difference
from xrbench.training.models.state_dict import State

FORMAT = "xrbench-fit-1"
CHECKPOINT, LOG, WEIGHTS, DONE = "checkpoint.pt", "log.csv", "weights.pt", "done.json"
INTERVAL = 25.0
"""Least time between two checkpoints, in multiples of the time that the last one took."""
READ_ERRORS = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""Errors that reading a damaged file can raise; torch and pickle document no common base class."""

Row = dict[str, float]


@dataclass
class Progress:
    """State of a fit between two epochs.

    Attributes:
        epoch: Number of finished epochs.
        best_epoch: The epoch that would be selected now, from 1; 0 when there is none.
        best_value: Its figure of validation; NaN when that was not defined.
        best: Its weights.
        rows: The log, one row for each finished epoch.
        wall_seconds: Time on the clock of all starts.
        peak_memory: The most memory of any start, in MiB; NaN where it is not known.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = math.nan
    best: State = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    wall_seconds: float = 0.0
    peak_memory: float = math.nan


class FitFolder:
    """The folder of one fit.

    Args:
        path: The folder; created with the first file.
        key: The fit's key.
        recipe: Specification of the fit; stored in every file, so that a mismatch of keys can be traced to a field.
    """

    def __init__(self, path: Path, *, key: str, recipe: Recipe) -> None:
        self.path, self.key, self.recipe = path, key, plain(recipe)
        self._written, self._took = -math.inf, 0.0

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last checkpoint for another one."""
        return time.monotonic() - self._written >= INTERVAL * self._took

    def save(self, progress: Progress, state: Mapping[str, Any], *, kept: str) -> None:
        """Write a checkpoint.

        Args:
            progress: State of the fit.
            state: Everything else that training changes: tensors and plain values.
            kept: Key of the weights in ``state`` that would be kept now; where they are the best ones, these are not written twice.
        """
        values = {**self._identity(), "progress": vars(progress), "state": dict(state), "kept": kept}
        if progress.best_epoch == progress.epoch:
            values["progress"] = {**vars(progress), "best": None}
        started = time.monotonic()
        _save(self.path / CHECKPOINT, values)
        self._written = time.monotonic()
        self._took = self._written - started

    def load(self, reporter: Reporter) -> tuple[Progress, dict[str, Any]] | None:
        """Read the checkpoint, or return None when there is no intact one.

        Raises:
            StoreError: It belongs to another specification; the first field that differs is named.
        """
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            values = _load(path)
            self._check_identity(values, path)
            progress, state = Progress(**values["progress"]), dict(values["state"])
            progress.best = progress.best or state[values["kept"]]
        except READ_ERRORS as error:
            reporter.line(f"{path}: broken ({type(error).__name__}); the fit starts again")
            return None
        return progress, state

    def write_log(self, rows: list[Row]) -> None:
        """Write all epochs so far to ``log.csv``; integers without a decimal point, NaN as an empty cell."""
        if not rows:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([_cell(value) for value in row.values()] for row in rows)
        write_bytes(self.path / LOG, text.getvalue().encode())

    def finish(self, weights: State, result: Mapping[str, Any]) -> None:
        """Write the selected weights, then ``done.json``, and remove the checkpoint."""
        path = self.path / WEIGHTS
        _save(path, {**self._identity(), "network": weights})
        # done.json comes last and holds the digest of the weights: an interruption before it leaves an unfinished fit
        done = {**self._identity(), "weights": _digest(path), "result": result}
        write_bytes(self.path / DONE, json.dumps(done, indent=1).encode())
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    def finished(self, reporter: Reporter) -> dict[str, Any] | None:
        """Return the stored result of a finished fit, or None when the fit is not finished.

        Raises:
            StoreError: As for ``load``.
        """
        path = self.path / DONE
        if not path.exists():
            return None
        try:
            done: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self._check_identity(done, path)
            if done["weights"] == _digest(self.path / WEIGHTS):
                return dict(done["result"])
            reporter.line(f"{self.path / WEIGHTS}: not what was written; the fit is trained again")
        except (OSError, ValueError, KeyError, TypeError) as error:
            reporter.line(f"{path}: broken ({type(error).__name__}); the fit is trained again")
        return None

    def weights(self) -> State:
        """Read the selected weights of a finished fit.

        Raises:
            StoreError: They are missing or broken, or belong to another specification.
        """
        path = self.path / WEIGHTS
        try:
            values = _load(path)
            self._check_identity(values, path)
            return dict(values["network"])
        except FileNotFoundError as error:
            raise StoreError(f"{path}: no such file: the fit is not finished") from error
        except READ_ERRORS as error:
            raise StoreError(f"{path}: broken ({type(error).__name__}); remove the folder to train again") from error

    def _identity(self) -> dict[str, Any]:
        return {"format": FORMAT, "key": self.key, "recipe": self.recipe}

    def _check_identity(self, values: Mapping[str, Any], path: Path) -> None:
        if values["format"] != FORMAT:
            raise StoreError(f"{path}: format {values['format']!r}; this version reads {FORMAT!r}")
        if values["key"] == self.key:
            return
        differing = first_difference(values["recipe"], self.recipe)
        what = differing or f"key is {values['key']!r} there, {self.key!r} is expected: other images, or other code"
        raise StoreError(f"{path}: belongs to another specification: {what}")


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file so that a reader sees the old content or the whole new one.

    Raises:
        StoreError: The folder cannot be written to, or the disk is full.
    """
    try:
        write_atomic(path, data)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save(path: Path, values: Mapping[str, Any]) -> None:
    content = io.BytesIO()
    torch.save(values, content)
    write_bytes(path, content.getbuffer())


def _load(path: Path) -> dict[str, Any]:
    """Read a file that ``_save`` wrote."""
    # torch writes the checksums of the archive's members but does not compare them when it reads
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken:
        raise zipfile.BadZipFile(broken)
    values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return values


def _cell(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.8g}"

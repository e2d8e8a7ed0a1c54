"""Files of a fit: checkpoints to resume from, the log, and the selected weights, each tied to the fit's key.

The fit's folder holds::

    checkpoint.pt, checkpoint-previous.pt   the state to resume from, written after each epoch; removed at the end
    log.csv                                 one row an epoch
    weights.pt                              the weights that were selected, at the end
    done.json                               written last: the fit is finished

Every file is written under a temporary name, flushed to the disk and renamed. Tensors are read with ``weights_only=True``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import pickle
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
from xrbench.training.models.state_dict import State

FORMAT = "xrbench-fit-1"
CHECKPOINTS = ("checkpoint.pt", "checkpoint-previous.pt")
LOG, WEIGHTS, DONE = "log.csv", "weights.pt", "done.json"
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
        best_auc: Its mean validation AUC; NaN when it was not selected by one.
        best: Its weights.
        rows: The log, one row for each finished epoch.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_auc: float = math.nan
    best: State = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


class FitFolder:
    """The folder of one fit.

    Args:
        path: The folder; created with the first file.
        key: The fit's key.
        recipe: Specification of the fit; stored in every file, so that a mismatch of keys can be traced to a field.
    """

    def __init__(self, path: Path, *, key: str, recipe: Recipe) -> None:
        self.path, self.key, self.recipe = path, key, plain(recipe)

    def save(self, progress: Progress, network: State, optimiser: Mapping[str, Any]) -> None:
        """Write a checkpoint and the log; the checkpoint before it is kept under another name."""
        latest, previous = (self.path / name for name in CHECKPOINTS)
        values = {
            **self._identity(),
            "epoch": progress.epoch,
            "best_epoch": progress.best_epoch,
            "best_auc": progress.best_auc,
            "best": progress.best,
            "rows": progress.rows,
            "network": network,
            "optimiser": optimiser,
        }
        _save(latest, values, keep=previous)
        self.write_log(progress.rows)

    def load(self, reporter: Reporter) -> tuple[Progress, State, dict[str, Any]] | None:
        """Read the newest intact checkpoint, or return None when there is none.

        Raises:
            StoreError: It belongs to another specification; the first field that differs is named.
        """
        for name in CHECKPOINTS:
            path = self.path / name
            if not path.exists():
                continue
            try:
                values = _load(path)
                self._check_identity(values, path)
                progress = Progress(
                    **{part: values[part] for part in ("epoch", "best_epoch", "best_auc", "best", "rows")}
                )
                return progress, values["network"], values["optimiser"]
            except READ_ERRORS as error:
                reporter.line(f"{path}: broken ({type(error).__name__}); going on without it")
        return None

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
        """Write the selected weights, then ``done.json``, and remove the checkpoints."""
        path = self.path / WEIGHTS
        _save(path, {**self._identity(), "network": weights})
        # done.json comes last and holds the digest of the weights: an interruption before it leaves an unfinished fit
        done = {**self._identity(), "weights": _digest(path), "result": result}
        write_bytes(self.path / DONE, json.dumps(done, indent=1).encode())
        for name in CHECKPOINTS:
            (self.path / name).unlink(missing_ok=True)

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
        stored, current = _flat(values["recipe"]), _flat(self.recipe)
        differing = [name for name in {**stored, **current} if stored.get(name) != current.get(name) and _decides(name)]
        if differing:
            name = differing[0]
            what = f"{name} is {stored.get(name)!r} there, {current.get(name)!r} is expected"
        else:
            what = f"key is {values['key']!r} there, {self.key!r} is expected: other images, or other code"
        raise StoreError(f"{path}: belongs to another specification: {what}")


def write_bytes(path: Path, data: bytes | memoryview, *, keep: Path | None = None) -> None:
    """Write a file so that a reader sees the old content or the whole new one; ``keep`` takes the old one.

    Raises:
        StoreError: The folder cannot be written to, or the disk is full.
    """
    try:
        write_atomic(path, data, keep=keep)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save(path: Path, values: Mapping[str, Any], *, keep: Path | None = None) -> None:
    content = io.BytesIO()
    torch.save(values, content)
    write_bytes(path, content.getbuffer(), keep=keep)


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


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """Flatten nested fields to dotted paths.

    >>> _flat({"method": {"epochs": 3}, "seed": 0})
    {'method.epochs': 3, 'seed': 0}
    """
    if not isinstance(values, Mapping):
        return {name: list(values) if isinstance(values, tuple) else values}
    return {
        path: value
        for field_, below in values.items()
        for path, value in _flat(below, f"{name}.{field_}" if name else str(field_)).items()
    }


def _decides(name: str) -> bool:
    """Return whether a field affects the result; titles, notes and names of cards do not."""
    return name.rpartition(".")[2] not in ("title", "notes") and name not in ("method.name", "model.name")

"""Units of resampling: patients where ids are known, else images."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import MeasureError, UsageError, suggestion

Unit = Literal["patient", "image"]
UNITS = ("patient", "image")


class Patients(NamedTuple):
    """Patients as numbers.

    Attributes:
        unit: ``patient``, or ``image`` when every image stands for itself.
        code: Number of each image's patient, 0 to ``size`` - 1, shape (n,).
        size: Number of patients (or images).
        torn: Patients with several images that are taken as independent although their ids are known; 0 when none is.
    """

    unit: Unit
    code: npt.NDArray[np.int32]
    size: int
    torn: int = 0

    @property
    def caution(self) -> str:
        """Caution that images are not independent, where that is known; else empty."""
        if not self.torn:
            return ""
        have = "patient has" if self.torn == 1 else "patients have"
        return f"images taken as independent although {self.torn:,} {have} several: the interval is too narrow"


def members(*codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """List the distinct patients of images in ascending order.

    Args:
        codes: Patient numbers of images, shape (images,) each.

    Returns:
        Shape (patients,).

    >>> members(np.array([3, 1, 3], np.int32), np.array([0], np.int32)).tolist()
    [0, 1, 3]
    """
    # Marking is linear in the images, where np.unique would sort them.
    present = np.zeros(1 + max((int(code.max()) for code in codes if len(code)), default=-1), np.bool_)
    for code in codes:
        present[code] = True
    return np.flatnonzero(present)


def encode(patient: npt.ArrayLike | None, rows: int, *, unit: str = "patient") -> Patients:
    """Number the patients in the order in which they first appear.

    Args:
        patient: Patient id of each image, any hashable values, shape (rows,); None or all missing makes every image its own
            unit. A single missing id is a patient of its own.
        rows: Number of images.
        unit: ``patient``, or ``image`` to treat images as independent although ids are known.

    Raises:
        MeasureError: There are not as many ids as images.
        UsageError: Unknown unit.

    >>> encode(["b", "a", "b"], 3).code.tolist(), encode(None, 3).unit
    ([0, 1, 0], 'image')
    >>> encode(["b", "a", "b"], 3, unit="image").caution
    'images taken as independent although 1 patient has several: the interval is too narrow'
    """
    if unit not in UNITS:
        raise UsageError(f"unknown unit {unit!r}{suggestion(unit, UNITS)}")
    ids = None if patient is None else _ids(patient)
    if ids is not None and len(ids) != rows:
        raise MeasureError(f"patient has {len(ids):,} rows, truth has {rows:,}")
    if ids is None or bool(pd.isna(ids).all()):
        return Patients("image", np.arange(rows, dtype=np.int32), rows)
    code, known = number_ids(ids)
    if unit == "image":
        # Patients whose images are now taken as independent: the caution counts them.
        torn = int(np.sum(np.bincount(code) > 1))
        return Patients("image", np.arange(rows, dtype=np.int32), rows, torn)
    return Patients("patient", code, known)


def number_ids(ids: Any) -> tuple[npt.NDArray[np.int32], int]:
    """Number ids in the order in which they first appear; each missing id has a number of its own.

    Args:
        ids: Any hashable values, shape (n,).

    Returns:
        Numbers, shape (n,), and how many there are.

    >>> code, size = number_ids(np.array(["b", None, "b", None], object))
    >>> code.tolist(), size
    ([0, 1, 0, 2], 3)
    """
    code, known = pd.factorize(pd.Series(ids), use_na_sentinel=True)
    missing = code < 0
    size = len(known) + int(missing.sum())
    code[missing] = np.arange(len(known), size)
    return code.astype(np.int32), size


def _ids(patient: npt.ArrayLike) -> Any:
    ids = np.asarray(patient) if not isinstance(patient, (pd.Series, pd.Index)) else patient.array
    if getattr(ids, "ndim", 1) != 1:
        raise MeasureError(f"patient has shape {ids.shape}, expected one column of shape (n,)")
    return ids

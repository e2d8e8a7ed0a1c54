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
    ids = None if patient is None else to_ids(patient)
    if ids is not None and len(ids) != rows:
        raise MeasureError(f"patient has {len(ids):,} rows, truth has {rows:,}")
    if ids is None or not any_known(ids):
        return Patients("image", np.arange(rows, dtype=np.int32), rows)
    code, known = number_ids(ids)
    if unit == "image":
        # Patients whose images are now taken as independent: the caution counts them.
        torn = int(np.sum(np.bincount(code) > 1))
        return Patients("image", np.arange(rows, dtype=np.int32), rows, torn)
    return Patients("patient", code, known)


def number_ids(ids: Any) -> tuple[npt.NDArray[np.int32], int]:
    """Number ids in the order in which they first appear; each missing id has a number of its own.

    Text without a visible character is missing, and a whole number is the same patient as its text: tables are read with ids of either
    type.

    Args:
        ids: Any hashable values, shape (n,).

    Returns:
        Numbers, shape (n,), and how many there are.

    >>> code, size = number_ids(np.array(["b", None, "b", None], object))
    >>> code.tolist(), size
    ([0, 1, 0, 2], 3)
    """
    code, known = pd.factorize(pd.Series(ids), use_na_sentinel=True)
    if known.dtype.kind not in "iuf":
        same, known = pd.factorize(pd.Series([_same_text(each) for each in known], dtype=object), use_na_sentinel=True)
        code = np.append(same, -1)[code]
    missing = code < 0
    size = len(known) + int(missing.sum())
    code[missing] = np.arange(len(known), size)
    return code.astype(np.int32), size


def to_ids(patient: npt.ArrayLike | None) -> npt.NDArray[Any]:
    """Convert ids to an array, masked ones to None.

    Raises:
        MeasureError: They are not one column, shape (n,).

    >>> to_ids(np.ma.masked_array([7, 8], mask=[False, True])).tolist()
    [7, None]
    """
    if isinstance(patient, np.ma.MaskedArray):
        ids: npt.NDArray[Any] = np.array(patient.data, object)
        ids[np.ma.getmaskarray(patient)] = None
    elif isinstance(patient, (list, tuple)):
        # NumPy would turn a number among texts into a text, and a missing id into "None".
        ids = pd.Series(patient, dtype=object).to_numpy() if patient else np.zeros(0, object)
    else:
        ids = np.asarray(patient)
    if ids.ndim != 1:
        raise MeasureError(f"patient has shape {ids.shape}, expected one column of shape (n,)")
    return ids


def any_known(ids: npt.NDArray[Any]) -> bool:
    """Tell whether any id is known, shape (n,).

    >>> any_known(np.array(["", None], object)), any_known(np.array([0, 1]))
    (False, True)
    """
    return any(_same_text(each) is not None for each in pd.unique(pd.Series(ids).dropna()))


def _same_text(known: Any) -> Any:
    """Write a whole number as its text and blank text as None; any other id stays as it is."""
    if isinstance(known, str):
        return known if known.strip() else None
    whole = isinstance(known, (int, float, np.number)) and not isinstance(known, bool) and float(known).is_integer()
    return str(int(known)) if whole else known

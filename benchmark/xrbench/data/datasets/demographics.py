"""Who stands on which side of a split: the counts of a flowchart, and ages by sex.

A patient's sex and age are those of the first image in published order that tells them. Everything here is by patient where
ids are published and undefined (None, no rows) where they are not, except for the counts of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

UNKNOWN = "unknown"
"""Sex of patients about whom it is not known."""

Numbers = npt.NDArray[np.int64]


def describe_split(frame: pd.DataFrame, truth: npt.NDArray[np.float32], labels: Sequence[str]) -> dict[str, Any]:
    """Count the images, patients and findings of one side of a split.

    Args:
        frame: Tidy frame of its images, with ``patient_id`` and ``sex`` (F, M or missing).
        truth: 1, 0 or NaN, shape (n, labels).
        labels: Names of the columns of ``truth``.

    Returns:
        ``images``; ``patients``, ``male``, ``female`` (None without patient ids; patients of unknown sex are neither);
        ``positive`` and ``labelled``: label -> images that are positive, and that are positive or negative.

    >>> frame = pd.DataFrame({"patient_id": ["p", "p", "q"], "sex": [None, "F", "M"]})
    >>> describe_split(frame, np.array([[1], [0], [np.nan]], np.float32), ["Edema"])
    {'images': 3, 'patients': 2, 'male': 1, 'female': 1, 'positive': {'Edema': 1}, 'labelled': {'Edema': 2}}
    """
    numbered = _number_patients(frame)
    sexes = _sexes(frame, *numbered) if numbered else None
    positive, labelled = (truth == 1).sum(axis=0), (~np.isnan(truth)).sum(axis=0)
    return {
        "images": len(frame),
        "patients": None if numbered is None else numbered[1],
        "male": None if sexes is None else int((sexes == "M").sum()),
        "female": None if sexes is None else int((sexes == "F").sum()),
        "positive": dict(zip(labels, positive.tolist(), strict=True)),
        "labelled": dict(zip(labels, labelled.tolist(), strict=True)),
    }


def age_bands(frame: pd.DataFrame, width: int = 5, oldest: int = 120) -> list[dict[str, Any]]:
    """Count patients by sex and age.

    Args:
        frame: Tidy frame with ``patient_id``, ``sex`` and ``age`` in years.
        width: Years of a band.
        oldest: Ages above it are typing errors and count as unknown.

    Returns:
        For each sex that occurs (F, M, ``unknown``), rows ``sex, low, high, patients`` for ages low <= age < high, without a
        gap from the youngest to the oldest band with a patient; then, where there are any, one row of patients of unknown
        age, whose ``low`` and ``high`` are None. Nothing without patient ids.

    >>> frame = pd.DataFrame({"patient_id": ["p", "q", "q"], "sex": ["F", "F", "F"], "age": [61.0, 414.0, 70.0]})
    >>> [(row["low"], row["high"], row["patients"]) for row in age_bands(frame)]
    [(60, 65, 1), (65, 70, 0), (70, 75, 1)]
    """
    numbered = _number_patients(frame)
    if numbered is None:
        return []
    sexes = _sexes(frame, *numbered)
    ages = frame["age"].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        known = (ages >= 0) & (ages <= oldest)
    first_row = _first_known(numbered[0], numbered[1], known)
    band = np.where(first_row >= 0, ages[first_row] // width, np.nan)
    known_bands = band[~np.isnan(band)]
    bands = np.arange(known_bands.min(), known_bands.max() + 1) if len(known_bands) else known_bands
    rows = []
    for sex in ("F", "M", UNKNOWN):
        bands_of_sex = band[sexes == sex]
        if len(bands_of_sex):
            rows += [_row(sex, int(low) * width, width, int((bands_of_sex == low).sum())) for low in bands]
            missing = int(np.isnan(bands_of_sex).sum())
            rows += [{"sex": sex, "low": None, "high": None, "patients": missing}] if missing else []
    return rows


def age_of_patients(frame: pd.DataFrame, oldest: int = 120) -> tuple[float, float]:
    """Compute the mean age of the patients in years and its sample standard deviation; ages above ``oldest`` are unknown.

    >>> age_of_patients(pd.DataFrame({"patient_id": ["p", "q", "q"], "age": [60.0, 414.0, 70.0]}))
    (65.0, 7.0710678118654755)
    """
    numbered = _number_patients(frame)
    if numbered is None:
        return float("nan"), float("nan")
    ages = frame["age"].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        first_row = _first_known(*numbered, (ages >= 0) & (ages <= oldest))
    known = ages[first_row[first_row >= 0]]
    mean = float(known.mean()) if len(known) else float("nan")
    return mean, float(known.std(ddof=1)) if len(known) > 1 else float("nan")


def _row(sex: str, low: int, width: int, patients: int) -> dict[str, Any]:
    return {"sex": sex, "low": low, "high": low + width, "patients": patients}


def _number_patients(frame: pd.DataFrame) -> tuple[Numbers, int] | None:
    """Number the patients: the number of each row's patient, -1 without an id, shape (n,), and their count; None without any id."""
    codes, unique = pd.factorize(frame["patient_id"])
    return (np.asarray(codes, np.int64), len(unique)) if len(unique) else None


def _first_known(codes: Numbers, patients: int, known: npt.NDArray[np.bool_]) -> Numbers:
    """Return each patient's first row with ``known``, shape (patients,); -1 where there is none."""
    first_row = np.full(patients, -1, np.int64)
    # from the last row to the first: where a patient has several, the assignment of the first one is the last
    rows = np.flatnonzero(known & (codes >= 0))[::-1]
    first_row[codes[rows]] = rows
    return first_row


def _sexes(frame: pd.DataFrame, codes: Numbers, patients: int) -> npt.NDArray[np.object_]:
    sex = frame["sex"]
    first_row = _first_known(codes, patients, sex.isin(["F", "M"]).to_numpy(bool))
    return np.where(first_row >= 0, sex.to_numpy(object)[first_row], UNKNOWN)

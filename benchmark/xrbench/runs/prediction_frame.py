"""The columns of a predictions frame as arrays: truth, scores, and whom and what each row is of.

Patients and images are known by dataset and id together, since two hospitals may use the same id. Test sets that are slices of one
dataset hold the same patients: ``base`` gives the dataset that a slice is cut from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import MeasureError
from xrbench.runs.store import labels_of

FloatArray = npt.NDArray[np.float64]
Ids = npt.NDArray[np.object_]
Base = Callable[[str], str]


def truth_and_score(frame: pd.DataFrame, labels: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Take truth and scores of labels, joined by name.

    Args:
        frame: Predictions, as the store keeps them.
        labels: Names of the labels.

    Returns:
        Truth (1, 0 or NaN where not labelled) and score, each of shape (n, labels).

    Raises:
        MeasureError: A column is not there.
    """
    for prefix in ("truth:", "score:"):
        for label in labels:
            if f"{prefix}{label}" not in frame.columns:
                raise MeasureError(
                    f"no column '{prefix}{label}'; labels with scores: {', '.join(labels_of(frame)) or 'none'}"
                )
    truth = frame[[f"truth:{label}" for label in labels]].to_numpy(np.float64)
    score = frame[[f"score:{label}" for label in labels]].to_numpy(np.float64)
    return truth, score


def patients_of(frame: pd.DataFrame, base: Base = str) -> Ids | None:
    """Name the patient of each row: the dataset whose patients these are, and the id.

    Args:
        frame: Predictions.
        base: Gives the dataset that a slice is cut from; by default each dataset has patients of its own.

    Returns:
        Shape (n,), None for a row without an id; None where no row has one.

    >>> patients_of(pd.DataFrame({"patient_id": ["7", None], "dataset": ["east", "east"]})).tolist()
    ['east/7', None]
    """
    if "patient_id" not in frame.columns or frame["patient_id"].isna().all():
        return None
    return _with_dataset(frame, "patient_id", base)


def images_of(frame: pd.DataFrame, base: Base = str) -> Ids:
    """Name the image of each row: its dataset and id, shape (n,)."""
    return _with_dataset(frame, "image", base)


def common_rows(a: Ids, b: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the rows of the common ids on both sides, in the order of a; ids are unique on each side.

    >>> [rows.tolist() for rows in common_rows(np.array(["x", "y", "z"], object), np.array(["z", "x"], object))]
    [[0, 2], [1, 0]]
    """
    positions = pd.Index(b).get_indexer(pd.Index(a))
    rows = np.flatnonzero(positions >= 0)
    return rows, positions[rows]


def _with_dataset(frame: pd.DataFrame, column: str, base: Base) -> Ids:
    ids = frame[column]
    if "dataset" in frame.columns:
        datasets = frame["dataset"].astype(str)
        prefix = datasets.map({name: base(name) for name in datasets.unique()}) + "/"
    else:
        prefix = pd.Series("", index=frame.index)
    return np.asarray((prefix + ids.astype(str)).astype(object).where(ids.notna(), None), object)

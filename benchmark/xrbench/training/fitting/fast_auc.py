"""The area under the ROC curve, as it is needed to choose an epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata


def auc(truth: npt.NDArray[np.float32], score: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Compute each label's AUC from ranks, ties counting half; NaN for a label without a positive or a negative.

    Args:
        truth: 1, 0 or NaN (left out), shape (images, labels).
        score: Any numbers that rise with the probability, same shape.

    >>> auc(np.array([[1], [0], [1], [np.nan]], np.float32), np.array([[3], [2], [2], [0]], np.float32)).tolist()
    [0.75]
    """
    found = np.full(truth.shape[1], np.nan)
    for label in range(truth.shape[1]):
        kept = ~np.isnan(truth[:, label])
        positive = truth[kept, label] == 1
        n, m = int(positive.sum()), int((~positive).sum())
        if n and m:
            ranks = rankdata(score[kept, label])
            found[label] = (ranks[positive].sum() - n * (n + 1) / 2) / (n * m)
    return found

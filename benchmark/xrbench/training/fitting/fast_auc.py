"""Area under the ROC curve of each label, fast enough to be computed after every epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata


def auc(truth: npt.NDArray[np.float32], score: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Compute each label's AUC by the Mann-Whitney statistic; ties count half.

    Args:
        truth: 1, 0 or NaN (not labelled), shape (images, labels).
        score: Any increasing function of the probability, such as logits, same shape.

    Returns:
        AUCs from 0 to 1, shape (labels,); NaN for a label without a positive or without a negative.

    >>> auc(np.array([[1], [0], [1], [np.nan]], np.float32), np.array([[3], [2], [2], [0]], np.float32)).tolist()
    [0.75]
    """
    aucs = np.full(truth.shape[1], np.nan)
    for label in range(truth.shape[1]):
        labelled = ~np.isnan(truth[:, label])
        positive = truth[labelled, label] == 1
        n, m = int(positive.sum()), int((~positive).sum())
        if n and m:
            ranks = rankdata(score[labelled, label])
            # U statistic of the positives over the number of pairs of a positive and a negative
            aucs[label] = (ranks[positive].sum() - n * (n + 1) / 2) / (n * m)
    return aucs

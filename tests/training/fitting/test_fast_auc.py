from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from xrbench.training.fitting.fast_auc import auc


@pytest.mark.parametrize("levels", [3, 10, 10_000])
def test_auc_is_scikit_learns_with_and_without_ties(levels: int) -> None:
    rng = np.random.default_rng(levels)
    truth = (rng.random((200, 3)) < 0.3).astype(np.float32)
    score = rng.integers(0, levels, truth.shape).astype(np.float32)
    assert auc(truth, score) == pytest.approx([roc_auc_score(truth[:, k], score[:, k]) for k in range(3)])


def test_unlabelled_images_do_not_count() -> None:
    truth = np.array([[1], [0], [np.nan], [np.nan]], np.float32)
    assert auc(truth, np.array([[1], [0], [9], [-9]], np.float32)).tolist() == [1.0]


@pytest.mark.parametrize("value", [0, 1, np.nan])
def test_one_class_has_no_auc(value: float) -> None:
    assert np.isnan(auc(np.full((4, 1), value, np.float32), np.arange(4, dtype=np.float32)[:, None]))[0]

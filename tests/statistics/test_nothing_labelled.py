from __future__ import annotations

import math

import numpy as np
import pytest

from xrbench import statistics
from xrbench.metrics.table import named


@pytest.mark.parametrize("base", named("multilabel"))
def test_a_label_that_is_masked_throughout_is_undefined_with_its_counts(base: str) -> None:
    name = f"{base}@threshold=0.5" if named("multilabel")[base].family == "decision" else base
    truth = np.column_stack([np.tile([0.0, 1.0], 30), np.full(60, np.nan)])
    score = np.random.default_rng(0).random((60, 2))
    found = statistics.estimate(
        truth, score, np.arange(60) // 2, labels=("seen", "masked"), metrics=(name,), replicates=100, seed=0
    )
    seen, masked = (one for one in found if one.label != "mean")
    assert math.isfinite(seen.value)
    assert math.isnan(masked.value)
    assert (masked.n_positive, masked.n_negative, masked.n_masked) == (0, 0, 60)
    assert masked.reason

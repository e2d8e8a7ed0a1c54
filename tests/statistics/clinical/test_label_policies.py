from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from xrbench import metrics, statistics
from xrbench.errors import MeasureError


def test_ranks_and_tau_over_policies(draw_images: Callable[..., Any]) -> None:
    data = draw_images(1, 250)
    rng = np.random.default_rng(1)
    doubtful = rng.random(data.truth.shape) < 0.2
    truths = {
        "ones": np.where(doubtful, 1.0, data.truth),
        "zeros": np.where(doubtful, 0.0, data.truth),
        "ignore": np.where(doubtful, np.nan, data.truth),
    }
    scores = {
        name: data.score + noise * rng.normal(size=data.score.shape)
        for name, noise in zip("abcd", (0, 0.2, 0.4, 0.8), strict=True)
    }
    found = statistics.policy_sensitivity(truths, scores, data.patient, labels=["x"])[0]
    values = {p: [metrics.auc(t[:, 0], scores[m][:, 0]) for m in scores] for p, t in truths.items()}
    for (a, b), tau in found.tau.items():
        assert tau == pytest.approx(stats.kendalltau(values[a], values[b]).statistic)
    assert found.lowest_tau == min(found.tau.values())
    assert found.ranks["ignore"]["a"] == 1.0
    assert found.figures["ignore", "a"].n_masked == int(doubtful.sum())
    leaders = {list(scores)[int(np.argmax(column))] for column in values.values()}
    assert found.stable == (len(leaders) == 1)


def test_policies_that_change_nothing_are_stable(draw_images: Callable[..., Any]) -> None:
    data = draw_images(2, 80, 2)
    scores = {"a": data.score, "b": data.score[::-1]}
    rows = statistics.policy_sensitivity({"p": data.truth, "q": data.truth}, scores, data.patient, labels=["x", "y"])
    assert [(row.label, row.lowest_tau, row.stable) for row in rows] == [
        ("x", 1.0, True),
        ("y", 1.0, True),
        ("mean", 1.0, True),
    ]
    with pytest.raises(MeasureError, match="at least one policy"):
        statistics.policy_sensitivity({}, scores, labels=["x", "y"])


@pytest.mark.parametrize(
    ("metric", "ranks", "stable"),
    [
        ("auc", {"good": 1.0, "bad": 2.0}, True),
        ("brier", {"good": 1.0, "bad": 2.0}, True),
        ("calibration-slope", {}, None),
    ],
)
def test_the_best_method_is_that_of_the_metrics_direction(
    metric: str, ranks: dict[str, float], stable: bool | None
) -> None:
    rng = np.random.default_rng(4)
    truth = np.repeat([0.0, 1.0], 60)[:, None]
    latent = {"good": 2 * truth - 1, "bad": 0.4 * truth - 0.2}
    scores = {name: 1 / (1 + np.exp(-value - 0.5 * rng.normal(size=truth.shape))) for name, value in latent.items()}
    found = statistics.policy_sensitivity({"p": truth, "q": truth}, scores, labels=["x"], metric=metric)[0]
    assert found.ranks == {"p": ranks, "q": ranks}
    assert found.stable == stable

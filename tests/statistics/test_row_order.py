"""No figure depends on the order of the rows: neither with few patients nor with more than are grouped for metrics of one's own.

Bootstrap replicates are left out: which patient a random number draws is decided by the order of the patients in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xrbench import statistics
from xrbench.metrics.table import TABLE

Floats = npt.NDArray[np.float64]
Figures = list[dict[str, Any]]
BOOTSTRAPPED = ("p_bootstrap", "dropped")


class Images:
    """Two labels and two models of so many patients with one to three images; half of the findings are shared within a patient."""

    def __init__(self, patients: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.patient = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
        n = len(self.patient)
        ill = (rng.random((patients, 2)) < 0.2)[self.patient] ^ (rng.random((n, 2)) < 0.1)
        self.truth = ill.astype(float)
        latent = 1.5 * ill[:, None] + rng.normal(size=(n, 2, 2)) + 0.5 * rng.normal(size=(patients, 2, 2))[self.patient]
        self.a, self.b = np.moveaxis(np.round(1 / (1 + np.exp(-latent)), 3), 1, 0)
        self.group = np.array(["F", "M", "X"])[rng.integers(0, 3, patients)][self.patient]
        self.classes = rng.integers(0, 3, n)
        self.class_scores = np.eye(3)[self.classes] + rng.normal(size=(n, 3))

    def rows(self, order: npt.NDArray[np.int64]) -> Images:
        turned = object.__new__(Images)
        turned.__dict__ = {name: part[order] for name, part in self.__dict__.items()}
        return turned


def every_metric(images: Images) -> Figures:
    rows = [row for row in TABLE.values() if row.multilabel]
    names = [f"{row.name}@threshold=0.5" if row.family == "decision" else row.name for row in rows]
    names.append("ppv@threshold=0.5,prevalence=0.05")
    found = statistics.estimate(images.truth, images.a, images.patient, labels=["x", "y"], metrics=names)
    return [asdict(row) for row in found]


def every_metric_of_classes(images: Images) -> Figures:
    names = [row.name for row in TABLE.values() if row.multiclass]
    found = statistics.estimate(
        images.classes, images.class_scores, images.patient, labels=list("abc"), task="multiclass", metrics=names
    )
    return [asdict(row) for row in found]


def other_kinds(images: Images) -> Figures:
    kinds = ("delong", "delong-plain", "wilson")
    names = ["auc", "recall@threshold=0.5"]
    args = (images.truth, images.a, images.patient)
    return [
        asdict(row)
        for kind in kinds
        for row in statistics.estimate(*args, labels=["x", "y"], metrics=names, kind=kind, threads=1)
    ]


def differences(images: Images) -> Figures:
    pair = statistics.paired("here", images.truth, images.a, images.b, images.patient)
    rows = [
        row
        for metric in ("auc", "average-precision", "brier")
        for row in statistics.compare([pair], metric=metric, labels=["x", "y"], replicates=0)
    ]
    test = statistics.delong_test(images.truth[:, 0], images.a[:, 0], images.b[:, 0], patient=images.patient)
    return [*(asdict(replace(row, errors=None)) for row in rows), asdict(test)]


def gaps(images: Images) -> Figures:
    half = images.patient % 2 == 0
    inside, outside = (
        statistics.Cell(name, images.truth[rows], images.a[rows], images.patient[rows])
        for name, rows in (("in", half), ("out", ~half))
    )
    return [asdict(row) for row in statistics.gap([inside], [outside], labels=["x", "y"], replicates=0)]


def groups(images: Images) -> Figures:
    args = (images.truth, images.a, images.patient, images.group)
    return [asdict(row) for row in statistics.subgroups(*args, labels=["x", "y"], column="sex")]


def means(images: Images) -> Figures:
    correct = (images.a[:, 0] > 0.5) == (images.truth[:, 0] == 1)
    return [asdict(statistics.clustered_mean(correct, images.patient, share=True))]


def flat(figures: Any) -> list[Any]:
    """List all numbers and words; those that a bootstrap makes are passed over."""
    if isinstance(figures, dict):
        return [value for name, part in figures.items() if name not in BOOTSTRAPPED for value in flat(part)]
    if isinstance(figures, (list, tuple)):
        return [value for part in figures for value in flat(part)]
    return [figures]


FIGURES = [every_metric, every_metric_of_classes, other_kinds, differences, gaps, groups, means]


def assert_same(make: Callable[[Images], Figures], images: Images, order: npt.NDArray[np.int64]) -> None:
    straight, turned = flat(make(images)), flat(make(images.rows(order)))
    numbers = [value for value in straight if not isinstance(value, str)]
    assert [value for value in straight if isinstance(value, str)] == [v for v in turned if isinstance(v, str)]
    again = [value for value in turned if not isinstance(value, str)]
    assert all((x is None) == (y is None) for x, y in zip(numbers, again, strict=True))
    known = [(float(x), float(y)) for x, y in zip(numbers, again, strict=True) if x is not None]
    assert len(known) > 8
    assert [y for _, y in known] == pytest.approx([x for x, _ in known], rel=1e-7, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("patients", [300, 1_500])
def test_shuffled_rows_have_the_same_figures(make: Callable[[Images], Figures], patients: int) -> None:
    images = Images(patients, seed=patients)
    assert_same(make, images, np.random.default_rng(1).permutation(len(images.patient)))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FIGURES), st.integers(100, 1_800), st.integers(0, 2**31), st.integers(0, 2**31))
def test_any_order_of_any_number_of_patients(
    make: Callable[[Images], Figures], patients: int, seed: int, shuffle: int
) -> None:
    images = Images(patients, seed)
    assert_same(make, images, np.random.default_rng(shuffle).permutation(len(images.patient)))

"""Intervals a second beside other programs in the same run, and how far each kernel is from its floor.

``pytest -q -s -m perf tests/perf/test_statistics_perf.py``. Peers that take minutes are timed on a part of the work and scaled
by its share; torchmetrics and confidenceinterval are measured where they are installed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from xrbench import statistics
from xrbench.statistics import draws, kernels
from xrbench.statistics.samples import sort

pytestmark = [pytest.mark.perf, pytest.mark.slow]

IMAGES, PATIENTS, LABELS, MODELS, REPLICATES = 20_000, 8_000, 5, 3, 1_000
NAMES = [f"label {number}" for number in range(LABELS)]
TARGET = 150
Floats = npt.NDArray[np.float64]


def films(images: int, patients: int, labels: int, seed: int = 0) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, patients, images))
    truth = (rng.random((images, labels)) < 0.1).astype(float)
    score = 1 / (1 + np.exp(-(rng.normal(size=(images, labels)) + truth)))
    return truth, score, patient


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def patient_rows(patient: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    edges = np.flatnonzero(np.diff(patient)) + 1
    return np.split(np.arange(len(patient)), edges)


def table() -> None:
    """Everything that a table needs: 5 labels, 3 models, mean over labels, 1,000 replicates over patients."""
    for model in range(MODELS):
        truth, score, patient = DATA[model]
        statistics.estimate(truth, score, patient, labels=NAMES, kind="bootstrap", replicates=REPLICATES)


DATA = [films(IMAGES, PATIENTS, LABELS, model) for model in range(MODELS)]


def scikit_learn(replicates: int) -> None:
    truth, score, patient = DATA[0]
    rows, rng = patient_rows(patient), np.random.default_rng(0)
    for _ in range(replicates):
        drawn = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        roc_auc_score(truth[drawn, 0], score[drawn, 0])


def scipy_bootstrap(replicates: int) -> None:
    truth, score, _ = DATA[0]
    stats.bootstrap(
        (truth[:, 0], score[:, 0]),
        lambda t, s: roc_auc_score(t, s),
        paired=True,
        vectorized=False,
        n_resamples=replicates,
        method="percentile",
        rng=np.random.default_rng(0),
    )


def torchmetrics_bootstrapper(replicates: int) -> None:
    torchmetrics: Any = pytest.importorskip("torchmetrics")
    import torch

    truth, score, _ = DATA[0]
    metric = torchmetrics.wrappers.BootStrapper(
        torchmetrics.classification.BinaryAUROC(validate_args=False), num_bootstraps=replicates
    )
    metric.update(torch.as_tensor(score[:, 0]), torch.as_tensor(truth[:, 0]).long())
    metric.compute()


def confidenceinterval_bootstrap(replicates: int) -> None:
    package: Any = pytest.importorskip("confidenceinterval")
    truth, score, _ = DATA[0]
    package.roc_auc_score(
        truth[:, 0].astype(int).tolist(), score[:, 0].tolist(), method="bootstrap_percentile", n_resamples=replicates
    )


@pytest.mark.parametrize(
    ("peer", "replicates"),
    [
        (scikit_learn, 20),
        (scipy_bootstrap, 20),
        (torchmetrics_bootstrapper, 20),
        (confidenceinterval_bootstrap, 20),
    ],
)
def test_the_table_beside_a_peer(peer: Callable[[int], None], replicates: int, benchmark: Any) -> None:
    peer(2)
    other = min(seconds(lambda: peer(replicates)) for _ in range(2)) / replicates
    benchmark.pedantic(table, rounds=5, warmup_rounds=1)
    ours = benchmark.stats.stats.min
    scaled = other * REPLICATES * LABELS * MODELS
    benchmark.extra_info["ratio"] = scaled / ours
    print(f"\n{peer.__name__}: {scaled:,.0f} s for the table, ours {ours:.3f} s: {scaled / ours:,.0f} times")
    assert scaled >= TARGET * ours


def test_a_million_images_of_fourteen_labels() -> None:
    """In a process of its own, whose peak memory is then known."""
    code = """
import resource, time, numpy as np
from xrbench import statistics
rng = np.random.default_rng(0)
patient = np.sort(rng.integers(0, 400_000, 1_000_000))
truth = (rng.random((1_000_000, 14), dtype=np.float32) < 0.1).astype(np.float32)
score = rng.random((1_000_000, 14), dtype=np.float32) + 0.3 * truth
names = [str(i) for i in range(14)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
statistics.estimate(truth, score, patient, labels=names, kind="bootstrap", replicates=1000, threads=2)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
start = time.perf_counter()
statistics.estimate(truth, score, patient, labels=names, threads=2)
print(time.perf_counter() - start, 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (took, peak), (default, _) = (map(float, line.split()) for line in done.stdout.splitlines())
    print(f"\n1,000,000 x 14 x 1,000: {took:.1f} s, {peak:.2f} GB; default intervals {default:.1f} s")
    assert took < 180
    assert peak < 2


def test_delong_of_a_million_rows(benchmark: Any) -> None:
    truth, score, patient = films(1_000_000, 400_000, 2)
    benchmark.pedantic(lambda: statistics.delong_test(truth[:, 0], score[:, 0], score[:, 1]), rounds=3)
    one = min(seconds(lambda: statistics.delong_interval(truth[:, 0], score[:, 0])) for _ in range(3))
    clustered = min(
        seconds(lambda: statistics.delong_interval(truth[:, 0], score[:, 0], patient=patient)) for _ in range(3)
    )
    paired = benchmark.stats.stats.min
    print(f"\nDeLong of 1,000,000 rows: {one:.2f} s, clustered {clustered:.2f} s, paired test {paired:.2f} s")
    assert max(one, paired, clustered) < 1


@pytest.mark.parametrize("images", [20_000, 1_000_000])
def test_distance_from_the_floor(images: int) -> None:
    """Bytes and draws that the work needs at least, and the time that they alone take on this machine."""
    patients = images * 2 // 5
    truth, score, patient = films(images, patients, 1)
    source = draws.Bootstrap(patients, key=1)
    counts = source.counts(0)
    steps = sort(score[:, 0], truth[:, 0] == 1, patient.astype(np.int32)).merged()
    out = np.empty(64)
    kernels.auc_pass(counts, *steps, out)
    drawing = min(seconds(lambda: source.counts(0)) for _ in range(5)) / 64
    passing = min(seconds(lambda: kernels.auc_pass(counts, *steps, out)) for _ in range(5)) / 64
    # Floor of a pass: one cache line of 64 counts is read for each image; measured as a plain gather of those lines.
    line = np.empty((images, 64), np.uint8)
    gather = min(seconds(lambda: np.take(counts, patient, axis=0, out=line)) for _ in range(5)) / 64
    # Floor of drawing: one 32-bit word a patient from the fastest generator at hand.
    rng = np.random.Generator(np.random.SFC64(0))
    words = min(seconds(lambda: rng.integers(0, 2**32, patients, dtype=np.uint32)) for _ in range(5))
    print(
        f"\n{images:,} images of {patients:,} patients, a replicate: drawing {1e6 * drawing:,.1f} us "
        f"(words alone {1e6 * words:,.1f}), pass {1e6 * passing:,.1f} us (gather and store alone {1e6 * gather:,.1f}); "
        f"{1e9 * passing / images:.3f} ns an image"
    )
    assert drawing < 10 * words
    assert passing < 4 * gather


def test_a_second_start_compiles_nothing() -> None:
    code = """
import time
start = time.perf_counter()
import numba
numba_alone = time.perf_counter() - start
from xrbench import statistics
start = time.perf_counter()
statistics.estimate([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.5], labels=["x"], kind="bootstrap", replicates=64)
print(numba_alone, time.perf_counter() - start)
"""
    times = [
        [
            float(word)
            for word in subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            ).stdout.split()
        ]
        for _ in range(3)
    ]
    print(
        f"\nfirst call in a new process: {min(t[1] for t in times):.2f} s (importing numba alone {min(t[0] for t in times):.2f} s)"
    )
    assert min(t[1] for t in times) < 1.5

"""Intervals beside other programs in the same run, large data, and how far each kernel is from its floor.

``pytest -q -s -m perf tests/perf/test_statistics_perf.py``. Peers that take minutes are timed on a stated part of the work and
scaled by its share; torchmetrics and confidenceinterval are measured where they are installed. Ratios are stated twice: of wall
time, and of processor time, which other work on the machine distorts less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit
from scipy import stats
from sklearn.metrics import roc_auc_score

from xrbench import statistics
from xrbench.metrics.calibration import logit
from xrbench.statistics.resampling import bootstrap_counts, kernels, logistic_kernel
from xrbench.statistics.resampling.score_steps import score_steps

pytestmark = [pytest.mark.perf, pytest.mark.slow]

IMAGES, PATIENTS, LABELS, MODELS, REPLICATES = 20_000, 8_000, 5, 3, 1_000
NAMES = [f"label {number}" for number in range(LABELS)]
TARGET = 150
Floats = npt.NDArray[np.float64]


class Took(NamedTuple):
    """Seconds of wall time and of processor time."""

    wall: float
    cpu: float


def took(run: Callable[[], object], times: int = 1) -> Took:
    """Measure a few times and keep the least of either."""
    found = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        found.append(Took(time.perf_counter() - wall, time.process_time() - cpu))
    return Took(min(one.wall for one in found), min(one.cpu for one in found))


def draw_images(
    images: int, patients: int, labels: int, models: int = 1, seed: int = 0
) -> tuple[Floats, list[Floats], npt.NDArray[np.int64]]:
    """Draw truth, scores of several models, and patients in the order of their images."""
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, patients, images))
    truth = (rng.random((images, labels)) < 0.1).astype(float)
    return truth, [1 / (1 + np.exp(-(rng.normal(size=truth.shape) + truth))) for _ in range(models)], patient


TRUTH, SCORES, PATIENT = draw_images(IMAGES, PATIENTS, LABELS, MODELS)


def table() -> None:
    """Every AUC of 5 labels and their mean, 3 models, with percentiles of 1,000 replicates over patients."""
    bootstrap_counts.clear_cache()
    for score in SCORES:
        statistics.estimate(TRUTH, score, PATIENT, labels=NAMES, kind="bootstrap", replicates=REPLICATES)


def scikit_learn(replicates: int) -> int:
    """Compute the same table in a loop: patients drawn once a replicate, then 15 AUCs. Returns how many AUCs."""
    rows = np.split(np.arange(IMAGES), np.flatnonzero(np.diff(PATIENT)) + 1)
    rng = np.random.default_rng(0)
    for _ in range(replicates):
        drawn = np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])
        for score in SCORES:
            for label in range(LABELS):
                roc_auc_score(TRUTH[drawn, label], score[drawn, label])
    return replicates * LABELS * MODELS


def scipy_bootstrap(replicates: int) -> int:
    stats.bootstrap(
        (TRUTH[:, 0], SCORES[0][:, 0]),
        lambda t, s: roc_auc_score(t, s),
        paired=True,
        vectorized=False,
        n_resamples=replicates,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return replicates


def torchmetrics_bootstrapper(replicates: int) -> int:
    torchmetrics: Any = pytest.importorskip("torchmetrics")
    torch: Any = pytest.importorskip("torch")
    metric = torchmetrics.wrappers.BootStrapper(
        torchmetrics.classification.BinaryAUROC(validate_args=False), num_bootstraps=replicates
    )
    metric.update(torch.as_tensor(SCORES[0][:, 0]), torch.as_tensor(TRUTH[:, 0]).long())
    metric.compute()
    return replicates


def confidenceinterval_bootstrap(replicates: int) -> int:
    package: Any = pytest.importorskip("confidenceinterval")
    truth, score = TRUTH[:, 0].astype(int).tolist(), SCORES[0][:, 0].tolist()
    package.roc_auc_score(truth, score, method="bootstrap_percentile", n_resamples=replicates)
    return replicates


PEERS = [(scikit_learn, 4), (scipy_bootstrap, 40), (torchmetrics_bootstrapper, 40), (confidenceinterval_bootstrap, 40)]


@pytest.mark.parametrize(("peer", "replicates"), PEERS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_table_beside_a_peer(peer: Callable[[int], int], replicates: int, benchmark: Any) -> None:
    """Only the scikit-learn loop resamples patients as the table does; the other programs resample images."""
    peer(2)
    aucs = peer(replicates)
    part = took(lambda: peer(replicates), 2)
    share = REPLICATES * LABELS * MODELS / aucs
    benchmark.pedantic(table, rounds=5, warmup_rounds=1)
    ours = took(table, 5)
    wall, cpu = part.wall * share / ours.wall, part.cpu * share / ours.cpu
    benchmark.extra_info.update({"times faster, wall": wall, "times faster, processor": cpu})
    print(
        f"\n{peer.__name__}: {part.wall * share:,.0f} s for the table (scaled {share:,.0f} times from {aucs} AUCs), ours "
        f"{ours.wall:.3f} s: {wall:,.0f} times in wall time, {cpu:,.0f} times in processor time; load {os.getloadavg()[0]:.1f}"
    )
    if peer is scikit_learn:
        assert cpu >= TARGET


def test_a_million_images_of_fourteen_labels() -> None:
    """In a process of its own, whose peak memory is then known; two threads, as on two cores."""
    code = """
import resource, time, numpy as np
from xrbench import statistics
rng = np.random.default_rng(0)
patient = np.sort(rng.integers(0, 400_000, 1_000_000))
truth = (rng.random((1_000_000, 14), dtype=np.float32) < 0.1).astype(np.float32)
score = rng.random((1_000_000, 14), dtype=np.float32) + 0.3 * truth
names = [str(i) for i in range(14)]
for kind in ("bootstrap", "default"):
    start, used = time.perf_counter(), time.process_time()
    statistics.estimate(truth, score, patient, labels=names, kind=kind, replicates=1000, threads=2)
    print(time.perf_counter() - start, time.process_time() - used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    limits = {"1,000 replicates": 180, "default intervals": 5}
    for (kind, limit), line in zip(limits.items(), done.stdout.splitlines(), strict=True):
        wall, cpu, peak = map(float, line.split())
        print(
            f"\n1,000,000 images x 14 labels, {kind}: {wall:.1f} s ({cpu:.1f} s of processor), peak "
            f"{peak * unit / 2**30:.2f} GiB with the data; load {os.getloadavg()[0]:.1f}"
        )
        assert peak * unit < 2e9
        assert cpu / 2 < limit


def test_delong_of_a_million_rows(benchmark: Any) -> None:
    truth, (first, second), patient = draw_images(1_000_000, 400_000, 1, 2)
    truth, first, second = truth[:, 0], first[:, 0], second[:, 0]
    runs: dict[str, Callable[[], object]] = {
        "interval": lambda: statistics.delong_interval(truth, first),
        "interval, patients as clusters": lambda: statistics.delong_interval(truth, first, patient=patient),
        "paired test": lambda: statistics.delong_test(truth, first, second),
        "paired test, patients as clusters": lambda: statistics.delong_test(truth, first, second, patient=patient),
    }
    found = {name: took(run, 3) for name, run in runs.items()}
    benchmark.pedantic(runs["interval"], rounds=3)
    words = "; ".join(f"{name} {one.wall:.2f} s ({one.cpu:.2f} s of processor)" for name, one in found.items())
    print(f"\nDeLong of 1,000,000 rows: {words}; load {os.getloadavg()[0]:.1f}")
    assert max(one.cpu for one in found.values()) < 1


@njit(nogil=True)
def read_lines(words, patient, out):  # type: ignore[no-untyped-def]
    """Read each image's line of 64 counts and do next to nothing with it."""
    for i in range(len(patient)):
        row = words[patient[i]]
        for j in range(8):
            out[j] ^= row[j]


@njit(nogil=True)
def mix(out, start):  # type: ignore[no-untyped-def]
    """Make 64 random bits a place by a short mixing function: about the least that a draw can cost."""
    for i in range(len(out)):
        word = (np.uint64(i) + start) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        out[i] = word ^ (word >> np.uint64(31))


class Kernel(NamedTuple):
    """A kernel, the work that it cannot do without, and for how many images or patients both are done in 64 replicates."""

    name: str
    floor: str
    run: Callable[[], object]
    least: Callable[[], object]
    units: int


def kernels_of(images: int) -> list[Kernel]:
    """Set up every kernel and its floor: bytes read, or words drawn."""
    patients = images * 2 // 5
    truth, (score, *_), patient = draw_images(images, patients, 1)
    positive, given, code = truth[:, 0] == 1, score[:, 0], patient.astype(np.int32)
    order, edges = np.arange(patients), np.array([0, patients])
    words = np.zeros((64, -(-patients // 8)), np.uint64)
    turned, key = np.empty((patients, 8), np.uint64), np.uint64(1)
    counts = bootstrap_counts.Bootstrap(patients, key=1).counts(0)
    lines, nothing, out = counts.view(np.uint64), np.zeros(8, np.uint64), np.empty(64)
    steps = score_steps(given, positive, code)
    slot, one, sums = np.where(positive, 0, 1), np.ones(images), np.empty((2, 64))
    x, overlap = logit(given), np.empty(64, np.bool_)
    random = np.empty(patients // 2 * 64, np.uint64)
    intercept, slope, fitted = np.zeros(64), np.ones(64), np.empty(images)

    def fit() -> None:
        intercept[:], slope[:] = -2.0, 1.0
        logistic_kernel.logistic_pass(counts, code, x, positive, True, np.ones(64, np.bool_), intercept, slope)

    def lines_of(rows: npt.NDArray[np.int32]) -> Callable[[], object]:
        return lambda: read_lines(lines, rows, nothing)

    by_score, by_row = lines_of(steps.patient), lines_of(code)
    found = [
        Kernel(
            "draw",
            "4 random bytes a patient",
            lambda: bootstrap_counts.draw(words.view(np.uint8), 0, key, edges),
            lambda: mix(random, key),
            patients,
        ),
        Kernel(
            "transpose",
            "1 byte read, 1 written a patient",
            lambda: bootstrap_counts.transpose(words, order, turned, 0),
            lambda: np.copyto(turned, lines),
            patients,
        ),
        Kernel("auc_pass", "1 byte an image", lambda: kernels.auc_pass(counts, *steps.merged(), out), by_score, images),
        Kernel(
            "precision_pass", "1 byte an image", lambda: kernels.precision_pass(counts, *steps, out), by_score, images
        ),
        Kernel(
            "sums_pass", "1 byte an image", lambda: kernels.sums_pass(counts, code, slot, one, sums), by_row, images
        ),
        Kernel(
            "overlap_pass",
            "1 byte an image",
            lambda: kernels.overlap_pass(counts, code, x, positive, overlap),
            by_row,
            images,
        ),
    ]
    if images <= 100_000:

        def exponentials() -> None:
            for _ in range(64 * 5):
                np.exp(x, out=fitted)

        found.append(Kernel("logistic_pass", "5 exponentials an image", fit, exponentials, images))
    return found


@pytest.mark.parametrize("images", [IMAGES, 1_000_000])
def test_distance_from_the_floor(images: int) -> None:
    """What each kernel cannot do without, the time that this alone takes here, and how far the kernel is from it."""
    big = np.ones(100_000_000, np.uint8)
    copied = np.empty_like(big)
    width = 2e-9 * len(big) / took(lambda: np.copyto(copied, big), 5).cpu
    print(
        f"\n{images:,} images of {images * 2 // 5:,} patients; memory copies {width:.0f} GB/s; load {os.getloadavg()[0]:.1f}"
    )
    for kernel in kernels_of(images):
        kernel.run(), kernel.least()
        ours, floor = (1e9 * took(run, 5).cpu / kernel.units / 64 for run in (kernel.run, kernel.least))
        print(f"  {kernel.name:15} {ours:8.3f} ns, floor {floor:6.3f} ns ({kernel.floor}): {ours / floor:5.1f} times")
        if kernel.name in ("auc_pass", "precision_pass"):
            assert ours < 5 * floor


def test_a_second_start_compiles_nothing() -> None:
    code = """
import time
start = time.perf_counter()
import numba
alone = time.perf_counter() - start
from xrbench import statistics
start = time.perf_counter()
statistics.estimate([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.5], labels=["x"], kind="bootstrap", replicates=64)
first = time.perf_counter() - start
start = time.perf_counter()
statistics.estimate([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.5], labels=["x"], kind="bootstrap", replicates=64)
print(alone, first, time.perf_counter() - start)
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(3)
    ]
    alone, first, second = (min(float(run[i]) for run in runs) for i in range(3))
    print(f"\nin a new process: first call {first:.2f} s, second {second:.4f} s (importing numba alone {alone:.2f} s)")
    assert first < 2

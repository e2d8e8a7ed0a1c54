"""Does a 95 % interval hold the truth 95 times in 100, and does a 5 % test err 5 times in 100?

    python tests/validation/simulate.py                      # the whole grid; writes coverage.csv and coverage.md here
    python tests/validation/simulate.py --simulations 100    # a quick look

Images are clustered in patients (1 to 8 each). A patient is ill or not; an image of an ill patient is positive with a chance
``purity``. A score is normal with a shift for positive images that makes the true AUC, and ``icc`` of its variance is shared
by a patient's images. Two models share ``half`` of their noise. Samples with fewer than 20 patients of a class are drawn again.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench import metrics, statistics
from xrbench.statistics import Cell, PairedCell
from xrbench.statistics.intervals.interval_kinds import Figure, applicable_kind, compute_interval
from xrbench.statistics.resampling.bootstrap_counts import Bootstrap
from xrbench.statistics.resampling.label_columns import label_column
from xrbench.statistics.resampling.replicates import replicate

Floats = npt.NDArray[np.float64]
HERE = Path(__file__).parent
LEAST = 20
FEW = 30
"""Expected positive patients up to which an AUC's intervals are simulated twice as often."""
AUC = metrics.parse("auc")
NOISES = ("outliers", "ordinal", "mislabelled", "cluster sizes")
"""Scores other than normal: heavy tails (t with 3 degrees of freedom), five grades, 5 % of positive patients that score like negative
ones, and patients with few images whose findings are easier to see."""
MISLABELLED, GRADES, LARGE = 0.05, (-0.6, 0.3, 1.1, 2.0), 100_000
SIZES = [
    (100, 0.2),
    (100, 0.5),
    (300, 0.1),
    (300, 0.5),
    (1000, 0.02),
    (1000, 0.1),
    (1000, 0.5),
    (5000, 0.02),
    (5000, 0.1),
]
FIELDS = (
    "what",
    "kind",
    "patients",
    "prevalence",
    "truth",
    "icc",
    "purity",
    "noise",
    "simulations",
    "covered",
    "too_high",
    "too_low",
    "none",
    "width",
)


@dataclass(frozen=True)
class Scene:
    """One place of the grid; ``truth`` is the AUC, or those of both models or both hospitals."""

    what: str
    patients: int
    prevalence: float
    truth: tuple[float, ...]
    icc: float = 0.5
    purity: float = 1.0
    share: float = 0.5
    noise: str = field(default="normal", repr=False)  # the streams of earlier scenes are named without it


class Sample:
    """Truth, scores of as many models as there are true AUCs, and patients."""

    def __init__(self, scene: Scene, rng: np.random.Generator, patient: npt.NDArray[np.int64] | None = None) -> None:
        size = scene.patients
        while True:
            self.patient = np.repeat(np.arange(size), rng.integers(1, 9, size)) if patient is None else patient
            ill = rng.random(size) < scene.prevalence / scene.purity
            positive = ill[self.patient] & (rng.random(len(self.patient)) < scene.purity)
            if min(len(np.unique(self.patient[positive == kind])) for kind in (True, False)) >= LEAST:
                break
        self.truth = positive.astype(float)
        # How far a positive image stands above a negative one, in shares of the shift.
        self.effect = self.truth.copy()
        if scene.noise == "mislabelled":
            self.effect[(rng.random(size) < MISLABELLED)[self.patient]] = 0.0
        if scene.noise == "cluster sizes":
            self.effect *= np.where(np.bincount(self.patient, minlength=size) <= 2, 1.25, 0.75)[self.patient]
        common = self._noise(scene, rng)
        self.scores = [self._score(scene, auc, common, rng) for auc in scene.truth]

    def _noise(self, scene: Scene, rng: np.random.Generator) -> Floats:
        own = rng.normal(size=scene.patients)[self.patient]
        noise = math.sqrt(scene.icc) * own + math.sqrt(1 - scene.icc) * rng.normal(size=len(self.patient))
        # All images of a patient are outliers together.
        return (
            noise * np.sqrt(3 / rng.chisquare(3, scene.patients))[self.patient] if scene.noise == "outliers" else noise
        )

    def _score(self, scene: Scene, auc: float, common: Floats, rng: np.random.Generator) -> Floats:
        shift = shift_of(scene, auc)
        share = scene.share if len(scene.truth) > 1 else 0.0
        own = self._noise(scene, rng)
        latent = shift * self.effect + math.sqrt(share) * common + math.sqrt(1 - share) * own
        if scene.noise == "ordinal":
            return graded(latent)
        # The probability of a positive at this score, were the classes equally common: calibrated up to prevalence.
        return np.asarray(special.expit(shift * latent - shift**2 / 2))


SHIFTS: dict[tuple[str, float, float, float, float], float] = {}


def graded(latent: Floats) -> Floats:
    """A reader's five grades, 0 to 1."""
    return np.digitize(latent, GRADES) / len(GRADES)


def shift_of(scene: Scene, auc: float) -> float:
    """Find the shift that makes the true AUC: a formula for normal noise, else by bisection on a very large sample."""
    if scene.noise == "normal":
        return math.sqrt(2) * float(special.ndtri(auc))
    key = (scene.noise, auc, scene.prevalence, scene.icc, scene.purity)
    if key not in SHIFTS:
        large = replace(scene, patients=LARGE, truth=())
        sample = Sample(large, np.random.default_rng(99))
        noise = sample._noise(large, np.random.default_rng(98))
        low, high = 0.0, 20.0
        for _ in range(20):
            middle = (low + high) / 2
            latent = middle * sample.effect + noise
            reached = metrics.auc(sample.truth, graded(latent) if scene.noise == "ordinal" else latent)
            low, high = (middle, high) if reached < auc else (low, middle)
        SHIFTS[key] = (low + high) / 2
    return SHIFTS[key]


Found = Iterator[tuple[str, float, float, float]]
"""Kind, low, high, and the true value they should hold."""


def of_auc(scene: Scene, rng: np.random.Generator) -> Found:
    """Every kind of interval of one AUC, and what happens when images are taken as independent."""
    sample, true = Sample(scene, rng), scene.truth[0]
    code = sample.patient.astype(np.int32)
    one = label_column(sample.truth, sample.scores[0], code, label="x", specs=[AUC], thresholds=None)
    drawn = replicate([one], Bootstrap(scene.patients, int(rng.integers(2**63))), 1000, threads=1)[:, 0, 0]
    left_out, stratum = one.left_out(scene.patients)[:, 0], one.strata(scene.patients)
    value = metrics.auc(sample.truth, sample.scores[0])
    figure = Figure(AUC, value, 0.95, one, lambda: drawn, lambda: left_out, stratum)
    for kind in ("default", "bootstrap", "bca", "delong", "delong-plain"):
        found = compute_interval(applicable_kind(kind, AUC), figure)
        yield kind, found.low, found.high, true
    low, high = statistics.delong_interval(sample.truth, sample.scores[0])
    yield "image-level delong", low, high, true
    if scene.patients <= 300:
        row = statistics.estimate(sample.truth, sample.scores[0], labels=["x"], kind="bootstrap", threads=1)[0]
        yield "image-level bootstrap", row.low, row.high, true


def of_pair(scene: Scene, rng: np.random.Generator) -> Found:
    """The interval of a difference; each test as the interval that excludes 0 when p is below 5 %."""
    sample, seed = Sample(scene, rng), int(rng.integers(2**31))
    a, b = sample.scores
    cell = PairedCell("x", sample.truth, a, b, sample.patient)
    row = statistics.compare([cell], labels=["x"], seed=seed, threads=1)[0]
    true = scene.truth[1] - scene.truth[0]
    yield "default", row.low, row.high, true
    if true == 0:
        image = statistics.delong_test(sample.truth, a, b)
        for kind, p in (
            ("test: default", row.p),
            ("test: bootstrap", row.p_bootstrap),
            ("test: delong", row.p_delong),
            ("test: image-level delong", image.p),
        ):
            side = math.copysign(1.0, row.difference)
            yield kind, *((-1.0, 1.0) if p >= 0.05 else (side, side)), 0.0


def of_gap(scene: Scene, rng: np.random.Generator) -> Found:
    """The generalization gap between two hospitals of equal size."""
    inside, outside = (Sample(replace(scene, truth=(auc,)), rng) for auc in scene.truth)
    cells = [Cell(name, s.truth, s.scores[0], s.patient) for name, s in (("in", inside), ("out", outside))]
    row = statistics.gap(cells[:1], cells[1:], labels=["x"], replicates=0, threads=1)[0]
    yield "default", row.low, row.high, scene.truth[0] - scene.truth[1]


def of_mean(scene: Scene, rng: np.random.Generator) -> Found:
    """The macro mean of four findings of the same patients, independent of each other."""
    first = Sample(scene, rng)
    parts = [first, *(Sample(scene, rng, first.patient) for _ in range(3))]
    truth = np.stack([part.truth for part in parts], axis=1)
    score = np.stack([part.scores[0] for part in parts], axis=1)
    for kind in ("default", "bootstrap"):
        found = statistics.estimate(truth, score, first.patient, labels=list("abcd"), kind=kind, threads=1)[-1]
        yield kind, found.low, found.high, scene.truth[0]


OTHERS = (
    "recall@threshold=0.5",
    "specificity@threshold=0.5",
    "ppv@threshold=0.5",
    "f1@threshold=0.5",
    "average-precision",
    "brier",
)
EXPECTED: dict[tuple[str, Scene], float] = {}


def of_others(scene: Scene, rng: np.random.Generator) -> Found:
    """Other metrics; their true value is that of four million independent images."""
    if (OTHERS[0], scene) not in EXPECTED:
        big = np.random.default_rng(99)
        truth = (big.random(4_000_000) < scene.prevalence).astype(float)
        shift = math.sqrt(2) * float(special.ndtri(scene.truth[0]))
        score = special.expit(shift * (shift * truth + big.normal(size=len(truth))) - shift**2 / 2)
        EXPECTED.update({(name, scene): metrics.evaluate(name, truth, score) for name in OTHERS})
    sample, seed = Sample(scene, rng), int(rng.integers(2**31))
    for kind in ("default", "bootstrap"):
        rows = statistics.estimate(
            sample.truth,
            sample.scores[0],
            sample.patient,
            labels=["x"],
            metrics=OTHERS,
            kind=kind,
            seed=seed,
            threads=1,
        )
        for row in rows[::2]:
            yield f"{row.metric}: {kind}", row.low, row.high, EXPECTED[row.metric, scene]
    rows = statistics.estimate(
        sample.truth, sample.scores[0], labels=["x"], metrics=OTHERS[:3], kind="wilson", threads=1
    )
    for row in rows[::2]:
        yield f"{row.metric}: image-level wilson", row.low, row.high, EXPECTED[row.metric, scene]


MORE = ("npv@threshold=0.5", "net-benefit@threshold=0.2", "mcc@threshold=0.5", "calibration-intercept")


def of_noise(scene: Scene, rng: np.random.Generator) -> Found:
    """The default and DeLong's interval of an AUC of scores that are not normal."""
    sample = Sample(scene, rng)
    for kind in ("default", "delong"):
        row = statistics.estimate(sample.truth, sample.scores[0], sample.patient, labels=["x"], kind=kind, threads=1)[0]
        yield kind, row.low, row.high, scene.truth[0]


def of_more(scene: Scene, rng: np.random.Generator) -> Found:
    """Metrics that the first scenes leave out; their true value is that of a very large sample."""
    if (MORE[0], scene) not in EXPECTED:
        large = Sample(replace(scene, patients=4 * LARGE), np.random.default_rng(99))
        EXPECTED.update({(name, scene): metrics.evaluate(name, large.truth, large.scores[0]) for name in MORE})
    sample = Sample(scene, rng)
    rows = statistics.estimate(sample.truth, sample.scores[0], sample.patient, labels=["x"], metrics=MORE, threads=1)
    for row in rows[::2]:
        yield f"{row.metric}: default", row.low, row.high, EXPECTED[row.metric, scene]


RUNNERS: dict[str, Callable[[Scene, np.random.Generator], Found]] = {
    "auc": of_auc,
    "difference": of_pair,
    "gap": of_gap,
    "mean": of_mean,
    "other": of_others,
    "noise": of_noise,
    "more": of_more,
}


def scenes() -> list[Scene]:
    """The grid."""
    found = []
    for patients, prevalence in SIZES:
        for icc, purity in ((0.5, 1.0), (0.2, 0.7)):
            found += [Scene("auc", patients, prevalence, (auc,), icc, purity) for auc in (0.7, 0.85, 0.95)]
        found += [Scene("difference", patients, prevalence, pair) for pair in ((0.7, 0.7), (0.95, 0.95), (0.85, 0.95))]
        found.append(Scene("difference", patients, prevalence, (0.85, 0.86), share=0.95))
    for patients, prevalence in SIZES[::2]:
        found += [Scene("gap", patients, prevalence, pair) for pair in ((0.85, 0.85), (0.95, 0.8))]
        found += [Scene("mean", patients, prevalence, (auc,)) for auc in (0.8, 0.95)]
        found += [Scene("other", patients, prevalence, (auc,), 0.3, 0.7) for auc in (0.8, 0.95)]
    for patients, prevalence in ((300, 0.1), (1000, 0.05), (1000, 0.1), (1000, 0.5)):
        for noise in NOISES:
            found += [Scene("noise", patients, prevalence, (auc,), noise=noise) for auc in (0.8, 0.95)]
        found += [Scene("more", patients, prevalence, (auc,), 0.3, 0.7) for auc in (0.8, 0.95)]
    return sorted(found, key=lambda scene: scene.patients)


def samples_of(scene: Scene, simulations: int) -> int:
    """Take twice as many samples where they are small or hard, fewer where they are costly."""
    hard = scene.what == "auc" and scene.patients * scene.prevalence <= FEW
    share = 2.0 if hard or scene.patients <= 300 else 1.0 if scene.patients <= 1000 or scene.what == "other" else 0.5
    return max(1, int(simulations * share * (0.3 if scene.what == "other" else 1.0)))


def resumed(path: Path, chosen: Sequence[Scene], simulations: int) -> dict[Scene, list[dict[str, object]]]:
    """Read the scenes that an earlier command finished with at least as many samples."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows: list[dict[str, object]] = [dict(row) for row in csv.DictReader(file)]
    found: dict[Scene, list[dict[str, object]]] = {}
    for scene in chosen:
        named = {name: str(value) for name, value in described(scene).items()}
        mine = [row for row in rows if {name: row[name] for name in named} == named]
        if mine and all(int(str(row["simulations"])) >= samples_of(scene, simulations) for row in mine):
            found[scene] = mine
    return found


def described(scene: Scene) -> dict[str, object]:
    """Write down what a row's scene is."""
    return {
        "what": scene.what,
        "patients": scene.patients,
        "prevalence": scene.prevalence,
        "truth": "-".join(map(str, scene.truth)) + (f" share {scene.share}" if scene.share != 0.5 else ""),
        "icc": scene.icc,
        "purity": scene.purity,
        "noise": scene.noise,
    }


def simulate(scene: Scene, simulations: int) -> list[dict[str, object]]:
    """Run one scene; a stream of its own makes it independent of all others."""
    named = repr(scene) + (scene.noise if scene.noise != "normal" else "")
    rng = np.random.default_rng([20240611, zlib.crc32(named.encode())])
    tally: dict[str, list[float]] = {}
    for _ in range(simulations):
        for kind, low, high, true in RUNNERS[scene.what](scene, rng):
            one = tally.setdefault(kind, [0.0] * 5)
            if math.isnan(low) or math.isnan(high):
                one[3] += 1
                continue
            one[0] += low <= true <= high
            one[1] += low > true
            one[2] += high < true
            one[4] += high - low
    rows = []
    for kind, (covered, high, low, none, width) in tally.items():
        n = simulations - none
        share = [round(100 * part / n, 2) if n else math.nan for part in (covered, high, low)]
        numbers = dict(zip(("covered", "too_high", "too_low"), share, strict=True))
        rows.append(
            {
                "kind": kind,
                **described(scene),
                "simulations": simulations,
                **numbers,
                "none": int(none),
                "width": round(width / n, 4) if n else math.nan,
            }
        )
    return rows


def summary(rows: Sequence[dict[str, object]]) -> str:
    """Write the page: for each kind the lowest, median and highest coverage, and where the extremes are."""
    lines = [
        "# Coverage of 95 % intervals and errors of 5 % tests",
        "",
        f"Written by `python tests/validation/simulate.py`; {len(rows)} rows in `coverage.csv`. Every sample has at least",
        f"{LEAST} positive and {LEAST} negative patients, 100 to 5,000 patients of 1 to 8 images, prevalence 2 to 50 %.",
        "The error of a simulated percentage is 0.35 at 4,000 samples, 0.5 at 2,000 and 0.7 at 1,000 (column `simulations`:",
        "500 to 4,000, of other metrics than the AUC and of noise 600 to 1,200; the error is then 0.9). A test's row shows how",
        "often it keeps the null hypothesis when that is true: 94 to 96 is within a point of nominal. `noise`: AUCs of scores with",
        "outliers, of five grades, with 5 % of the positive patients mislabelled, and of patients whose findings are the easier to see the",
        "fewer images they have. The default interval of an AUC is wide on purpose where few patients of a class could show an outlier.",
        "",
        "| figure | kind | scenes | lowest | median | highest | lowest at | within 93.5 to 96.5 |",
        "|---|---|--:|--:|--:|--:|---|--:|",
    ]
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in rows:
        groups.setdefault((str(row["what"]), str(row["kind"])), []).append(row)
    for (what, kind), mine in groups.items():
        covered = np.array([float(str(row["covered"])) for row in mine])
        worst = mine[int(np.nanargmin(covered))]
        where = f"{worst['patients']} patients, {float(str(worst['prevalence'])):.0%}, {worst['truth']}"
        where += "" if worst["noise"] == "normal" else f", {worst['noise']}"
        inside = int(np.sum((covered >= 93.5) & (covered <= 96.5)))
        lines.append(
            f"| {what} | {kind} | {len(mine)} | {np.nanmin(covered):.1f} | {np.nanmedian(covered):.1f} | "
            f"{np.nanmax(covered):.1f} | {where} | {inside} of {len(mine)} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Run the grid, or the part of it that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--simulations",
        type=int,
        default=2000,
        help="samples a scene (twice as many up to 300 patients or where few are positive, half as many at 5,000, "
        "0.3 times as many of other metrics than the AUC)",
    )
    parser.add_argument("--only", choices=sorted(RUNNERS), help="one part of the grid")
    parser.add_argument("--patients", type=int, help="scenes of that size only")
    parser.add_argument("--jobs", type=int, default=1, help="scenes at a time; the figures do not depend on it")
    parser.add_argument("--resume", action="store_true", help="keep what coverage.csv has with as many samples")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for coverage.csv and coverage.md")
    options = parser.parse_args(arguments)
    rows: list[dict[str, object]] = []
    chosen = [
        scene for scene in scenes() if options.only in (None, scene.what) and options.patients in (None, scene.patients)
    ]
    kept = resumed(options.out / "coverage.csv", chosen, options.simulations) if options.resume else {}
    started = time.monotonic()
    with futures.ProcessPoolExecutor(options.jobs) as pool:
        todo = [scene for scene in chosen if scene not in kept]
        made = pool.map(simulate, todo, [samples_of(scene, options.simulations) for scene in todo])
        for scene in chosen:
            rows += kept[scene] if scene in kept else next(made)
            print(f"{time.monotonic() - started:7.0f} s  {scene}", file=sys.stderr, flush=True)
            with (options.out / "coverage.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            (options.out / "coverage.md").write_text(summary(rows))


if __name__ == "__main__":
    main(sys.argv[1:])

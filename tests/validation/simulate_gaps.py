"""Does a gap at one prevalence err 5 times in 100, and does its 95 % interval hold the truth?

    python tests/validation/simulate_gaps.py                     # writes gaps.csv here
    python tests/validation/simulate_gaps.py --simulations 100   # a quick look

Two hospitals with other shares of positives. Scores are logistic transforms of normals with a shift for positives; an image of a patient
with several shares half of its variance with the others. Where both hospitals have the same shift the true gap is 0 at any prevalence and
every verdict is false; where they differ the true gap is that of two million images, weighted to a stated prevalence.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from concurrent import futures
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from xrbench import metrics, statistics
from xrbench.statistics import Cell

HERE = Path(__file__).parent
METRICS = (
    *("average-precision", "accuracy@threshold=0.5", "brier", "ppv@threshold=0.5"),
    *("net-benefit@threshold=0.1", "f1@threshold=0.5", "auc"),
)
SIMULATIONS = 400
STATED = 0.2
"""Prevalence to which gaps are standardised where the hospitals' networks differ."""
FIELDS = (
    "internal",
    "external",
    "shares",
    "each",
    "shifts",
    "metric",
    "true_gap",
    "simulations",
    "false",
    "covered",
    "none",
)


@dataclass(frozen=True)
class Scene:
    """Two hospitals: images of each, shares of positives, images of a patient, and shifts of positives."""

    images: tuple[int, int]
    shares: tuple[float, float]
    each: int = 1
    shifts: tuple[float, float] = (1.5, 1.5)


def scenes() -> list[Scene]:
    """List the scenes."""
    return [
        Scene((2000, 2000), (0.3, 0.03)),
        Scene((2000, 2000), (0.03, 0.3)),
        Scene((1000, 1000), (0.3, 0.1)),
        Scene((500, 500), (0.5, 0.1)),
        Scene((1000, 1000), (0.3, 0.1), each=2),
        Scene((1000, 1000), (0.3, 0.1), shifts=(1.5, 1.0)),
    ]


def repetitions(scene: Scene, metric: str, simulations: int) -> int:
    """Simulate F1 at a low prevalence four times as often: the fewest wrongly called images make it the hardest case."""
    return 4 * simulations if metric.startswith("f1") and scene.shares[0] < 0.1 else simulations


def draw(scene: Scene, side: int, rng: np.random.Generator) -> Cell:
    """Draw one hospital; a patient's images have the same truth."""
    size = scene.images[side] // scene.each
    truth = np.repeat((rng.random(size) < scene.shares[side]).astype(float), scene.each)
    shared = np.repeat(rng.normal(size=size), scene.each)
    noise = shared if scene.each == 1 else (shared + rng.normal(size=len(truth))) / 2**0.5
    score = 1 / (1 + np.exp(-(scene.shifts[side] * truth - 1.2 + noise)))
    return Cell(f"hospital {side}", truth, score, np.repeat(np.arange(size), scene.each))


@cache
def true_value(metric: str, shift: float) -> float:
    """Compute a metric at the stated prevalence from quantiles of the scores of either class."""
    points = (np.arange(100_000) + 0.5) / 100_000
    from scipy.special import expit, ndtri

    score = expit(np.concatenate([ndtri(points) + shift - 1.2, ndtri(points) - 1.2]))
    truth = np.repeat([1.0, 0.0], len(points))
    return metrics.evaluate(metric, truth, score, weights=np.repeat([STATED, 1 - STATED], len(points)))


def simulate(scene: Scene, metric: str, simulations: int) -> dict[str, Any]:
    """Simulate one scene and metric."""
    rng = np.random.default_rng(zlib.crc32(repr((scene, metric)).encode()))
    differ = scene.shifts[0] != scene.shifts[1]
    true_gap = true_value(metric, scene.shifts[0]) - true_value(metric, scene.shifts[1]) if differ else 0.0
    false = covered = none = 0
    for _ in range(simulations):
        inside, outside = draw(scene, 0, rng), draw(scene, 1, rng)
        stated = STATED if differ else None
        row = statistics.gap(
            [inside], [outside], labels=["a"], metric=metric, prevalence=stated, replicates=0, threads=1
        )[0]
        none += np.isnan(row.low)
        false += row.p < 0.05
        covered += row.low <= true_gap <= row.high
    known = simulations - none
    return {
        **dict(zip(("internal", "external"), scene.images, strict=True)),
        "shares": "-".join(map(str, scene.shares)),
        "each": scene.each,
        "shifts": "-".join(map(str, scene.shifts)),
        "metric": metric,
        "true_gap": round(true_gap, 4),
        "simulations": simulations,
        "false": "" if differ else round(100 * float(false) / known, 2),
        "covered": round(100 * float(covered) / known, 2),
        "none": int(none),
    }


def main() -> None:
    """Simulate all scenes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    work = [(scene, metric) for scene in scenes() for metric in METRICS]
    with futures.ProcessPoolExecutor(given.processes) as pool:
        times = [repetitions(*each, given.simulations) for each in work]
        rows = list(pool.map(simulate, *zip(*work, strict=True), times))
    for row in rows:
        sys.stdout.write(f"{row}\n")
    with (HERE / "gaps.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

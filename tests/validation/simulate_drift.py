"""How often is a threshold said to have drifted where validation and test set are of one population?

    python tests/validation/simulate_drift.py                     # writes drift.csv here
    python tests/validation/simulate_drift.py --simulations 100   # a quick look

Scores are normal with a shift for positives; 30 % of the patients are positive, and a patient's images share half of their variance. In the
last scenes the test set is another population, and the share of intervals that hold the true transported figure is the coverage.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from xrbench import statistics

HERE = Path(__file__).parent
SIMULATIONS = 4000
SHIFT = 1.5
FIELDS = ("valid", "test", "target", "each", "moved", "simulations", "fixed", "procedure", "recall", "specificity")


@dataclass(frozen=True)
class Scene:
    """Images of the validation and the test set, the target, images of a patient, and how far the test set's scores are moved."""

    valid: int
    test: int
    target: str = "sensitivity=0.9"
    each: int = 1
    moved: float = 0.0


def scenes() -> list[Scene]:
    """List the scenes."""
    sizes = [(200, 200), (1000, 1000), (200, 2000), (2000, 200)]
    same = [
        Scene(*size, target) for size in sizes for target in ("sensitivity=0.9", "specificity=0.9", "sensitivity=0.95")
    ]
    return [*same, Scene(400, 400, each=2), Scene(400, 4000, each=2), *(Scene(*size, moved=-0.4) for size in sizes)]


def draw(images: int, each: int, moved: float, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Draw truth, score and patient of one set."""
    size = images // each
    truth = np.repeat((rng.random(size) < 0.3).astype(float), each)
    shared = np.repeat(rng.normal(size=size), each)
    noise = shared if each == 1 else (shared + rng.normal(size=len(truth))) / 2**0.5
    return truth, noise + SHIFT * truth + moved, np.repeat(np.arange(size), each)


def simulate(scene: Scene, simulations: int) -> dict[str, Any]:
    """Simulate one scene."""
    rng = np.random.default_rng(zlib.crc32(repr(scene).encode()))
    condition, _, goal = scene.target.partition("=")
    exact = SHIFT + stats.norm.ppf(1 - float(goal)) if condition == "sensitivity" else stats.norm.ppf(float(goal))
    true = {"recall": stats.norm.sf(exact - SHIFT - scene.moved), "specificity": stats.norm.cdf(exact - scene.moved)}
    aimed = "recall" if condition == "sensitivity" else "specificity"
    wrong = dict.fromkeys(("fixed", "procedure", "recall", "specificity"), 0)
    for _ in range(simulations):
        valid, test = draw(scene.valid, scene.each, 0.0, rng), draw(scene.test, scene.each, scene.moved, rng)
        # Patients of the two sets are different ones, whatever their numbers.
        ids = [np.char.add(name, valid_or_test[2].astype(str)) for name, valid_or_test in (("v", valid), ("t", test))]
        (point,) = statistics.operating_points(
            *valid[:2], *test[:2], ids[1], labels=["a"], target=scene.target, valid_patient=ids[0], threads=1
        )
        at = point.figures[aimed]
        wrong["fixed"] += not at.low <= true[aimed] <= at.high
        wrong["procedure"] += not point.drift_low <= true[aimed] - float(goal) <= point.drift_high
        for name in ("recall", "specificity"):
            low, high = point.procedure[name]
            wrong[name] += not low <= true[name] <= high
    shares = {name: round(100 * count / simulations, 2) for name, count in wrong.items()}
    about = {name: getattr(scene, name) for name in ("valid", "test", "target", "each", "moved")}
    return {**about, "simulations": simulations, **shares}


def main() -> None:
    """Simulate all scenes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    with futures.ProcessPoolExecutor(given.processes) as pool:
        rows = list(pool.map(simulate, scenes(), [given.simulations] * len(scenes())))
    for row in rows:
        sys.stdout.write(f"{row}\n")
    with (HERE / "drift.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

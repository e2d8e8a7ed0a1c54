"""Is a gap of case mix alone called a rest, or a worse network a case mix?

    python tests/validation/simulate_case_mix.py                     # writes case_mix.csv here
    python tests/validation/simulate_case_mix.py --simulations 50    # a quick look

Old patients are told apart worse by the same network. Two hospitals differ in their share of old patients (and in how old patients vary
within a hospital), in the network's quality, or in neither. The true parts are those of two million images; ``false_case_mix`` and
``false_rest`` count intervals that exclude a true 0, ``covered_...`` those that hold the true part.
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

from xrbench import metrics, statistics
from xrbench.statistics import Predictions

HERE = Path(__file__).parent
SIMULATIONS = 100
FIELDS = (
    *("what", "internal", "external", "case_mix", "rest", "simulations"),
    *("covered_case_mix", "covered_rest", "false_case_mix", "false_rest", "undefined"),
)


@dataclass(frozen=True)
class Scene:
    """Images of both hospitals, their shares of old patients, and what the external network loses."""

    what: str
    images: tuple[int, int]
    old: tuple[float, float]
    loss: float = 0.0


def scenes() -> list[Scene]:
    """List the scenes."""
    return [
        Scene("case mix", (1000, 1000), (0.2, 0.6)),
        Scene("case mix", (400, 1500), (0.3, 0.6)),
        Scene("quality", (1000, 1000), (0.4, 0.4), loss=0.6),
        Scene("both", (1000, 1000), (0.2, 0.6), loss=0.6),
        Scene("neither", (400, 400), (0.4, 0.4)),
    ]


def draw(images: int, old: float, loss: float, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Draw truth, score and case mix; ages overlap between young and old, and the score falls off with age."""
    truth, aged = (rng.random(images) < 0.25).astype(float), rng.random(images) < old
    age = np.where(aged, rng.normal(70, 10, images), rng.normal(50, 10, images))
    score = truth * (3.6 - 0.035 * age - loss) + rng.normal(size=images)
    return truth, score, {"age": age, "sex": np.where(rng.random(images) < 0.5, "F", "M")}


def true_parts(scene: Scene) -> tuple[float, float]:
    """Compute the parts from two million images of each hospital, and of the external one with the internal network."""
    rng = np.random.default_rng(0)
    quality = ((scene.old[0], 0.0), (scene.old[1], 0.0), (scene.old[1], scene.loss))
    inside, expected, outside = (metrics.auc(*draw(2_000_000, *each, rng)[:2]) for each in quality)
    return inside - expected if scene.old[0] != scene.old[1] else 0.0, expected - outside if scene.loss else 0.0


def simulate(scene: Scene, simulations: int) -> dict[str, Any]:
    """Simulate one scene."""
    rng = np.random.default_rng(zlib.crc32(repr(scene).encode()))
    parts = true_parts(scene)
    held, false, undefined = [0, 0], [0, 0], 0
    for _ in range(simulations):
        inside, outside = (
            draw(scene.images[0], scene.old[0], 0.0, rng),
            draw(scene.images[1], scene.old[1], scene.loss, rng),
        )
        (row,) = statistics.case_mix_gap(
            Predictions("in", *inside[:2]),
            Predictions("out", *outside[:2]),
            internal_mix=inside[2],
            external_mix=outside[2],
            labels=["a"],
        )
        undefined += bool(np.isnan(row.rest_low))
        ends = ((row.case_mix_low, row.case_mix_high), (row.rest_low, row.rest_high))
        for i, (low, high) in enumerate(ends):
            held[i] += low <= parts[i] <= high
            false[i] += parts[i] == 0 and (low > 0 or high < 0)
    known = simulations - undefined
    counts = {
        "covered_case_mix": round(100 * held[0] / known, 2),
        "covered_rest": round(100 * held[1] / known, 2),
        "false_case_mix": round(100 * false[0] / known, 2) if parts[0] == 0 else "",
        "false_rest": round(100 * false[1] / known, 2) if parts[1] == 0 else "",
    }
    about = {"what": scene.what, "internal": scene.images[0], "external": scene.images[1]}
    true = {"case_mix": round(parts[0], 4), "rest": round(parts[1], 4)}
    return {**about, **true, "simulations": simulations, **counts, "undefined": undefined}


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
    with (HERE / "case_mix.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

"""Do intervals of groups hold together, and how often is a group called the worst where none is?

    python tests/validation/groups.py                       # writes groups.csv here
    python tests/validation/groups.py --simulations 100     # a quick look, printed

Patients have two images each; 30 % are ill. No group differs from another: the AUC is the same everywhere. In the scenes with labels,
each has findings and noise of its own.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import special

from xrbench import statistics

HERE = Path(__file__).parent
SHIFT = 1.2
TRUE = float(special.ndtr(SHIFT / np.sqrt(2 * 0.98)))


class Scene(NamedTuple):
    """How many groups, patients and labels."""

    groups: int
    patients: int
    labels: int = 1


SCENES = (Scene(2, 200), Scene(5, 600), Scene(8, 1000), Scene(5, 600, 4))
FIELDS = (*Scene._fields, "simulations", "differences_hold", "values_hold", "weakest_holds", "called_worst")


def draw(scene: Scene, rng: np.random.Generator) -> list[statistics.Subgroups]:
    """Draw patients and judge their groups."""
    patient = np.repeat(np.arange(scene.patients), 2)
    truth = (rng.random((scene.patients, scene.labels)) < 0.3)[patient].astype(float)
    own, common = rng.normal(size=truth.shape), rng.normal(size=(scene.patients, scene.labels))[patient]
    group = rng.integers(0, scene.groups, scene.patients)[patient].astype(str)
    names = [f"label {number}" for number in range(scene.labels)]
    score = SHIFT * truth + 0.7 * (own + common)
    return statistics.subgroups(truth, score, patient, group, labels=names, column="group", threads=1)[: scene.labels]


def simulate(scene: Scene, simulations: int) -> dict[str, object]:
    """Count how often everything that is printed of one sample is true, in per cent."""
    rng = np.random.default_rng([20061108, *scene])
    found = np.zeros((simulations, 4), np.bool_)
    for number in range(simulations):
        tables = draw(scene, rng)
        parts = [part for table in tables for part in table.groups]
        first = {part.name: part.row for part in tables[0].groups}
        behind = [part.behind for part in parts if part.behind is not None]
        weakest = first[tables[0].weakest]
        found[number] = (
            all(gap.low <= 0 <= gap.high for gap in behind),
            all(row.low <= TRUE <= row.high for row in first.values()),
            weakest.low <= TRUE <= weakest.high,
            any(table.worst for table in tables),
        )
    shares = [round(100 * float(share), 2) for share in found.mean(axis=0)]
    return dict(zip(FIELDS, (*scene, simulations, *shares), strict=True))


def main(arguments: Sequence[str]) -> None:
    """Simulate all scenes; write the table unless a quick look is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=500, help="samples a scene")
    chosen = parser.parse_args(arguments)
    rows = []
    for scene in SCENES:
        rows.append(simulate(scene, chosen.simulations))
        print(rows[-1], flush=True)
    if chosen.simulations >= 500:
        with (HERE / "groups.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])

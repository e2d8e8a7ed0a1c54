"""How often does the gate call a regression where there is none, and pass where there is one?

    python tests/validation/simulate_gate.py                      # the whole grid; writes gate.csv and gate.md here
    python tests/validation/simulate_gate.py --repetitions 500    # a quick look

A family of comparisons: methods and protocols, each with the mean over its labels and the labels. Every side has J trainings; a
label's value varies over trainings and over patients, whom all cells share; a share of both is common to all rows. ``loss`` is the true
loss of every row of B against A. The rows are judged by ``compare.regression_gate.judge``, as those of two runs are.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xrbench.compare.regression_gate import judge
from xrbench.compare.rows import METHODS, CompareOptions, Row, Section
from xrbench.statistics.inference.crossed import crossed

Floats = npt.NDArray[np.float64]
HERE = Path(__file__).parent
COMMON = 0.3
"""Share of the variances that all rows have in common."""


@dataclass(frozen=True)
class Scene:
    """A family and its truth.

    Attributes:
        sections: Methods and protocols.
        labels: Labels of each.
        trainings: Of each side.
        sd: Standard deviation over trainings of a label's value.
        patients: Standard error that patients bring to one training's value.
        loss: True loss of every row.
        margin: Loss that is accepted.
    """

    sections: int = 4
    labels: int = 4
    trainings: int = 3
    sd: float = 0.01
    patients: float = 0.01
    loss: float = 0.0
    margin: float = 0.02


@dataclass
class Outcome:
    """Decisions in percent of the repetitions.

    Attributes:
        sections, labels, trainings, sd, patients, loss, margin: The scene.
        regression, passed, inconclusive: Decisions.
        repetitions: Number of them.
        error: Largest Monte Carlo standard error.
    """

    sections: int
    labels: int
    trainings: int
    sd: float
    patients: float
    loss: float
    margin: float
    regression: float
    passed: float
    inconclusive: float
    repetitions: int
    error: float


def scenes() -> Iterator[Scene]:
    """List the grid."""
    for loss in (0.0, 0.02):
        for sd in (0.003, 0.01, 0.02):
            yield Scene(sd=sd, loss=loss)
        yield Scene(trainings=10, loss=loss)
        yield Scene(sections=1, labels=0, loss=loss)
        yield Scene(sections=4, labels=14, sd=0.003, patients=0.003, loss=loss)
    yield Scene(margin=0.0)
    yield Scene(loss=0.015, patients=0.004, sd=0.004)
    for loss in (0.0, 0.05):
        yield Scene(loss=loss, sd=0.005, patients=0.005)


def simulate(scene: Scene, repetitions: int, seed: int = 0) -> Outcome:
    """Simulate one scene."""
    rng = np.random.default_rng([seed, *np.frombuffer(repr(scene).encode(), np.uint8).tolist()])
    how = CompareOptions(margin=scene.margin, about=METHODS)
    counts = np.zeros(3)
    for _ in range(repetitions):
        judged = judge(list(_rows(scene, rng)), how)
        if any(one.outcome == "regression" for one in judged):
            counts[0] += 1
        elif all(one.outcome == "not worse" for one in judged if one.needed):
            counts[1] += 1
        else:
            counts[2] += 1
    shares = counts / repetitions
    error = max(math.sqrt(share * (1 - share) / repetitions) for share in shares)
    regression, passed, inconclusive = (round(100 * float(share), 2) for share in shares)
    return Outcome(
        **asdict(scene),
        regression=regression,
        passed=passed,
        inconclusive=inconclusive,
        repetitions=repetitions,
        error=round(100 * error, 2),
    )


def _rows(scene: Scene, rng: np.random.Generator) -> Iterator[tuple[Section, Row]]:
    """Draw the rows of a family: each section has its labels and their mean."""
    count = scene.trainings
    shape = (scene.sections, max(scene.labels, 1), 2, count)
    # what patients do to a training's value: shared by all its rows, by its side's trainings, and its own
    of_patients = scene.patients * (
        math.sqrt(0.5) * rng.normal(size=(*shape[:2], 1, 1)) * _mixed(rng, shape[:2])
        + math.sqrt(0.3) * rng.normal(size=(*shape[:2], 2, 1))
        + math.sqrt(0.2) * rng.normal(size=shape)
    )
    of_trainings = scene.sd * (
        math.sqrt(COMMON) * rng.normal(size=(scene.sections, 1, 2, count))
        + math.sqrt(1 - COMMON) * rng.normal(size=shape)
    )
    values = of_patients + of_trainings
    values[:, :, 1] -= scene.loss
    covariance = scene.patients**2 * (0.5 + 0.3 * np.kron(np.eye(2), np.ones((count, count))) + 0.2 * np.eye(2 * count))
    weight = np.repeat([-1.0, 1.0], count) / count
    training, strata = range(2 * count), ["a"] * count + ["b"] * count
    for section in values:
        rows = [(f"label {number}", each, covariance) for number, each in enumerate(section)] if scene.labels else []
        # patients' errors of labels are independent of each other here
        rows.append(("mean", section.mean(axis=0), covariance / len(section)))
        made = []
        for label, each, joint in rows:
            errors = crossed(each.ravel(), weight, joint, training, strata)
            made.append(
                Row(
                    label,
                    1,
                    1,
                    0.8,
                    0.8 + errors.value,
                    errors.value,
                    0.0,
                    0.0,
                    errors.error,
                    errors.p(),
                    0.0,
                    errors=errors,
                )
            )
        part = Section("", "m", "n", "external", True, tuple(made), about=METHODS)
        yield from ((part, row) for row in made)


def _mixed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Draw signs, so that what is common to both sides differs over rows."""
    return rng.choice([-1.0, 1.0], size=(*shape, 1, 1))


def write(rows: Sequence[Outcome], folder: Path) -> None:
    """Write the table as CSV and Markdown."""
    with (folder / "gate.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [one.name for one in fields(Outcome)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    lines = [
        "# Decisions of the regression gate",
        "",
        "Made by `python tests/validation/simulate_gate.py`. Percent of the repetitions, by the true loss of every comparison.",
        "",
        "| sections | labels | trainings | SD of trainings | error of patients | true loss | margin | regression | pass | open |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        about = (row.sections, row.labels, row.trainings, row.sd, row.patients, row.loss, row.margin)
        shares = (f"{share:.1f}" for share in (row.regression, row.passed, row.inconclusive))
        lines.append(f"| {' | '.join((*(f'{each:g}' for each in about), *shares))} |")
    worst = max(row.error for row in rows)
    lines += ["", f"{rows[0].repetitions:,} repetitions a row; Monte Carlo standard error at most {worst:.1f}."]
    (folder / "gate.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run the grid."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=2_000)
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    rows = []
    for scene in scenes():
        rows.append(simulate(scene, given.repetitions))
        print(rows[-1], file=sys.stderr, flush=True)
    write(rows, given.out)


if __name__ == "__main__":
    main()

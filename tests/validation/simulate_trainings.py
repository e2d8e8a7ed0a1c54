"""How often are methods that are equal called different, when trainings and patients vary?

    python tests/validation/simulate_trainings.py                    # the whole grid; writes trainings.csv and trainings.md here
    python tests/validation/simulate_trainings.py --repetitions 200  # a quick look

Two methods are trained J times each; all trainings are tested on the same patients. The score of a patient under a training is a
shift for ill patients plus noise, of which shares belong to the patient (0.5), to the method (0.2) and to the training (0.3). The shift
varies over trainings so that the true AUC has the stated standard deviation. With a parent, seed j of both methods shares half of
that variation and half of the noise of its training. Settings are trained anew; every other one has the same test patients. An
internal set of other patients, with shifts correlated by 0.7, gives the gaps. Differences, gaps, and means are judged as
``method_difference``, ``method_gap`` and ``method_mean`` do; "patients" is the verdict when only patients vary.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special

from xrbench.statistics.inference.crossed import Crossed, crossed, over_groups
from xrbench.statistics.inference.training_rows import limits
from xrbench.statistics.resampling.jackknife import influence
from xrbench.statistics.resampling.scale import UNIT

Floats = npt.NDArray[np.float64]
HERE = Path(__file__).parent
PATIENT, METHOD, TRAINING = 0.5, 0.2, 0.3
INNER = 0.7
"""Correlation of a training's shift inside and outside."""
NORMAL = float(special.ndtri(0.975))
DRAWN = ("difference", "gap", "difference of gaps", "mean")


@dataclass(frozen=True)
class Scene:
    """What is simulated.

    Attributes:
        trainings: Of each method and setting.
        sd: Standard deviation of the true AUC over trainings, of each method.
        patients: In each test set.
        ill: Share of ill patients.
        auc: True AUC of both methods outside.
        settings: Number of settings.
        parent: Whether seed j of both methods has one parent.
        apart: True difference of the methods.
        spread: Standard deviation of the true difference over settings.
    """

    trainings: tuple[int, int] = (3, 3)
    sd: tuple[float, float] = (0.0, 0.0)
    patients: int = 1000
    ill: float = 0.2
    auc: float = 0.8
    settings: int = 1
    parent: bool = False
    apart: float = 0.0
    spread: float = 0.0


@dataclass
class Row:
    """What came out, in percent of the repetitions.

    Attributes:
        question: What was asked.
        trainings_a, trainings_b, sd_a, sd_b, patients, ill, auc, settings, parent, apart, spread: The scene.
        verdicts: Verdicts that are false, or, where the methods differ, right.
        coverage: Intervals that hold the truth.
        patients_only: Verdicts when only patients vary.
        repetitions: Number of them.
        error: Largest Monte Carlo standard error of a percentage.
    """

    question: str
    trainings_a: int
    trainings_b: int
    sd_a: float
    sd_b: float
    patients: int
    ill: float
    auc: float
    settings: int
    parent: bool
    apart: float
    spread: float
    verdicts: float
    coverage: float
    patients_only: float
    repetitions: int
    error: float


def scenes() -> Iterator[Scene]:
    """List the grid."""
    spreads = ((0.0, 0.0), (0.005, 0.005), (0.016, 0.016), (0.03, 0.03), (0.03, 0.0))
    none, middle, unequal = spreads[0], spreads[2], spreads[4]
    for each in (3, 5):
        for sd in spreads:
            yield Scene((each, each), sd)
    for sd in spreads[:3]:
        yield Scene((10, 10), sd)
    for sd in (none, middle, unequal):
        yield Scene((3, 3), sd, patients=300)
    for sd in (middle, unequal):
        yield Scene((3, 3), sd, patients=3000)
        yield Scene((3, 10), sd)
    yield Scene((3, 3), middle, ill=0.05, auc=0.9)
    for sd in spreads[1:4]:
        yield Scene((3, 3), sd, parent=True)
    for settings in (2, 6):
        for sd in (none, middle, unequal):
            yield Scene((3, 3), sd, settings=settings, patients=600)
    for settings in (3, 6):
        for sd in (none, middle, unequal):
            yield Scene((1, 1), sd, settings=settings, patients=600, spread=0.01)
    for each in (3, 5):
        for apart in (0.02, 0.05):
            yield Scene((each, each), middle, apart=apart)


def simulate(scene: Scene, repetitions: int, seed: int = 0) -> list[Row]:
    """Simulate one scene; the random stream is that of the scene, so rows do not depend on their order."""
    rng = np.random.Generator(np.random.SFC64([seed, zlib.crc32(repr(scene).encode())]))
    inside = scene.settings == 1 and scene.trainings[0] > 1
    asked = DRAWN if inside else DRAWN[:1]
    found = {name: np.zeros((repetitions, 3)) for name in asked}
    for number in range(repetitions):
        for name, (truth, errors, bounded) in _draw(scene, rng, inside).items():
            low, high = limits(errors[0], 0.05, UNIT) if bounded else errors[0].limits(0.05)
            alone = abs(errors[0].value - (truth if bounded else 0)) / errors[1]
            found[name][number] = (low > 0 or high < 0, low <= truth <= high, alone > NORMAL)
    return [_row(name, scene, table) for name, table in found.items()]


def _row(question: str, scene: Scene, table: Floats) -> Row:
    shares = table.mean(axis=0)
    error = max(math.sqrt(share * (1 - share) / len(table)) for share in shares)
    values = asdict(scene)
    (trainings_a, trainings_b), (sd_a, sd_b) = values.pop("trainings"), values.pop("sd")
    return Row(
        question=question,
        trainings_a=trainings_a,
        trainings_b=trainings_b,
        sd_a=sd_a,
        sd_b=sd_b,
        **values,
        verdicts=math.nan if question == "mean" else round(100 * shares[0], 2),
        coverage=round(100 * shares[1], 2),
        patients_only=round(100 * shares[2], 2),
        repetitions=len(table),
        error=round(100 * error, 2),
    )


Asked = dict[str, tuple[float, tuple[Crossed, float], bool]]


def _draw(scene: Scene, rng: np.random.Generator, inside: bool) -> Asked:
    """Draw one study and judge it: question -> truth, errors with the standard error of patients alone, whether it is a mean."""
    counts, settings = scene.trainings, scene.settings
    method, setting, seed = _cells(scene)
    tau = np.array([_tau(scene, one) for one in scene.sd])
    base = math.sqrt(2) * special.ndtri(scene.auc + scene.apart * method) * np.sqrt(1 + tau[method] ** 2 / 2)
    drift = scene.spread / _slope(scene.auc) * rng.normal(size=settings)[setting] * method
    own = _by_training(scene, rng, method, setting, seed)
    shift = base + drift + tau[method] * own
    outside = _sets(scene, rng, shift, method, setting, seed)
    weight = np.where(method == 1, 1.0, -1.0) / np.array(counts)[method] / settings
    training, strata = _layout(scene, "difference")
    asked: Asked = {"difference": (scene.apart, _errors(outside, weight, training, strata, setting, counts), False)}
    if not inside:
        return asked
    better = math.sqrt(2) * special.ndtri(scene.auc + 0.05 + scene.apart * method) * np.sqrt(1 + tau[method] ** 2 / 2)
    within = INNER * own + math.sqrt(1 - INNER**2) * _by_training(scene, rng, method, setting, seed)
    internal = _sets(scene, rng, better + tau[method] * within, method, setting, seed)
    both = _joined(internal, outside)
    of_a, of_b = (np.where(method == one, 1 / counts[one], 0.0) for one in (0, 1))

    def judged(question: str, weights: Floats) -> tuple[Crossed, float]:
        used, (numbers, names) = _used(scene, question), _layout(scene, question)
        return _errors(_some(both, used), weights[used], numbers, names, numbers, counts)

    asked["gap"] = 0.05, judged("gap", np.concatenate([of_b, -of_b])), False
    asked["difference of gaps"] = (
        0.0,
        judged("difference of gaps", np.concatenate([of_b - of_a, of_a - of_b])),
        False,
    )
    asked["mean"] = scene.auc + scene.apart, judged("mean", np.concatenate([0 * of_b, of_b])), True
    return asked


Sets = tuple[Floats, list[tuple[npt.NDArray[np.int64], Floats, int]]]
"""AUC of each cell; for each domain its cells, the influences of its patients (patients, cells), and how many of the first are ill."""


def _errors(
    sets: Sets,
    weight: Floats,
    training: npt.NDArray[np.int64],
    strata: Sequence[str],
    setting: npt.NDArray[np.int64],
    counts: tuple[int, int],
) -> tuple[Crossed, float]:
    value, domains = sets
    covariance = np.zeros((len(value), len(value)))
    for rows, shares, _ in domains:
        covariance[np.ix_(rows, rows)] = shares.T @ shares
    df = _freedom([(shares @ weight[rows], ill) for rows, shares, ill in domains])
    if max(counts) == 1:
        errors = over_groups(value, weight, covariance, setting, df_patients=df)
    else:
        errors = crossed(value, weight, covariance, training, strata, df_patients=df)
    return errors, math.sqrt(weight @ covariance @ weight)


def _freedom(parts: Sequence[tuple[Floats, int]]) -> float:
    """Compute what ``jackknife.freedom`` does, for patients sorted into the ill and the others (a test holds them equal)."""
    variance = noise = 0.0
    for shares, ill in parts:
        variance += float(shares @ shares)
        for members in (shares[:ill], shares[ill:]):
            squares = members * members
            noise += float(squares @ squares) - float(squares.sum()) ** 2 / len(members)
    return 2 * variance**2 / noise


def _sets(
    scene: Scene,
    rng: np.random.Generator,
    shift: Floats,
    method: npt.NDArray[np.int64],
    setting: npt.NDArray[np.int64],
    seed: npt.NDArray[np.int64],
) -> Sets:
    """Draw the scores of every cell on its test set; settings of one parity share their patients."""
    value, domains = np.zeros(len(shift)), []
    ill = max(2, round(scene.ill * scene.patients))
    positive = np.arange(scene.patients) < ill
    for parity in sorted(set((setting % 2).tolist())):
        rows = np.flatnonzero(setting % 2 == parity)
        scores = positive[:, None] * shift[rows]
        scores += math.sqrt(PATIENT) * rng.normal(size=(scene.patients, 1))
        scores += math.sqrt(METHOD) * rng.normal(size=(scene.patients, 2))[:, method[rows]]
        alone = rng.normal(size=(scene.patients, len(rows)))
        if scene.parent:
            of_parent = rng.normal(size=(scene.patients, int(seed.max()) + 1))[:, seed[rows]]
            alone = math.sqrt(0.5) * alone + math.sqrt(0.5) * of_parent
        scores += math.sqrt(TRAINING) * alone
        value[rows], left_out = _auc(scores, ill)
        domains.append((rows, influence(left_out), ill))
    return value, domains


def _auc(scores: Floats, ill: int) -> tuple[Floats, Floats]:
    """Compute the AUC of each column, and without each patient, from placements; the first ``ill`` rows are positive."""
    n, columns = scores.shape
    order = scores.argsort(axis=0)
    positive = order < ill
    well = n - ill
    # negatives below each positive, and positives above each negative
    below = np.where(positive, np.cumsum(~positive, axis=0) / well, 1 - np.cumsum(positive, axis=0) / ill)
    placement = np.empty((n, columns))
    np.put_along_axis(placement, order, below, axis=0)
    auc = placement[:ill].mean(axis=0)
    left_out = np.concatenate([(ill * auc - placement[:ill]) / (ill - 1), (well * auc - placement[ill:]) / (well - 1)])
    return auc, left_out


def _by_training(
    scene: Scene,
    rng: np.random.Generator,
    method: npt.NDArray[np.int64],
    setting: npt.NDArray[np.int64],
    seed: npt.NDArray[np.int64],
) -> Floats:
    """Draw a standard normal number a training; those of one parent are correlated by a half."""
    alone: Floats = rng.normal(size=len(method))
    if not scene.parent:
        return alone
    of_parent = rng.normal(size=(scene.settings, int(seed.max()) + 1))[setting, seed]
    return np.asarray(math.sqrt(0.5) * alone + math.sqrt(0.5) * of_parent)


@cache
def _layout(scene: Scene, question: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Number the trainings of the cells of a question, and name their strata; both are those of every repetition."""
    method, setting, seed = _cells(scene)
    training = _numbers(method, setting, seed, parent=scene.parent)
    if question == "difference":
        return training, _strata(training, method, setting)
    twice, place = np.concatenate([training, training]), np.repeat([0, 1], len(method))
    names = np.concatenate([method, method])
    used = _used(scene, question)
    numbers = _renumbered(twice[used])
    return numbers, _strata(numbers, names[used], place[used])


@cache
def _used(scene: Scene, question: str) -> npt.NDArray[np.bool_]:
    """Tell which cells, the internal ones before the external, take part in a question."""
    method, _, _ = _cells(scene)
    b, every, none = method == 1, np.ones(len(method), bool), np.zeros(len(method), bool)
    first, second = {"gap": (b, b), "difference of gaps": (every, every), "mean": (none, b)}[question]
    return np.concatenate([first, second])


@cache
def _cells(scene: Scene) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """List method, setting and seed of every cell."""
    cells = [
        (method, setting, seed)
        for setting in range(scene.settings)
        for method in (0, 1)
        for seed in range(scene.trainings[method])
    ]
    method, setting, seed = (np.array(column) for column in zip(*cells, strict=True))
    return method, setting, seed


def _numbers(
    method: npt.NDArray[np.int64], setting: npt.NDArray[np.int64], seed: npt.NDArray[np.int64], *, parent: bool
) -> npt.NDArray[np.int64]:
    keys = list(
        zip(setting.tolist(), seed.tolist(), (np.zeros_like(method) if parent else method).tolist(), strict=True)
    )
    return _renumbered(keys)


def _renumbered(keys: Sequence[object] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    listed = keys.tolist() if isinstance(keys, np.ndarray) else list(keys)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(listed))}
    return np.array([numbers[key] for key in listed], np.int64)


def _strata(training: npt.NDArray[np.int64], method: npt.NDArray[np.int64], place: npt.NDArray[np.int64]) -> list[str]:
    return [
        str(sorted({(int(method[i]), int(place[i])) for i in np.flatnonzero(training == number)}))
        for number in range(int(training.max()) + 1)
    ]


def _joined(first: Sets, second: Sets) -> Sets:
    shift = len(first[0])
    more = [(rows + shift, shares, ill) for rows, shares, ill in second[1]]
    return np.concatenate([first[0], second[0]]), [*first[1], *more]


def _some(sets: Sets, used: npt.NDArray[np.bool_]) -> Sets:
    number = np.cumsum(used) - 1
    domains = [
        (number[rows[used[rows]]], shares[:, used[rows]], ill) for rows, shares, ill in sets[1] if used[rows].any()
    ]
    return sets[0][used], domains


def _slope(auc: float) -> float:
    """Return the derivative of the AUC with respect to the shift."""
    return math.exp(-(float(special.ndtri(auc)) ** 2) / 2) / math.sqrt(2 * math.pi) / math.sqrt(2)


def _tau(scene: Scene, sd: float) -> float:
    return sd / _slope(scene.auc)


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write the table as CSV and Markdown."""
    names = [one.name for one in fields(Row)]
    with (folder / "trainings.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
    lines = [
        "# Verdicts on methods when trainings and patients vary",
        "",
        "Made by `python tests/validation/simulate_trainings.py`, which says how scores are drawn. Percent of the repetitions:",
        "verdicts (false ones where the true difference is 0), 95 % intervals that hold the truth, verdicts if patients alone varied.",
        "",
        "| question | trainings | SD of AUC | patients | ill | AUC | settings | parent | true | verdicts | coverage | alone |",
        "|---|---|---|--:|--:|--:|--:|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        both = (row.trainings_a, row.trainings_b), (row.sd_a, row.sd_b)
        trainings, sds = (f"{a:g}" if a == b else f"{a:g} and {b:g}" for a, b in both)
        verdicts = "" if math.isnan(row.verdicts) else f"{row.verdicts:.1f}"
        about = (
            row.question,
            trainings,
            sds,
            f"{row.patients:,}",
            f"{100 * row.ill:g} %",
            f"{row.auc:g}",
            str(row.settings),
        )
        scene = ("shared" if row.parent else "", f"{row.apart:g}")
        figures = (verdicts, f"{row.coverage:.1f}", f"{row.patients_only:.1f}")
        lines.append(f"| {' | '.join((*about, *scene, *figures))} |")
    worst = max((row.error for row in rows), default=math.nan)
    lines += [
        "",
        f"{rows[0].repetitions:,} repetitions a row; Monte Carlo standard error of a percentage at most {worst:.1f}.",
    ]
    (folder / "trainings.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run the grid."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    grid, started, rows = list(scenes()), time.perf_counter(), []
    with futures.ProcessPoolExecutor(given.jobs) as pool:
        for scene, found in zip(grid, pool.map(simulate, grid, [given.repetitions] * len(grid)), strict=True):
            rows += found
            text = "; ".join(
                f"{row.question} {row.verdicts} cov {row.coverage} (patients {row.patients_only})" for row in found
            )
            print(f"{time.perf_counter() - started:6.0f} s  {scene}: {text}", file=sys.stderr, flush=True)
    write(rows, given.out)


if __name__ == "__main__":
    main()

"""Methods against methods: trainings and patients crossed, against formulas worked by hand, other tests, and a small simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from xrbench import statistics
from xrbench.statistics import Predictions, TrainedCell
from xrbench.statistics.inference.crossed import crossed, over_groups
from xrbench.statistics.inference.training_rows import ONE_TRAINING

Floats = npt.NDArray[np.float64]
PATIENTS = 120
TRUTH = (np.arange(PATIENTS) % 3 == 0).astype(float)


def scores(rng: np.random.Generator, shift: float, shared: Floats) -> Floats:
    return np.asarray(shift * TRUTH + shared + 0.5 * rng.normal(size=PATIENTS))


def method(
    name: str, shifts: Sequence[float], *, seed: int = 0, settings: int = 1, domain: str = "here"
) -> list[TrainedCell]:
    """Trainings of a method on the same patients, with their own noise."""
    shared = np.random.default_rng(99).normal(size=PATIENTS)
    cells = []
    for setting in range(settings):
        for number, shift in enumerate(shifts):
            rng = np.random.default_rng([seed, setting, number, len(name)])
            predictions = Predictions(domain, TRUTH, scores(rng, shift, shared), patient=np.arange(PATIENTS))
            cells.append(TrainedCell(predictions, (f"{name}{setting}-{number}",), f"s{setting}"))
    return cells


def auc(cell: TrainedCell) -> float:
    return float(roc_auc_score(TRUTH, cell.predictions.score))


def left_out_covariance(cells: Sequence[TrainedCell]) -> Floats:
    """Compute the jackknife covariance of the cells' AUCs by leaving out each patient in turn."""
    table = []
    for patient in range(PATIENTS):
        kept = np.arange(PATIENTS) != patient
        table.append([roc_auc_score(TRUTH[kept], np.asarray(cell.predictions.score)[kept]) for cell in cells])
    values = np.array(table)
    centred = values - values.mean(axis=0)
    return np.asarray((PATIENTS - 1) / PATIENTS * centred.T @ centred)


def test_the_difference_is_that_of_obuchowski_and_rockette_without_pooling() -> None:
    a, b = method("a", [1.0, 1.2, 1.4]), method("b", [1.3, 1.6, 1.5, 1.9], seed=1)
    row = statistics.method_difference(a, b, labels=["x"])[0]
    values = [np.array([auc(cell) for cell in side]) for side in (a, b)]
    assert row.value == pytest.approx(values[1].mean() - values[0].mean())
    joint = left_out_covariance([*a, *b])
    first, second = slice(0, 3), slice(3, 7)

    def off(block: Floats) -> float:
        return float((block.sum() - np.trace(block)) / (block.size - len(block)))

    shared = off(joint[first, first]) + off(joint[second, second]) - 2 * joint[first, second].mean()
    parts = [side.var(ddof=1) / len(side) for side in values]
    variance = sum(parts) + max(shared, 0.0)
    assert row.error == pytest.approx(math.sqrt(variance), rel=1e-6)
    assert row.errors is not None
    alone = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 3)
    assert row.errors.df_trainings == pytest.approx(alone, rel=1e-6)
    reach = max(stats.t.ppf(0.975, row.df) * math.sqrt(variance), stats.t.ppf(0.975, alone) * math.sqrt(sum(parts)))
    assert (row.low, row.high) == pytest.approx((row.value - reach, row.value + reach), rel=1e-6)
    assert (row.n_trainings, row.over) == (3, "trainings")


def test_without_patients_it_is_welchs_test() -> None:
    a, b = [0.80, 0.83, 0.79], [0.85, 0.88, 0.84, 0.90]
    weight = np.array([-1 / 3] * 3 + [1 / 4] * 4)
    errors = crossed([*a, *b], weight, np.zeros((7, 7)), range(7), "aaabbbb")
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert errors.df == pytest.approx(welch.df)
    assert errors.p() == pytest.approx(welch.pvalue)


def test_trainings_of_one_parent_are_paired() -> None:
    a, b = [0.80, 0.83, 0.79], [0.82, 0.86, 0.80]
    weight = np.array([-1, -1, -1, 1, 1, 1]) / 3
    errors = crossed([*a, *b], weight, np.zeros((6, 6)), [0, 1, 2, 0, 1, 2], ["seed"] * 3)
    assert errors.p() == pytest.approx(stats.ttest_rel(b, a).pvalue)
    first, second = method("a", [1.0, 1.2, 1.4]), method("b", [1.3, 1.6, 1.5])
    joined = [
        TrainedCell(cell.predictions, (*cell.chain, f"parent{n % 3}"), "s0") for n, cell in enumerate([*first, *second])
    ]
    row = statistics.method_difference(joined[:3], joined[3:], labels=["x"])[0]
    differences = [auc(y) - auc(x) for x, y in zip(first, second, strict=True)]
    assert row.errors is not None
    assert row.errors.of_trainings == pytest.approx(np.var(differences, ddof=1) / 3)
    assert row.errors.df_trainings == 2


def test_settings_trained_once_stand_in_the_trainings_place() -> None:
    differences = np.array([0.01, 0.03, 0.02, 0.06])
    weight = np.tile([-0.25, 0.25], 4)
    values = np.ravel([(0.8, 0.8 + difference) for difference in differences])
    errors = over_groups(values, weight, np.zeros((8, 8)), np.repeat(range(4), 2))
    assert errors.p() == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    a, b = method("a", [1.0], settings=4), method("b", [1.4], settings=4)
    row = statistics.method_difference(a, b, labels=["x"])[0]
    assert (row.over, row.n_settings, row.n_trainings) == ("settings", 4, 1)
    shared = statistics.method_difference(
        [TrainedCell(cell.predictions, ("a",), cell.setting) for cell in a], b, labels=["x"]
    )[0]
    assert shared.reason == ONE_TRAINING, "one training in all settings is one repetition"


@pytest.mark.parametrize("counts", [(1, 1), (1, 3), (3, 1)])
def test_one_training_of_a_side_gives_no_answer(counts: tuple[int, int]) -> None:
    a, b = method("a", [1.0] * counts[0]), method("b", [1.4] * counts[1])
    row = statistics.method_difference(a, b, labels=["x"])[0]
    assert row.reason == ONE_TRAINING
    assert math.isnan(row.low)
    assert math.isnan(row.p)
    assert row.verdict == "cannot tell"
    assert not math.isnan(row.value)


def test_given_weights_have_no_training_to_vary() -> None:
    given_weights = [TrainedCell(cell.predictions, (), cell.setting) for cell in method("a", [1.0])]
    row = statistics.method_difference(given_weights, method("b", [1.4, 1.5, 1.3]), labels=["x"])[0]
    assert row.errors is not None
    assert row.errors.df_trainings == 2
    mean = statistics.method_mean(given_weights, labels=["x"])[0]
    assert mean.caution.endswith("the weights are given: patients alone vary")
    same = statistics.estimate(TRUTH, given_weights[0].predictions.score, np.arange(PATIENTS), labels=["x"])[0]
    assert (mean.low, mean.high) == pytest.approx((same.low, same.high), abs=3e-3)


def test_the_gap_counts_the_patients_of_both_sides() -> None:
    shifts = [1.6, 1.7, 1.5]
    internal, external = method("a", shifts, domain="in"), method("a", [1.0, 1.1, 0.9], domain="out")
    row = statistics.method_gap(internal, external, labels=["x"])[0]
    gaps = [auc(x) - auc(y) for x, y in zip(internal, external, strict=True)]
    assert row.value == pytest.approx(np.mean(gaps))
    assert row.errors is not None
    assert row.errors.of_trainings == pytest.approx(np.var(gaps, ddof=1) / 3)
    patients = sum(
        (block.sum() - np.trace(block)) / 6 for block in (left_out_covariance(internal), left_out_covariance(external))
    )
    assert row.errors.of_patients == pytest.approx(patients, rel=1e-6)
    other = statistics.difference_of_gaps(
        (internal, external), (method("b", shifts, domain="in"), external), labels=["x"]
    )[0]
    assert other.sides[1] == other.sides[3]


def test_the_macro_mean_is_of_the_labels_that_all_cells_have() -> None:
    def cells(name: str, shift: float) -> list[TrainedCell]:
        one = method(name, [shift, shift + 0.1, shift - 0.1])
        blank = np.full(PATIENTS, np.nan)
        return [
            TrainedCell(
                Predictions(
                    "here",
                    np.c_[TRUTH, blank],
                    np.c_[cell.predictions.score, cell.predictions.score],
                    np.arange(PATIENTS),
                ),
                cell.chain,
                cell.setting,
            )
            for cell in one
        ]

    rows = {row.label: row for row in statistics.method_difference(cells("a", 1.0), cells("b", 1.5), labels=["x", "y"])}
    assert rows["mean"].value == pytest.approx(rows["x"].value)
    assert rows["y"].reason == "no setting in which all sides have a value"
    assert math.isnan(rows["y"].value)


@settings(max_examples=20)
@given(st.permutations(range(6)), st.integers(0, 3))
def test_the_order_of_cells_does_not_matter(order: list[int], seed: int) -> None:
    cells = [*method("a", [1.0, 1.2, 1.4], seed=seed), *method("b", [1.3, 1.6, 1.5], seed=seed)]
    turned = [cells[number] for number in order]
    one = statistics.method_difference(cells[:3], cells[3:], labels=["x"])[0]
    other = statistics.method_difference(
        [cell for cell in turned if cell.chain[0].startswith("a")],
        [cell for cell in turned if cell.chain[0].startswith("b")],
        labels=["x"],
    )[0]
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_interval_p_value_and_one_sided_tests_agree() -> None:
    row = statistics.method_difference(method("a", [1.0, 1.2, 1.4]), method("b", [1.3, 1.6, 1.5]), labels=["x"])[0]
    errors = row.errors
    assert errors is not None
    low, high = errors.limits(errors.p())
    assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)
    assert errors.p_above(errors.limits(0.1)[0]) == pytest.approx(0.05)
    assert errors.p_below(errors.limits(0.1)[1]) == pytest.approx(0.05)


def test_the_smallest_detectable_difference_is_found_with_80_percent_power() -> None:
    rng = np.random.default_rng(5)
    weight = np.array([-1, -1, -1, 1, 1, 1]) / 3
    shift, found, sizes = 0.02, [], []
    for _ in range(4000):
        values = rng.normal(0, 0.01, 6) + np.repeat([0, shift], 3)
        errors = crossed(values, weight, np.zeros((6, 6)), range(6), "aaabbb")
        found.append(errors.p() < 0.05)
        sizes.append(errors.detectable(0.05))
    power = float(np.mean(found))
    assert 0.2 < power < 0.8
    # at the size that the data name on the average the power is 80 %
    shift = float(np.mean(sizes))
    again = [
        crossed(rng.normal(0, 0.01, 6) + np.repeat([0, shift], 3), weight, np.zeros((6, 6)), range(6), "aaabbb").p()
        < 0.05
        for _ in range(4000)
    ]
    assert float(np.mean(again)) == pytest.approx(0.8, abs=0.06)


def test_gaps_of_metrics_that_move_with_prevalence_are_taken_at_one_prevalence() -> None:
    """The same scores within each class on both sides, with fewer positives outside: no gap."""
    rare = np.r_[np.flatnonzero(TRUTH == 1)[::4], np.flatnonzero(TRUTH == 0)]

    def outside(cell: TrainedCell) -> TrainedCell:
        one = Predictions("out", TRUTH[rare], np.asarray(cell.predictions.score)[rare], patient=rare)
        return TrainedCell(one, cell.chain, cell.setting)

    internal = method("a", [1.6, 1.7, 1.5], domain="in")
    external = [outside(cell) for cell in internal]
    row = statistics.method_gap(internal, external, labels=["x"], metric="average-precision")[0]
    plain = statistics.gap(
        [cell.predictions for cell in internal],
        [cell.predictions for cell in external],
        labels=["x"],
        metric="average-precision",
    )[0]
    assert row.at == plain.at == "prevalence 0.33"
    assert row.value == pytest.approx(plain.gap)
    assert row.low < 0 < row.high
    assert plain.raw > 0.1

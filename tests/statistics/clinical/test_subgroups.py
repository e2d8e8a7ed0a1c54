from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xrbench import metrics, statistics
from xrbench.errors import MeasureError


def test_groups_worst_and_gap(draw_images: Callable[..., Any]) -> None:
    data = draw_images(1, 300, 2)
    sex = np.array(["F", "M", "X"], object)[np.minimum(data.patient % 40, 2)]
    sex[data.patient % 2 == 0] = "F"
    score = data.score.copy()
    rng = np.random.default_rng(0)
    score[sex == "F"] = rng.random(score[sex == "F"].shape)
    tables = statistics.subgroups(data.truth, score, data.patient, sex, labels=["a", "b"], column="sex", minimum=20)
    assert [table.label for table in tables] == ["a", "b", "mean"]
    first = tables[0]
    assert [part.name for part in first.groups] == ["F", "M", "X"]
    shown = [part for part in first.groups if not part.suppressed]
    for part in shown:
        rows = sex == part.name
        assert part.row.value == pytest.approx(metrics.auc(data.truth[rows, 0], score[rows, 0]))
        assert part.row.n_patients == len(np.unique(data.patient[rows]))
    assert first.worst == "F"
    assert first.gap is not None
    assert first.gap.low > 0
    adjusted = statistics.gap_pvalues(tables)
    assert adjusted["a", "F"] < 0.05
    assert set(adjusted) == {(table.label, part.name) for table in tables for part in table.groups if part.behind}


def test_small_groups_show_nothing(draw_images: Callable[..., Any]) -> None:
    data = draw_images(2, 60)
    view = np.where(data.patient < 5, "LATERAL", "PA")
    table = statistics.subgroups(data.truth, data.score, data.patient, view, labels=["a"], column="view")[0]
    lateral = table.groups[0]
    assert lateral.suppressed
    assert math.isnan(lateral.row.value)
    assert (lateral.row.n_images, lateral.row.n_positive) == (0, 0)
    assert lateral.row.reason == "suppressed: fewer than 20 patients"
    assert (table.weakest, table.worst, table.gap) == ("", "", None)


def test_patients_in_two_groups_are_shared(draw_images: Callable[..., Any]) -> None:
    data = draw_images(3, 200)
    both = [np.concatenate([part, part]) for part in data]
    view = np.repeat(["AP", "PA"], len(data.truth))
    table = statistics.subgroups(both[0], both[1], both[2], view, labels=["a"], column="view")[0]
    assert table.groups[0].behind is not None
    # The same images in both groups: their difference is 0 without any doubt.
    assert (table.groups[0].behind.low, table.groups[0].behind.high) == (0.0, 0.0)


def test_missing_values_form_no_group_and_lengths_must_fit(draw_images: Callable[..., Any]) -> None:
    data = draw_images(4, 80)
    age = statistics.bands(np.where(data.patient % 4 == 0, np.nan, 20 + data.patient % 50))
    table = statistics.subgroups(data.truth, data.score, data.patient, age, labels=["a"], column="age")[0]
    assert table.n_missing == int((data.patient % 4 == 0).sum())
    assert [part.name for part in table.groups] == ["18-39", "40-59", "60-79"]
    with pytest.raises(MeasureError, match="age has 3 rows"):
        statistics.subgroups(data.truth, data.score, data.patient, ["a", "b", "c"], labels=["a"], column="age")


@pytest.mark.parametrize(
    ("metric", "worst"), [("auc", "F"), ("brier", "F"), ("mcc@threshold=0.5", "F"), ("calibration-slope", "")]
)
def test_the_worst_group_is_that_of_the_metrics_direction(metric: str, worst: str) -> None:
    rng = np.random.default_rng(6)
    truth, sex = np.tile([0.0, 1.0], 100), np.repeat(["F", "M"], 100)
    skill = np.where(sex == "F", 0.3, 2.5)
    score = 1 / (1 + np.exp(-skill * (2 * truth - 1) - rng.normal(size=200)))
    table = statistics.subgroups(truth, score, None, sex, labels=["x"], column="sex", metric=metric)[0]
    assert (table.weakest, table.worst) == (worst, worst)


def test_groups_of_a_multiclass_task_are_estimates_and_gaps_of_their_images() -> None:
    rng = np.random.default_rng(8)
    patient = np.repeat(np.arange(200), 2)
    truth = rng.integers(0, 3, 200)[patient].astype(float)
    score = np.eye(3)[truth.astype(int)] + rng.normal(size=(400, 3)) * np.where(patient < 100, 0.6, 1.4)[:, None]
    group = np.where(patient < 100, "F", np.where(patient < 195, "M", "few"))
    classes = ["nv", "mel", "bkl"]
    for metric, names in (("accuracy", ["all classes"]), ("class-recall", classes), ("auc", [*classes, "mean"])):
        tables = statistics.subgroups(
            truth, score, patient, group, labels=classes, task="multiclass", column="sex", metric=metric
        )
        assert [table.label for table in tables] == names
        female, male = group == "F", group == "M"
        rows = statistics.estimate(
            truth[female],
            score[female],
            patient[female],
            labels=classes,
            task="multiclass",
            metrics=[metric],
            level=0.95**0.5,
        )
        cells = [statistics.Cell("sex", truth[part], score[part], patient[part]) for part in (male, female)]
        gaps = statistics.gap(cells[:1], cells[1:], metric=metric, labels=classes, task="multiclass", replicates=0)
        for table, row, behind in zip(tables, rows, gaps, strict=True):
            parts = {part.name: part for part in table.groups}
            # Two groups are shown: the intervals of both hold together where each does with the root of the level.
            assert repr(parts["F"].row) == repr(replace(row, level=0.95))
            found = parts["F"].behind
            assert found is not None
            if behind.at:
                # groups of one hospital are compared as they are, hospitals at one prevalence
                raw = (behind.raw_internal, behind.raw_external, behind.raw)
                assert (found.internal, found.external, found.gap) == pytest.approx(raw)
                continue
            same = ("internal", "external", "gap", "p", "error", "unit", "caution")
            assert [getattr(found, name) for name in same] == [pytest.approx(getattr(behind, name)) for name in same]
            assert found.low <= behind.low
            assert found.high >= behind.high
            assert (parts["few"].suppressed, parts["few"].behind) == (True, None)
            assert table.weakest == "M"
            assert parts["M"].behind is not None
            assert (table.worst == "M") == (parts["M"].p_adjusted < 0.05) == (parts["M"].behind.low > 0)

"""Intervals keep patients together, and are the textbook's where every patient has one image."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from xrbench.explain.localisation_summary import (
    DIFFERENCE,
    Interval,
    agreement,
    difference,
    mean_interval,
    proportion_interval,
)
from xrbench.statistics.intervals.formulas import wilson
from xrbench.statistics.resampling.clusters import encode


def found(rows: int, seed: int, **about: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "network": "m/net",
            "method": "m",
            "model": "net",
            "train": "a",
            "seed": 0,
            "members": 1,
            "label": "Edema",
            "protocol": "external",
            "test": "b",
            "patient": [f"b/{at}" for at in range(rows)],
            "share": rng.beta(2, 4, rows),
            "area": rng.uniform(0.05, 0.15, rows),
            "hit": (rng.random(rows) < 0.6) * 1.0,
            "near": rng.uniform(0.1, 0.2, rows),
            **about,
        }
    )


def row(table: pd.DataFrame, protocol: str, figure: str) -> pd.Series:
    (one,) = (each for _, each in table[(table["protocol"] == protocol) & (table["figure"] == figure)].iterrows())
    return one


def test_a_mean_over_many_patients_has_the_error_of_the_textbook() -> None:
    values = np.random.default_rng(2).normal(0.1, 0.2, 4000)
    of = mean_interval(values, encode(np.arange(4000), 4000), 0.95, share=False)
    low, high = stats.t.interval(0.95, 3999, values.mean(), stats.sem(values))
    assert of.value == pytest.approx(values.mean())
    assert (of.low, of.high) == pytest.approx((low, high), abs=5e-4), "1,024 groups of patients instead of 4,000"


def test_a_proportion_over_patients_with_one_image_is_wilsons() -> None:
    hits = np.repeat([1.0, 0.0], [70, 30])
    of = proportion_interval(hits, encode(np.arange(100), 100), 0.95)
    low, high = wilson(0.7, 99, 0.95)
    assert of.value == pytest.approx(0.7)
    assert (of.low, of.high) == pytest.approx((low, high), abs=0.004), "Student's quantile is a little wider"


def test_copies_of_a_patients_images_say_nothing_new() -> None:
    once, twice = found(40, 3), pd.concat([found(40, 3)] * 2)
    for figure in ("share", "hit"):
        ends = [
            row(agreement(table), "external", figure)[["low", "high", "n_patients"]].tolist() for table in (once, twice)
        ]
        assert ends[0] == pytest.approx(ends[1])
    apart = twice.assign(patient=[f"b/{at}" for at in range(80)])
    narrow = row(agreement(apart), "external", "share")
    wide = row(agreement(once), "external", "share")
    assert narrow["high"] - narrow["low"] < 0.8 * (wide["high"] - wide["low"])


def test_figures_stand_against_chance() -> None:
    table = found(60, 4)
    share, hit = (row(agreement(table), "external", figure) for figure in ("share", "hit"))
    assert share["value"] == pytest.approx(table["share"].mean())
    assert share["chance"] == pytest.approx(table["area"].mean())
    assert share["above"] == pytest.approx((table["share"] - table["area"]).mean())
    assert share["above_low"] < share["above"] < share["above_high"]
    assert hit["above"] == pytest.approx(table["hit"].mean() - table["near"].mean())
    all_missed = row(agreement(table.assign(hit=0.0)), "external", "hit")
    assert all_missed["value"] == all_missed["low"] == 0
    assert 0.02 < all_missed["high"] < 0.12, "no hit in 60 images is no proof that there is none"
    assert all_missed["above_high"] == pytest.approx(all_missed["high"] - all_missed["chance"])


def test_internal_minus_external() -> None:
    """Of independent proportions the interval is Newcombe's hybrid score interval, as statsmodels has it."""
    inside = found(90, 5, protocol="internal", test="a", patient=[f"a/{at}" for at in range(90)])
    outside = found(70, 6)
    table = agreement(pd.concat([inside, outside]))
    gap = row(table, DIFFERENCE, "hit")
    assert gap["value"] == pytest.approx(inside["hit"].mean() - outside["hit"].mean())
    low, high = confint_proportions_2indep(
        int(inside["hit"].sum()), 90, int(outside["hit"].sum()), 70, method="newcomb"
    )
    assert (gap["low"], gap["high"]) == pytest.approx((low, high), abs=0.006)
    share = row(table, DIFFERENCE, "share")
    error = np.hypot(stats.sem(inside["share"]), stats.sem(outside["share"]))
    assert share["value"] == pytest.approx(inside["share"].mean() - outside["share"].mean())
    assert share["high"] - share["low"] == pytest.approx(2 * 1.98 * error, rel=0.06)
    assert gap["n_images"] == 160


def test_every_column_of_a_difference_is_internal_minus_external() -> None:
    """Each external test set against all internal images: figures, chance levels and figures above chance alike."""
    inside = found(60, 10, protocol="internal", test="a", patient=[f"a/{at}" for at in range(60)])
    inside = inside.assign(area=inside["area"] + 0.3, near=inside["near"] + 0.2, share=inside["share"] + 0.2)
    outside = {test: found(50, seed, test=test) for test, seed in (("b", 11), ("c", 12))}
    table = agreement(pd.concat([inside, *outside.values()]))
    for test, other in outside.items():
        of_test = table[table["test"] == test]
        for figure, chance in (("share", "area"), ("hit", "near")):
            gap = row(of_test, DIFFERENCE, figure)
            above = [(rows[figure] - rows[chance]).mean() for rows in (inside, other)]
            assert gap["value"] == pytest.approx(inside[figure].mean() - other[figure].mean())
            assert gap["chance"] == pytest.approx(inside[chance].mean() - other[chance].mean())
            assert gap["above"] == pytest.approx(above[0] - above[1])
            assert gap["low"] < gap["value"] < gap["high"]
            assert gap["above_low"] < gap["above"] < gap["above_high"]


def test_each_map_stands_against_the_chance_level_of_its_own_image() -> None:
    """The interval is that of paired differences, not of shares that are moved by a mean."""
    table = found(900, 13)
    table["share"] = table["area"] + np.random.default_rng(14).normal(0.1, 0.02, len(table))
    share = row(agreement(table), "external", "share")
    extra = table["share"] - table["area"]
    expected = stats.t.interval(0.95, len(table) - 1, extra.mean(), stats.sem(extra))
    assert (share["above_low"], share["above_high"]) == pytest.approx(expected, abs=1e-4)
    moved = stats.sem(table["share"]) / stats.sem(extra)
    assert moved > 1.5, "the two intervals can be told apart"


def test_a_difference_turns_its_sign_with_its_sides() -> None:
    a, b = Interval(0.6, 0.5, 0.65), Interval(0.2, 0.1, 0.35)
    one, other = difference(a, b), difference(b, a)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_maps_that_point_nowhere_are_counted_and_left_out() -> None:
    table = found(20, 7)
    table.loc[:4, ["share", "hit"]] = np.nan
    share = row(agreement(table), "external", "share")
    assert (share["n_images"], share["n_empty"]) == (15, 5)
    assert share["value"] == pytest.approx(table["share"].iloc[5:].mean())
    none = row(agreement(table.assign(share=np.nan)), "external", "share")
    assert np.isnan(none["value"])
    assert none["reason"] == "no map points anywhere"


def test_one_patient_has_no_interval() -> None:
    one = row(agreement(found(5, 8, patient="b/1")), "external", "share")
    assert np.isfinite(one["value"])
    assert np.isnan([one["low"], one["high"]]).all()
    assert one["reason"] == "interval: there is one patient only"


def test_images_stand_for_themselves_where_no_patient_is_known() -> None:
    assert row(agreement(found(12, 9, patient=None)), "external", "share")[["unit", "n_patients"]].tolist() == [
        "image",
        12,
    ]

"""When a claim holds, when it does not, and when nothing can be told: by p-values worked out by hand."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from xrbench.report.claims.verdict import Verdict, adjusted, counted, figures, unanswered, weighed
from xrbench.report.effects import Contrast


def part(difference: float, p: float, *, error: float = 0.01, name: str = "Edema", caution: str = "") -> Contrast:
    return Contrast(
        name, difference, 0.0, difference, difference - 0.02, difference + 0.02, p, error, 100, 50, "", caution
    )


def outcome(*parts: Contrast, direction: str = "positive", margin: float = 0.0) -> tuple[str, float, float]:
    found = weighed("t", parts, direction=direction, test="x", margin=margin)  # type: ignore[arg-type]
    return found.outcome, found.support, found.against


def test_every_difference_must_show_it() -> None:
    assert outcome(part(0.1, 0.001), part(0.2, 0.04)) == ("holds", 0.04, 1.0)
    assert outcome(part(0.1, 0.001), part(0.2, 0.06))[0] == "cannot tell"


def test_one_contrary_difference_is_enough_after_an_allowance_for_their_number() -> None:
    verdict, support, against = outcome(part(0.1, 0.001), part(-0.1, 0.01), part(0.1, 0.2))
    assert (verdict, support) == ("does not hold", 1.0)
    assert against == pytest.approx(3 * 0.01)
    assert outcome(part(0.1, 0.001), part(-0.1, 0.03), part(0.1, 0.2))[0] == "cannot tell"


def test_a_tie_shows_nothing() -> None:
    assert outcome(part(0.0, 1.0), part(0.1, 0.001)) == ("cannot tell", 1.0, 1.0)


def test_directions() -> None:
    assert outcome(part(-0.1, 0.01), direction="negative")[0] == "holds"
    assert outcome(part(0.1, 0.01), direction="negative")[0] == "does not hold"
    assert outcome(part(-0.1, 0.01), direction="differs")[0] == "holds"
    # That no difference was found does not make two things the same.
    assert outcome(part(0.001, 0.9), direction="differs") == ("cannot tell", 0.9, 1.0)


def test_alike_is_two_one_sided_tests() -> None:
    verdict, support, against = outcome(part(0.005, 0.6, error=0.005), direction="alike", margin=0.02)
    # The nearer bound is 0.015 away: three errors.
    assert support == pytest.approx(stats.norm.sf(3))
    assert (verdict, against) == ("holds", 1.0)
    verdict, support, against = outcome(part(0.05, 0.001, error=0.01), direction="alike", margin=0.02)
    # 0.03 beyond the bound: three errors, two-sided.
    assert against == pytest.approx(2 * stats.norm.sf(3))
    assert verdict == "does not hold"
    # Wide of the mark either way: too little data.
    assert outcome(part(0.01, 0.8, error=0.05), direction="alike", margin=0.02)[0] == "cannot tell"


def test_alike_without_a_margin_never_holds() -> None:
    assert outcome(part(0.0, 1.0, error=0.001), direction="alike")[0] == "cannot tell"


def test_the_same_predictions_are_alike() -> None:
    assert outcome(part(0.0, 1.0, error=0.0), direction="alike", margin=0.01)[0] == "holds"
    assert outcome(part(0.0, 1.0, error=0.0))[0] == "cannot tell"


def test_nothing_measured_says_so() -> None:
    nan = math.nan
    assert weighed("t", [], direction="positive", test="x").figures == "not measured"
    lone = Contrast("a", nan, nan, nan, nan, nan, nan, nan, reason="no internal cell has a value")
    found = weighed("t", [lone], direction="positive", test="x")
    assert (found.outcome, found.figures) == ("cannot tell", "no internal cell has a value")
    assert math.isnan(found.support)
    # A difference that is missing among others keeps the claim from holding, and not from failing.
    assert outcome(lone, part(0.1, 0.001))[0] == "cannot tell"
    assert outcome(lone, part(-0.1, 0.001))[0] == "does not hold"


def test_cautions_are_kept_once() -> None:
    found = weighed(
        "t", [part(0.1, 0.01, caution="few"), part(0.1, 0.01, caution="few")], direction="positive", test="x"
    )
    assert found.caution == "few"


def test_figures_of_several_count_signs_and_ties() -> None:
    parts = [part(0.1, 0.1), part(0.0, 1.0), part(-0.05, 0.2), part(math.nan, math.nan)]
    assert figures(parts) == "1 of 4 above 0, 1 below, 1 at 0, 1 not measured; -0.050 … +0.100"


def test_holm_over_the_claims_that_were_tested() -> None:
    family = [
        weighed("first", [part(0.1, 0.03)], direction="positive", test="x"),
        weighed("second", [part(0.1, 0.01)], direction="positive", test="x"),
        counted("a fact", holds=True, test="counted", figures="1", n="1"),
        unanswered("nothing", test="none", reason="not measured"),
        weighed("third", [part(-0.1, 0.001)], direction="positive", test="x"),
    ]
    assert [one.outcome for one in family] == ["holds", "holds", "holds", "cannot tell", "does not hold"]
    found = adjusted(family, level=0.95)
    # Three tests: for the claims 3 x 0.01, 2 x 0.03 and 1; against them 3 x 0.001.
    assert [one.support for one in found if not math.isnan(one.support)] == pytest.approx([0.06, 0.03, 1.0])
    assert [one.outcome for one in found] == ["cannot tell", "holds", "holds", "cannot tell", "does not hold"]
    assert found[-1].against == pytest.approx(0.003)


def test_a_fact_stays_a_fact_in_any_family() -> None:
    false = counted("a fact", holds=False, test="counted", figures="1", n="1")
    assert adjusted([false], level=0.95) == [false]
    assert isinstance(false, Verdict)
    assert false.outcome == "does not hold"

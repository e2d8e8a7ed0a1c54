"""The verdict on a claim: it holds, it does not hold, or the data cannot tell.

A claim is a set of differences that should all be on one side of 0, or all within a margin of it. Each difference has a p-value for
the claim and one against it, and

* the claim *holds* when every difference shows it: the largest p-value counts (intersection-union test: Berger 1982, Technometrics
  24:295), so no allowance for their number is needed;
* it *does not hold* when one difference shows the contrary, with Bonferroni's allowance for how many there are.

Within a family of claims both kinds of p-values are adjusted for the number of claims. That a difference was not found never makes two
things alike: for that, the claim needs a margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from scipy import special

from xrbench import statistics
from xrbench.cards import Claim
from xrbench.rendering.numbers import number, p_text, signed, signed_interval
from xrbench.report.effects import Contrast
from xrbench.report.run_folder import Run

HOLDS: Final = "holds"
FAILS: Final = "does not hold"
OPEN: Final = "cannot tell"
Outcome = Literal["holds", "does not hold", "cannot tell"]
Direction = Literal["positive", "negative", "differs", "alike"]


@dataclass(frozen=True)
class Verdict:
    """The verdict of a run on a claim.

    Attributes:
        text: The claim.
        outcome: ``holds``, ``does not hold`` or ``cannot tell``.
        test: Description of the test.
        figures: The differences as text.
        n: Numbers of images and patients as text.
        support: p-value for the claim: small when the data show it; NaN where nothing was tested.
        against: p-value against it: small when the data show the contrary.
        caution: What to know before trusting it; else empty.
        parts: The differences behind it.
        given: Sentences on methods whose seeds share one parent, for which alone it holds.
    """

    text: str
    outcome: Outcome
    test: str
    figures: str
    n: str
    support: float = math.nan
    against: float = math.nan
    caution: str = ""
    parts: tuple[Contrast, ...] = ()
    given: tuple[str, ...] = ()


def weighed(
    text: str,
    parts: Sequence[Contrast],
    *,
    direction: Direction,
    test: str,
    margin: float = 0.0,
    level: float = 0.95,
) -> Verdict:
    """Test a claim by its differences, all of which it is about.

    Args:
        text: The claim.
        parts: Differences; those without a p-value show nothing.
        direction: Whether they should be above 0 (``positive``), below (``negative``), other than 0 (``differs``), or within the
            margin of 0 (``alike``).
        test: Description of the test.
        margin: The smallest difference that matters, in the metric's units; ``alike`` needs one.
        level: Confidence level.
    """
    if not parts or all(math.isnan(part.p) and part.error != 0 for part in parts):
        reasons = "; ".join(dict.fromkeys(part.reason for part in parts if part.reason))
        return Verdict(text, OPEN, test, reasons or "not measured", "–", parts=tuple(parts))
    support = max(_p(part, direction, margin, claimed=True) for part in parts)
    against = min(1.0, len(parts) * min(_p(part, direction, margin, claimed=False) for part in parts))
    cautions = "; ".join(dict.fromkeys(part.caution for part in parts if part.caution))
    return Verdict(
        text=text,
        outcome=decided(support, against, level),
        test=test,
        figures=figures(parts),
        n=behind(parts),
        support=support,
        against=against,
        caution=cautions,
        parts=tuple(parts),
    )


def verdict_on(
    run: Run,
    claim: Claim,
    parts: Sequence[Contrast],
    test: str,
    *,
    direction: Direction = "positive",
    margin: float = 0.0,
) -> Verdict:
    """Test a claim at the level of the suite's intervals; arguments as for ``weighed``."""
    level = run.suite.interval.level
    return weighed(claim.text, parts, direction=direction, test=test, margin=margin, level=level)


def counted(text: str, holds: bool, *, test: str, figures: str, n: str) -> Verdict:
    """Decide a claim about what the data are, which needs no test."""
    return Verdict(text, HOLDS if holds else FAILS, test, figures, n)


def unanswered(text: str, *, test: str, reason: str) -> Verdict:
    """Say that a claim cannot be answered, and why."""
    return Verdict(text, OPEN, test, reason, "–")


def decided(support: float, against: float, level: float) -> Outcome:
    """Decide by the p-values for and against a claim.

    >>> decided(0.01, 1.0, 0.95), decided(1.0, 0.01, 0.95), decided(0.2, 0.4, 0.95)
    ('holds', 'does not hold', 'cannot tell')
    """
    if support < 1 - level:
        return HOLDS
    return FAILS if against < 1 - level else OPEN


def adjusted(verdicts: Sequence[Verdict], *, level: float, method: str = "holm") -> list[Verdict]:
    """Adjust the p-values of a family of claims for their number, and decide again; facts and what was not tested stay.

    Args:
        verdicts: The family.
        level: Confidence level.
        method: ``holm`` or ``bh``.
    """
    support = statistics.adjust([verdict.support for verdict in verdicts], method).astype(float).tolist()
    against = statistics.adjust([verdict.against for verdict in verdicts], method).astype(float).tolist()
    return [
        verdict
        if math.isnan(verdict.support)
        else replace(verdict, support=yes, against=no, outcome=decided(yes, no, level))
        for verdict, yes, no in zip(verdicts, support, against, strict=True)
    ]


def figures(parts: Sequence[Contrast]) -> str:
    """Write differences as text: a single one in full, several by their signs and the smallest and largest.

    >>> figures([Contrast("Edema", 0.85, 0.80, 0.05, 0.02, 0.08, 0.001, 0.015)])
    '0.850 against 0.800: +0.050 (+0.020 … +0.080), p 0.001'
    >>> figures([Contrast("a", 1, 0, 0.05, 0, 0, 0.1, 0.1), Contrast("b", 1, 1, -0.01, 0, 0, 0.1, 0.1)])
    '1 of 2 above 0, 1 below; -0.010 … +0.050'
    """
    known = [part for part in parts if not math.isnan(part.difference)]
    if not known:
        return "not measured"
    if len(parts) == 1:
        return f"{number(known[0].first, 3)} against {number(known[0].second, 3)}: {_difference(known[0])}, p {p_text(known[0].p)}"
    above, below = sum(part.difference > 0 for part in known), sum(part.difference < 0 for part in known)
    counts = {"below": below, "at 0": len(known) - above - below, "not measured": len(parts) - len(known)}
    words = "".join(f", {many} {word}" for word, many in counts.items() if many)
    ends = [part.difference for part in known]
    return f"{above} of {len(parts)} above 0{words}; {signed(min(ends))} … {signed(max(ends))}"


def behind(parts: Sequence[Contrast]) -> str:
    """Write the number of images and patients of differences; the largest where they differ.

    >>> behind([Contrast("a", 1, 1, 0, 0, 0, 1, 0.1, images=1200, patients=300)])
    '1,200 images of 300 patients'
    """
    most = max(parts, key=lambda part: part.images)
    of = "" if math.isnan(most.patients) else f" of {int(most.patients):,} patients"
    several = "up to " if len({part.images for part in parts}) > 1 else ""
    return f"{several}{most.images:,} images{of}"


def _difference(part: Contrast) -> str:
    shown = "" if math.isnan(part.low) else f" ({signed_interval(part.low, part.high)})"
    return f"{signed(part.difference)}{shown}"


def _p(part: Contrast, direction: Direction, margin: float, *, claimed: bool) -> float:
    """Return the p-value of a difference for the claim, or against it; 1 where it shows nothing."""
    if direction == "alike":
        return _within(part, margin) if claimed else _beyond(part, margin)
    if math.isnan(part.p):
        return 1.0
    if direction == "differs":
        return part.p if claimed else 1.0
    # The two-sided p-value counts for the claim on the claimed side of 0, and against it on the other.
    side = part.difference if (direction == "positive") == claimed else -part.difference
    return part.p if side > 0 else 1.0


def _within(part: Contrast, margin: float) -> float:
    """Return the larger p-value of two one-sided tests (Schuirmann 1987, J Pharmacokinet Biopharm 15:657)."""
    if math.isnan(part.error) or margin <= 0:
        return 1.0
    room = margin - abs(part.difference)
    if part.error == 0:
        return 0.0 if room > 0 else 1.0
    return float(special.ndtr(-room / part.error))


def _beyond(part: Contrast, margin: float) -> float:
    """Return the two-sided p-value of a difference that is no larger than the margin."""
    over = abs(part.difference) - margin
    if math.isnan(part.error) or over <= 0:
        return 1.0
    return float(2 * special.ndtr(-over / part.error)) if part.error > 0 else 0.0

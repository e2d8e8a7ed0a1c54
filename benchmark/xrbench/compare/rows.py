"""Values of a comparison: its options, its rows, and the sections that hold them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from xrbench.compare.across_runs import SignedRow
from xrbench.compare.hypotheses import SUPERIORITY, Errors
from xrbench.errors import UsageError
from xrbench.metrics import MetricSpec, parse, parse_classes
from xrbench.progress import Reporter
from xrbench.statistics.options import ResamplingFields

About = Literal["methods", "networks"]
"""What a conclusion is about: methods, trained anew (trainings and patients vary), or these networks (patients vary)."""
METHODS: About = "methods"
NETWORKS: About = "networks"
QUESTIONS = (METHODS, NETWORKS)


@dataclass(frozen=True)
class CompareOptions:
    """Options of a comparison.

    Attributes:
        metric: Name of the metric.
        margin: Smallest difference that matters.
        level: Confidence level.
        replicates: Bootstrap replicates.
        seed: Names the bootstrap's streams.
        adjustment: How p-values are adjusted for the number of rows: ``holm`` or ``bh``.
        across: Whether settings are also tested as a whole (signed ranks, ranks).
        about: ``methods`` or ``networks``; None asks about methods where methods are compared, and about networks where runs are.
    """

    metric: str = "auc"
    margin: float = 0.0
    level: float = 0.95
    replicates: int = 1000
    seed: int = 0
    adjustment: str = "holm"
    across: bool = False
    about: About | None = None

    def resampling(self, reporter: Reporter | None = None) -> ResamplingFields:
        """Return level, replicates, seed and reporter as keywords of the statistics."""
        return {"level": self.level, "replicates": self.replicates, "seed": self.seed, "reporter": reporter}


def spec_of(metric: str) -> MetricSpec:
    """Read a metric's name as either task understands it.

    Raises:
        UsageError: No such metric.
    """
    try:
        return parse(metric)
    except UsageError:
        try:
            return parse_classes(metric)
        except UsageError:
            pass
        raise


@dataclass(frozen=True)
class Row:
    """The difference b minus a of one label, averaged over the cells of a section.

    Attributes:
        label: The label, or ``mean``.
        settings, cells: How many settings and cells have a value on both sides.
        value_a, value_b, difference, low, high, error: Means, their difference, its interval and standard error. Where rows are
            judged as a family, the interval is at the family's level: it excludes 0 exactly where ``p_adjusted`` is below one minus
            the level.
        p, p_adjusted: Two-sided; adjusted over the family of all rows of the comparison.
        p_bootstrap, p_delong: Two-sided, of a paired patient bootstrap, and (for the AUC in a single cell) after DeLong.
        p_question, answer: Of the declared question: its p-value, adjusted over the family, and whether it is shown.
        detectable: Smallest true difference that this verdict would show with 80 % power, if no other row of its family differs.
        verdict: In words, after adjustment.
        undefined: Cells in which a has a value and b has none.
        n_positive, n_negative, n_images, n_patients: Counts behind it; NaN when only scores are known.
        caution, reason: Limits of the interval; why there is no value, or no interval.
        low_alone, high_alone: Interval of this row as the only one.
        trainings: Fewest trainings of a side in a setting; NaN where the row is about networks.
        over: What is repeated: ``trainings``, or ``settings`` where each was trained once; empty where the row is about networks.
        errors: Where interval and p-values come from; None where there are none.
    """

    label: str
    settings: int
    cells: int
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    error: float
    p: float
    detectable: float
    p_bootstrap: float = math.nan
    p_delong: float = math.nan
    p_adjusted: float = math.nan
    p_question: float = math.nan
    answer: str = ""
    verdict: str = ""
    undefined: tuple[str, ...] = ()
    n_positive: float = math.nan
    n_negative: float = math.nan
    n_images: float = math.nan
    n_patients: float = math.nan
    caution: str = ""
    reason: str = ""
    low_alone: float = math.nan
    high_alone: float = math.nan
    trainings: float = math.nan
    over: str = ""
    errors: Errors | None = field(default=None, repr=False, compare=False)

    def plain(self) -> dict[str, Any]:
        """Return its values, for JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "errors"}


@dataclass(frozen=True)
class SideGap:
    """Gap of one side, internal minus external.

    Attributes:
        metric: Name of the metric.
        gap, low, high: The gap with its interval.
        reason: Why there is none.
        at: What both sides are standardised to; empty for metrics that do not move with prevalence.
    """

    metric: str
    gap: float
    low: float
    high: float
    reason: str = ""
    at: str = ""


@dataclass(frozen=True)
class Section:
    """The rows of one method (or pair of methods) under one protocol.

    Attributes:
        title: What is subtracted from what.
        method, model, protocol: Of side b.
        paired: Whether the two sides are compared on the same patients.
        rows: One a label, then ``mean``.
        gaps: Internal minus external of b, then of a; empty where it is not known.
        notes: Images and cells that were left out.
        fewer: Cells in which b lacks test images that a has.
        question, margin: The declared claim about b, and the smallest difference that matters to it.
        signed: One row a label over settings; empty unless asked for.
        given: Sentences on sides whose seeds share one parent, for which alone the verdicts hold.
        about: Whether its verdicts are about ``methods`` or these ``networks``.
    """

    title: str
    method: str
    model: str
    protocol: str
    paired: bool
    rows: tuple[Row, ...]
    gaps: tuple[SideGap, ...] = ()
    notes: tuple[str, ...] = ()
    fewer: tuple[str, ...] = ()
    question: str = SUPERIORITY
    margin: float = 0.0
    signed: tuple[SignedRow, ...] = ()
    given: tuple[str, ...] = ()
    about: About = NETWORKS

    def plain(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON; ``given`` only where a parent is shared."""
        kept = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "given" or self.given}
        return {
            **kept,
            "rows": [row.plain() for row in self.rows],
            "gaps": [asdict(gap) for gap in self.gaps],
            "signed": [asdict(row) for row in self.signed],
        }

"""Values of a comparison: its options, its rows, and the sections that hold them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xrbench import statistics
from xrbench.compare.across_runs import SignedRow
from xrbench.compare.hypotheses import SUPERIORITY
from xrbench.errors import UsageError
from xrbench.metrics import MetricSpec, parse, parse_classes
from xrbench.progress import Reporter
from xrbench.statistics.options import ResamplingFields


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
    """

    metric: str = "auc"
    margin: float = 0.0
    level: float = 0.95
    replicates: int = 1000
    seed: int = 0
    adjustment: str = "holm"
    across: bool = False

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
        value_a, value_b, difference, low, high, error: Means, their difference, its interval and standard error.
        p, p_adjusted: Two-sided, from the jackknife; adjusted over the family of all rows of the comparison.
        p_bootstrap, p_delong: Two-sided, of a paired patient bootstrap, and (for the AUC in a single cell) after DeLong.
        p_question, answer: Of the declared question: its p-value, adjusted over the family, and whether it is shown.
        detectable: Smallest true difference that such data would show with 80 % power.
        verdict: In words, after adjustment.
        undefined: Cells in which a has a value and b has none.
        n_positive, n_negative, n_images, n_patients: Counts behind it; NaN when only scores are known.
        caution, reason: Limits of the interval; why there is no value.
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
    """

    title: str
    method: str
    model: str
    protocol: str
    paired: bool
    rows: tuple[Row, ...]
    gaps: tuple[statistics.Gap, ...] = ()
    notes: tuple[str, ...] = ()
    fewer: tuple[str, ...] = ()
    question: str = SUPERIORITY
    margin: float = 0.0
    signed: tuple[SignedRow, ...] = ()
    given: tuple[str, ...] = ()

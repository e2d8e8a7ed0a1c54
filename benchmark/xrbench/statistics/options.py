"""Options that the functions of this package share: which interval, how sure, and how it is computed.

Public functions take them as keywords (``level=0.9, seed=1``) and turn them into one frozen value in their first line.
``gap`` and ``compare`` have one kind of interval and take the keywords of ``ResamplingFields``; functions that compute estimates
take all of ``OptionFields``. ``from_card`` gives the keywords that a suite's card asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, Unpack

from xrbench import blocks
from xrbench.cards import Interval
from xrbench.errors import UsageError, suggestion
from xrbench.progress import Reporter
from xrbench.statistics.intervals.formulas import check_level

KINDS = ("default", *blocks.BLOCKS["interval"])
"""Kinds of interval that come with xrbench; ``intervals.interval_kinds`` describes them."""


class ResamplingFields(TypedDict, total=False):
    """Keywords of ``Resampling``, for signatures."""

    level: float
    replicates: int
    seed: int
    threads: int | None
    reporter: Reporter | None


class OptionFields(ResamplingFields, total=False):
    """Keywords of ``Options``, for signatures."""

    kind: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How patients are resampled, and the confidence level.

    Attributes:
        level: Confidence level of intervals and verdicts, between 0 and 1.
        replicates: Bootstrap replicates.
        seed: Names the random streams of the replicates; calls with the same seed and patients draw the same replicates.
        threads: Threads at most, None for all cores; the results do not depend on it.
        reporter: Where a progress bar goes when the work takes longer than about a second.

    Raises:
        UsageError: ``level`` or ``replicates`` is out of range.
    """

    level: float = 0.95
    replicates: int = 1000
    seed: int = 0
    threads: int | None = None
    reporter: Reporter | None = None

    def __post_init__(self) -> None:
        # Without replicates there is still a jackknife interval.
        if self.replicates < 0:
            raise UsageError(f"replicates {self.replicates} is below 0")
        check_level(self.level)


@dataclass(frozen=True, kw_only=True)
class Options(Resampling):
    """How estimates get their intervals.

    Attributes:
        kind: Kind of interval, one of ``KINDS`` or of an installed package's; one that does not apply to a metric gives way to the
            default.
        unit: ``patient``, or ``image`` to treat images as independent although patients are known.

    Raises:
        UsageError: ``kind``, ``level`` or ``replicates`` is unknown or out of range.

    >>> Options(kind="jacknife")
    Traceback (most recent call last):
        ...
    xrbench.errors.UsageError: unknown kind of interval 'jacknife'; did you mean 'jackknife'?
    """

    kind: str = "default"
    unit: str = "patient"

    def __post_init__(self) -> None:
        if self.kind not in KINDS and self.kind not in blocks.known("interval"):
            raise UsageError(f"unknown kind of interval {self.kind!r}{suggestion(self.kind, KINDS)}")
        if self.replicates < 1:
            raise UsageError(f"replicates {self.replicates} is below 1")
        super().__post_init__()


def from_card(interval: Interval, **others: Unpack[OptionFields]) -> OptionFields:
    """Turn the interval of a suite's card into keywords of the functions that take ``OptionFields``.

    Args:
        interval: Gives ``kind``, ``unit``, ``replicates`` and ``level``.
        others: Further options; they replace those of the card.

    >>> from_card(Interval(kind="wilson"), seed=3)
    {'kind': 'wilson', 'unit': 'patient', 'replicates': 1000, 'level': 0.95, 'seed': 3}
    """
    card: OptionFields = {
        "kind": interval.kind,
        "unit": interval.unit,
        "replicates": interval.replicates,
        "level": interval.level,
    }
    return {**card, **others}

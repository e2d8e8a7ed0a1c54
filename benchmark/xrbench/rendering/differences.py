"""How differences are written: with a sign, an interval, a p-value, in columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

SIDES: Mapping[str, Callable[[str, int], str]] = {"l": str.ljust, "r": str.rjust, "c": str.center}
"""Letter of an alignment -> how a text is padded to a width."""


def aligned(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Write rows of texts in columns with two spaces between.

    Args:
        rows: Texts, as many in each row.
        align: One of ``l``, ``r``, ``c`` for each column.

    >>> aligned([("label", "AUC"), ("Edema", "0.9")], "lr")
    ['label  AUC', 'Edema  0.9']
    """
    widths = [max(map(len, texts)) for texts in zip(*rows, strict=True)]
    padded = ([SIDES[side](text, width) for text, width, side in zip(row, widths, align, strict=True)] for row in rows)
    return ["  ".join(texts).rstrip() for texts in padded]


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign.

    >>> signed(0.0312), signed(-0.061), signed(float("nan"))
    ('+0.031', '-0.061', 'n/a')
    """
    return "n/a" if math.isnan(value) else f"{round(value, digits) + 0.0:+.{digits}f}"


def between(low: float, high: float, digits: int = 3) -> str:
    """Write the interval of a difference.

    >>> between(0.012, 0.049)
    '+0.012 … +0.049'
    """
    return "n/a" if math.isnan(low) or math.isnan(high) else f"{signed(low, digits)} … {signed(high, digits)}"


def with_interval(value: float, low: float, high: float) -> str:
    """Write a difference and its interval.

    >>> with_interval(-0.061, -0.083, -0.040)
    '-0.061 (-0.083 … -0.040)'
    """
    return f"{signed(value)} ({between(low, high)})"


def p_text(p: float) -> str:
    """Write a p-value with two digits that say something.

    >>> p_text(0.0042), p_text(0.811), p_text(0.00001), p_text(1.0)
    ('0.0042', '0.81', '<0.001', '1')
    """
    if math.isnan(p):
        return "n/a"
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def many(number: int, thing: str) -> str:
    """Write a number of things.

    >>> many(1, "comparison"), many(1200, "comparison")
    ('1 comparison', '1,200 comparisons')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

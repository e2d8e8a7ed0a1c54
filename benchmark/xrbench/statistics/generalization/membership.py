"""Membership model: how likely an image of a class is external, given age, sex, view and other findings.

Its odds are the weights that give internal images the external case mix (Vergouwe et al. 2010, Am J Epidemiol 172:971; Debray et al. 2015,
J Clin Epidemiol 68:279; the weights are those of the odds of participation, Westreich et al. 2017, Am J Epidemiol 186:1010).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.metrics.checks import FloatArray

KNOWN = 0.9
"""A variable takes part where at least this share of the images of either side has a value."""
PENALTY = 0.1
"""Ridge penalty of the standardised coefficients: no more than a tenth of an image a coefficient, but finite where a value is of one side
alone."""
STEPS = 50
SQUARED = " squared"

Column = npt.NDArray[np.object_] | FloatArray


class Design(NamedTuple):
    """Case-mix variables of internal and external images, as columns of numbers.

    Attributes:
        internal: Shape (internal images, columns), standardised over both sides.
        external: Shape (external images, columns).
        columns: Name of each column, such as ``age`` or ``view=PA``.
        used: Variables that take part.
        left_out: Variables that do not: too often unknown, or without variation.
    """

    internal: FloatArray
    external: FloatArray
    columns: tuple[str, ...]
    used: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def linear(self) -> npt.NDArray[np.bool_]:
        """Columns that are no squares, shape (columns,)."""
        return np.array([not name.endswith(SQUARED) for name in self.columns], np.bool_)


def design(internal: Mapping[str, npt.ArrayLike], external: Mapping[str, npt.ArrayLike]) -> Design:
    """Lay out the case-mix variables that both sides have.

    Numbers stand with their square, other values as one column each but the most frequent. Unknown values take the median, or the most
    frequent value, of their side; a variable that is unknown in more than a tenth of the images of a side takes no part.

    Args:
        internal: Variable -> a value for each image (NaN or None where unknown), shape (n,).
        external: Likewise, shape (m,).

    >>> laid = design({"sex": ["F", "M", "F"], "age": [50, 60, 70]}, {"sex": ["M", "M"], "age": [80, None]})
    >>> laid.columns, laid.used, laid.left_out  # half of the external ages are unknown
    (('sex=F',), ('sex',), ('age',))
    """
    columns: dict[str, FloatArray] = {}
    used = []
    for name in internal:
        sides = [pd.Series(np.asarray(side.get(name, []), object)) for side in (internal, external)]
        if not all(len(side) and side.notna().mean() >= KNOWN for side in sides):
            continue
        made = {column: values for column, values in _columns(name, sides).items() if np.ptp(values) > 0}
        used += [name] if made else []
        columns |= made
    rows = [len(np.asarray(next(iter(side.values())))) if side else 0 for side in (internal, external)]
    table = np.stack(list(columns.values()), axis=1) if columns else np.zeros((sum(rows), 0))
    spread = table.std(axis=0) if len(table) else np.ones(table.shape[1])
    table = (table - table.mean(axis=0)) / spread if columns else table
    left_out = tuple(name for name in internal if name not in used)
    return Design(table[: rows[0]], table[rows[0] :], tuple(columns), tuple(used), left_out)


def _columns(name: str, sides: list[pd.Series]) -> dict[str, FloatArray]:
    """Turn one variable of both sides into columns of numbers, shape (n + m,) each."""
    numbers = [pd.to_numeric(side, errors="coerce") for side in sides]
    if all(number.notna().sum() == side.notna().sum() for number, side in zip(numbers, sides, strict=True)):
        filled = np.concatenate([number.fillna(number.median()).to_numpy(np.float64) for number in numbers])
        square = (filled - filled.mean()) ** 2
        return {name: filled, name + SQUARED: square} if len(np.unique(filled)) > 2 else {name: filled}
    texts = np.concatenate([side.fillna(side.mode().iloc[0]).astype(str).to_numpy() for side in sides])
    values, counts = np.unique(texts, return_counts=True)
    return {
        f"{name}={value}": (texts == value).astype(np.float64) for value in values if value != values[np.argmax(counts)]
    }


def fit(
    x: FloatArray, member: npt.NDArray[np.bool_], weights: FloatArray, start: FloatArray | None = None
) -> FloatArray:
    """Fit a logistic regression with a small ridge penalty by Newton's method.

    Args:
        x: Standardised columns, shape (n, columns).
        member: Whether each row is external, shape (n,).
        weights: How often each row counts, shape (n,).
        start: Coefficients to start from.

    Returns:
        Intercept, which is not penalised, and coefficients, shape (1 + columns,).

    >>> fit(np.zeros((4, 0)), np.array([True, True, True, False]), np.ones(4)).round(4)  # log 3
    array([1.0986])
    """
    full = np.column_stack([np.ones(len(x)), x])
    penalty = np.full(full.shape[1], PENALTY)
    penalty[0] = 0.0
    beta: FloatArray = np.zeros(full.shape[1]) if start is None else start
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(full @ beta, -500, 500)))
        slope = full.T @ (weights * (member - p)) - penalty * beta
        curve = (full * (weights * p * (1 - p))[:, None]).T @ full + np.diag(penalty)
        step = np.asarray(np.linalg.solve(curve, slope))
        # Newton's step overshoots where the classes are nearly apart: it is kept within a distance that cannot.
        beta = beta + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-8:
            break
    return beta


def odds(x: FloatArray, beta: FloatArray) -> FloatArray:
    """Compute each row's odds of being external, shape (n,)."""
    return np.asarray(np.exp(np.clip(beta[0] + x @ beta[1:], -500, 500)))

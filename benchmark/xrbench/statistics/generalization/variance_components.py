"""Variance components: how much of the variance of scores comes from method, setting, test domain and seed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xrbench.errors import MeasureError

RESIDUAL = "rest"


@dataclass(frozen=True)
class Variances:
    """Components of the variance of scores.

    Attributes:
        parts: Source -> variance, in the metric's units squared; ``rest`` is what no source explains.
        shares: Source -> share of the sum, 0..1.
        mean: Grand mean.
        n: Scores that were used.
        converged: Whether the fit converged; if not, the components mean nothing.
    """

    parts: Mapping[str, float]
    shares: Mapping[str, float]
    mean: float
    n: int
    converged: bool


def decompose(values: Sequence[float], sources: Mapping[str, Sequence[Any]], *, metric: str = "auc") -> Variances:
    """Split the variance of scores into crossed random effects by restricted maximum likelihood, through statsmodels.

    The model is ``score = mean + one effect for each level of each source + rest`` (Patterson & Thompson 1971, Biometrika
    58:545); Bouthillier et al. (2021), MLSys, on why benchmarks need it. A source with few levels is known poorly.

    Args:
        values: One score a row, shape (n,); NaN are left out.
        sources: Name (such as ``seed``, ``setting``, ``test``, ``method``) -> its level in each row.
        metric: Name of the figure, for messages.

    Raises:
        MeasureError: Lengths differ, a source has a single level, or there are too few scores.

    >>> rows = [(m, s, 0.80 + 0.05 * m + 0.002 * (m * s % 3)) for m in range(4) for s in range(5)]
    >>> variances = decompose([r[2] for r in rows], {"method": [r[0] for r in rows], "seed": [r[1] for r in rows]})
    >>> max(variances.shares, key=variances.shares.get), variances.n
    ('method', 20)
    """
    scores = np.asarray(values, np.float64)
    defined = ~np.isnan(scores)
    levels = {name: _levels(name, column, len(scores))[defined] for name, column in sources.items()}
    scores = scores[defined]
    for name, column in levels.items():
        if len(np.unique(column)) < 2:
            raise MeasureError(f"{metric}: {name} has a single value, so nothing varies with it")
    n = len(scores)
    if n <= len(levels) + 2:
        raise MeasureError(f"{metric}: {n} scores are too few for {len(levels)} sources of variance")
    mean, spread = float(scores.mean()), float(scores.std())
    if spread == 0:
        zero = dict.fromkeys((*levels, RESIDUAL), 0.0)
        return Variances(zero, dict.fromkeys(zero, float("nan")), mean, n, True)
    # Standardised: the searches stop at absolute changes of the likelihood.
    parts, converged = _fit((scores - scores.mean()) / spread, levels)
    parts = {name: part * spread**2 for name, part in parts.items()}
    total = sum(parts.values())
    shares = {name: part / total if total > 0 else float("nan") for name, part in parts.items()}
    return Variances(parts, shares, mean, n, converged)


def _levels(name: str, column: Sequence[Any], rows: int) -> Any:
    if len(column) != rows:
        raise MeasureError(f"{name} has {len(column):,} rows, the scores have {rows:,}")
    return np.asarray([str(level) for level in column])


def _fit(scores: Any, levels: Mapping[str, Any]) -> tuple[dict[str, float], bool]:
    """Fit one variance a source; all rows form one group, so that the sources may be crossed."""
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM

    frame = pd.DataFrame({"score": scores, **{f"source{i}": column for i, column in enumerate(levels.values())}})
    formulas = {f"{i:03d}": f"0 + C(source{i})" for i in range(len(levels))}
    model = MixedLM.from_formula("score ~ 1", groups=np.ones(len(frame)), vc_formula=formulas, data=frame)
    with warnings.catch_warnings():
        # A variance of exactly 0 lies on the boundary of the parameter space; statsmodels warns, the estimate is right.
        warnings.simplefilter("ignore")
        # Each search stops early on some tables and reports convergence: the highest likelihood of several is kept.
        best = None
        for search in ("powell", "nm", "bfgs", "nm"):
            try:
                fit = model.fit(
                    reml=True,
                    method=[search],
                    maxiter=5000,
                    start_params=None if best is None else best.params_object,
                )
            except np.linalg.LinAlgError:
                continue
            best = fit if best is None or fit.llf > best.llf else best
    if best is None:
        raise MeasureError("the variance parts cannot be told apart: the scores leave no rest that is not explained")
    parts = dict(zip(levels, (max(0.0, float(part)) for part in best.vcomp), strict=True))
    return {**parts, RESIDUAL: float(best.scale)}, bool(best.converged)

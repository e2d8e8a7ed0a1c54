"""Multi-reader multi-case analysis: do treatments differ, for these readers or for readers like them?

Every reader reads the same cases under every treatment (Obuchowski & Rockette 1995, Commun Stat Simul Comput 24:285), with Hillis's
degrees of freedom (2007, Stat Med 26:596). Comparisons of trained methods do not pool readers, see ``trainings``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from xrbench.errors import MeasureError
from xrbench.metrics.checks import FloatArray
from xrbench.statistics.intervals.formulas import check_level


@dataclass(frozen=True)
class CaseCovariances:
    """Mean variances and covariances of the figures over cases.

    Attributes:
        variance: Of one figure.
        same_reader: Of two treatments, one reader (Cov1).
        same_treatment: Of two readers, one treatment (Cov2).
        neither: Of two readers under two treatments (Cov3).
    """

    variance: float
    same_reader: float
    same_treatment: float
    neither: float


@dataclass(frozen=True)
class ReaderTest:
    """Test of equal treatments.

    Attributes:
        f: F statistic.
        df1, df2: Degrees of freedom; ``df2`` is infinite where readers are fixed.
        p: P-value.
        half_width: Half width of the interval of the difference of any two treatments.
    """

    f: float
    df1: int
    df2: float
    p: float
    half_width: float


@dataclass(frozen=True)
class Multireader:
    """The analysis with its three questions.

    Attributes:
        means: Mean of each treatment over readers.
        ms_treatment, ms_interaction: Mean squares of treatments, and of treatments by readers.
        random: Readers and cases both stand for others.
        fixed_readers: These readers, other cases.
        fixed_cases: Other readers, these cases.
        level: Confidence level.
    """

    means: tuple[float, ...]
    ms_treatment: float
    ms_interaction: float
    random: ReaderTest
    fixed_readers: ReaderTest
    fixed_cases: ReaderTest
    level: float


def case_covariances(influence: npt.ArrayLike) -> CaseCovariances:
    """Average the covariances of figures over cases, by what two figures have in common.

    Args:
        influence: Share of each case in the error of each figure, whose products sum to their covariances, shape (cases, treatments,
            readers); the jackknife's is ``sqrt((n - 1) / n) * (mean of the left-out figures - left-out figure)``.

    Raises:
        MeasureError: Fewer than two treatments or two readers.

    >>> shares = np.ones((1, 2, 2))  # one case that moves all four figures by 1
    >>> case_covariances(shares)
    CaseCovariances(variance=1.0, same_reader=1.0, same_treatment=1.0, neither=1.0)
    """
    shares = np.asarray(influence, np.float64)
    if shares.ndim != 3 or min(shares.shape[1:]) < 2:
        raise MeasureError(
            f"influence has shape {shares.shape}, expected (cases, treatments, readers), two of each or more"
        )
    joint = np.einsum("cij,ckl->ijkl", shares, shares)
    return covariance_means(joint)


def covariance_means(joint: FloatArray) -> CaseCovariances:
    """Average the covariance of every two figures, shape (treatments, readers, treatments, readers), by what they have in common."""
    treatments, readers = joint.shape[:2]
    treatment, reader = np.indices((treatments, readers)).reshape(2, -1)
    flat = joint.reshape(len(treatment), len(treatment))
    same_treatment, same_reader = (np.equal.outer(of, of) for of in (treatment, reader))
    masks = (
        same_treatment & same_reader,
        ~same_treatment & same_reader,
        same_treatment & ~same_reader,
        ~same_treatment & ~same_reader,
    )
    return CaseCovariances(*(float(flat[mask].mean()) for mask in masks))


def multireader(figures: npt.ArrayLike, covariances: CaseCovariances, *, level: float = 0.95) -> Multireader:
    """Test whether treatments differ.

    Args:
        figures: One figure a treatment and reader, such as its AUC, shape (treatments, readers).
        covariances: Of the figures over cases, see ``case_covariances``.
        level: Confidence level of the intervals.

    Raises:
        MeasureError: Fewer than two treatments or two readers, or a figure is missing.

    >>> shared = CaseCovariances(variance=0.0009, same_reader=0.0004, same_treatment=0.0003, neither=0.0002)
    >>> row = multireader([[0.80, 0.82, 0.84], [0.85, 0.86, 0.90]], shared)
    >>> round(row.ms_treatment, 5), round(row.ms_interaction, 6)  # 3 x 0.05^2 / 2, and the rest
    (0.00375, 5e-05)
    >>> round(row.random.f, 2), round(row.random.df2, 1)  # 0.00375 / (0.00005 + 3 x 0.0001); 2 (0.00035 / 0.00005)^2
    (10.71, 98.0)
    """
    check_level(level)
    table = np.asarray(figures, np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or np.isnan(table).any():
        raise MeasureError(
            f"figures of shape {table.shape}: expected two treatments and two readers or more, without NaN"
        )
    treatments, readers = table.shape
    means, by_reader = table.mean(axis=1), table.mean(axis=0)
    ms_treatment = readers * float(means.var(ddof=1))
    rest = table - means[:, None] - by_reader + table.mean()
    freedom = (treatments - 1) * (readers - 1)
    ms_interaction = float((rest**2).sum()) / freedom
    shared = covariances.same_treatment - covariances.neither
    of_cases = max(readers * shared, 0.0)
    alone = covariances.variance - covariances.same_reader + (readers - 1) * max(shared, 0.0)

    def test(noise: float, df2: float) -> ReaderTest:
        f = ms_treatment / noise if noise > 0 else np.inf
        p = (
            float(stats.chi2.sf(f * (treatments - 1), treatments - 1))
            if np.isinf(df2)
            else float(stats.f.sf(f, treatments - 1, df2))
        )
        reach = special.ndtri((1 + level) / 2) if np.isinf(df2) else special.stdtrit(df2, (1 + level) / 2)
        return ReaderTest(float(f), treatments - 1, df2, p, float(reach * np.sqrt(2 / readers * noise)))

    both = ms_interaction + of_cases
    return Multireader(
        means=tuple(float(mean) for mean in means),
        ms_treatment=ms_treatment,
        ms_interaction=ms_interaction,
        random=test(both, both**2 / (ms_interaction**2 / freedom) if ms_interaction > 0 else np.inf),
        fixed_readers=test(alone, np.inf),
        fixed_cases=test(ms_interaction, float(freedom)),
        level=level,
    )

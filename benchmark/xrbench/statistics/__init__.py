"""How sure a figure is, and whether two differ: pure functions of truth, score and patient.

Conventions: arguments stand as ``truth, score, patient``; patients, not images, are what is drawn or left out; every function
that draws takes a seed and gives the same figures whatever the number of threads; an undefined figure is NaN with a reason.

One model: ``estimate``, ``estimate_classes``, ``auc_interval``, ``delong``, ``delong_interval``, ``roc_band``,
``operating_points``, ``thresholds_for``, ``decision_curve``, ``subgroups`` with ``bands`` and ``gap_pvalues``, ``two_level``,
``two_level_classes``, ``clustered_mean``. Two models: ``compare``, ``compare_classes``, ``delong_test``,
``clustered_difference``, ``verdict``, ``adjust``, ``leaders``. Hospitals and settings: ``gap``, ``gap_classes``,
``domain_matrix``, ``mean_and_spread``, ``wilcoxon``, ``rank_methods``, ``nemenyi``, ``decompose``, ``policy_sensitivity``. Before
a study: ``smallest_detectable``, ``detectable_from_counts``.

Every result says how many patients it rests on; its ``caution`` says where its kind of interval is not known to hold.
"""

from xrbench.statistics.cells import Cell, PairedCell
from xrbench.statistics.classes import estimate_classes
from xrbench.statistics.comparing import Difference, compare
from xrbench.statistics.comparing_classes import compare_classes
from xrbench.statistics.delong import DeLong, DeLongTest, delong, delong_interval, delong_test
from xrbench.statistics.estimates import Estimate, estimate
from xrbench.statistics.gaps import Gap, domain_matrix, gap
from xrbench.statistics.kinds import KINDS
from xrbench.statistics.multiplicity import adjust
from xrbench.statistics.operating import (
    NetBenefit,
    OperatingPoint,
    decision_curve,
    operating_points,
    thresholds_for,
)
from xrbench.statistics.policies import PolicySensitivity, policy_sensitivity
from xrbench.statistics.power import detectable_from_counts, leaders, smallest_detectable
from xrbench.statistics.ranks import Ranking, SignedRank, nemenyi, rank_methods, wilcoxon
from xrbench.statistics.seeds import MeanAndSpread, TwoLevel, mean_and_spread, two_level
from xrbench.statistics.single import auc_interval
from xrbench.statistics.spread_classes import gap_classes, two_level_classes
from xrbench.statistics.subgroups import Group, Subgroups, bands, gap_pvalues, subgroups
from xrbench.statistics.variance import Variances, decompose
from xrbench.statistics.verdicts import verdict

__all__ = [
    "KINDS",
    "Cell",
    "DeLong",
    "DeLongTest",
    "Difference",
    "Estimate",
    "Gap",
    "Group",
    "MeanAndSpread",
    "NetBenefit",
    "OperatingPoint",
    "PairedCell",
    "PolicySensitivity",
    "Ranking",
    "SignedRank",
    "Subgroups",
    "TwoLevel",
    "Variances",
    "adjust",
    "auc_interval",
    "bands",
    "compare",
    "compare_classes",
    "decision_curve",
    "decompose",
    "delong",
    "delong_interval",
    "delong_test",
    "detectable_from_counts",
    "domain_matrix",
    "estimate",
    "estimate_classes",
    "gap",
    "gap_classes",
    "gap_pvalues",
    "leaders",
    "mean_and_spread",
    "nemenyi",
    "operating_points",
    "policy_sensitivity",
    "rank_methods",
    "smallest_detectable",
    "subgroups",
    "thresholds_for",
    "two_level",
    "two_level_classes",
    "verdict",
    "wilcoxon",
]

"""How sure a figure is, and whether two differ: pure functions of truth, score and patient.

Conventions: arguments stand as ``truth, score, patient``; patients, not images, are what is drawn or left out; every function
that draws takes a seed and gives the same figures whatever the number of threads; an undefined figure is NaN with a reason.

One model: ``estimate``, ``estimate_classes``, ``auc_interval``, ``delong``, ``delong_interval``, ``roc_band``,
``reliability_bins``, ``operating_points``, ``thresholds_for``, ``decision_curve``, ``subgroups`` with ``bands`` and
``gap_pvalues``, ``two_level``, ``two_level_classes``, ``clustered_mean``. Two models: ``compare``, ``compare_classes``,
``delong_test``, ``clustered_difference``, ``verdict``, ``adjust``, ``leaders``. Hospitals and settings: ``gap``,
``gap_classes``, ``domain_matrix``, ``mean_and_spread``, ``wilcoxon``, ``rank_methods``, ``nemenyi``, ``rank_correlation``,
``decompose``, ``policy_sensitivity``. Before a study: ``smallest_detectable``, ``detectable_from_counts``.

A figure with its interval. Two films of a patient say less than films of two patients, so ids matter:

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> patient = np.repeat(np.arange(200), 2)                     # 200 patients, two films each
>>> truth = (patient % 4 == 0).astype(float)                   # 50 of them have the finding
>>> score = np.round(1.5 * truth + rng.normal(size=200)[patient] + 0.3 * rng.normal(size=400), 2)
>>> row = estimate(truth, score, patient, labels=["Edema"])[0]
>>> round(row.value, 2), round(row.low, 2), round(row.high, 2), row.interval, row.unit, row.n_patients
(0.86, 0.79, 0.91, 'jackknife', 'patient', 200)
>>> images = estimate(truth, score, patient, labels=["Edema"], unit="image")[0]
>>> round(images.low, 2), round(images.high, 2), images.caution
(0.81, 0.9, 'images taken as independent although 200 patients have several: the interval is too narrow')

Which kind of interval? The default unless a reader asks for another: ``kinds`` lists them all. In ``tests/validation`` 95 %
intervals of the AUC are simulated for 100 to 5,000 patients of 1 to 8 films, 20 and more of either class. The default holds
the true AUC in 93.9 to 96.5 of 100 samples everywhere; percentiles of a patient bootstrap fall to 87, BCa to 90, DeLong's
interval to 89 (without the logit 86), and those that take films as independent lie between 72 and 92. A kind that is asked for
where it is not known to hold says so:

>>> few = patient < 60
>>> estimate(truth[few], score[few], patient[few], labels=["Edema"], kind="bootstrap")[0].caution
'15 positive patients: bootstrap intervals are known to hold from 100'

Two models on the same films. What they share cancels; interval and p-value come from one calculation:

>>> other = np.round(score + 0.9 * truth + 0.5 * rng.normal(size=400), 2)
>>> found = compare([PairedCell("here", truth, score, other, patient)], labels=["Edema"])[0]
>>> round(found.difference, 2), round(found.low, 2), round(found.high, 2), found.p < 0.001, found.verdict
(0.06, 0.04, 0.09, True, 'better')

Films that belong to exactly one class each (``metrics.parse_classes`` knows the names; ``gap_classes`` and ``two_level_classes``
go with it):

>>> kind = patient % 3
>>> scores = np.eye(3)[kind] + rng.normal(size=(400, 3))
>>> for row in estimate_classes(kind, scores, patient, classes=["a", "b", "c"], metrics=["macro-recall", "class-recall"]):
...     print(row.label, row.metric, round(row.value, 2), row.interval)
all classes macro-recall 0.61 jackknife
a class-recall 0.67 wilson
b class-recall 0.6 wilson
c class-recall 0.57 wilson
"""

from xrbench.statistics.clinical.label_policies import PolicySensitivity, policy_sensitivity
from xrbench.statistics.clinical.operating_points import (
    NetBenefit,
    OperatingPoint,
    decision_curve,
    operating_points,
    thresholds_for,
)
from xrbench.statistics.clinical.roc_and_calibration_curves import RocBand, reliability_bins, roc_band
from xrbench.statistics.clinical.subgroups import Group, Subgroups, bands, gap_pvalues, subgroups
from xrbench.statistics.generalization.cells import Cell, PairedCell
from xrbench.statistics.generalization.gap import Gap, domain_matrix, gap
from xrbench.statistics.generalization.seed_variance import MeanAndSpread, TwoLevel, mean_and_spread, two_level
from xrbench.statistics.generalization.spread_classes import gap_classes, two_level_classes
from xrbench.statistics.generalization.variance_components import Variances, decompose
from xrbench.statistics.inference.comparing_classes import compare_classes
from xrbench.statistics.inference.correlation import RankCorrelation, rank_correlation
from xrbench.statistics.inference.multiple_testing import adjust
from xrbench.statistics.inference.paired_difference import Difference, compare
from xrbench.statistics.inference.power import detectable_from_counts, leaders, smallest_detectable
from xrbench.statistics.inference.rank_tests import Ranking, SignedRank, nemenyi, rank_methods, wilcoxon
from xrbench.statistics.inference.verdicts import verdict
from xrbench.statistics.intervals.clustered_mean import ClusteredMean, clustered_difference, clustered_mean
from xrbench.statistics.intervals.delong import DeLong, DeLongTest, delong, delong_interval, delong_test
from xrbench.statistics.intervals.estimate import Estimate, estimate
from xrbench.statistics.intervals.estimate_multiclass import estimate_classes
from xrbench.statistics.intervals.interval_kinds import KINDS
from xrbench.statistics.intervals.single import auc_interval

__all__ = [
    "KINDS",
    "Cell",
    "ClusteredMean",
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
    "RankCorrelation",
    "Ranking",
    "RocBand",
    "SignedRank",
    "Subgroups",
    "TwoLevel",
    "Variances",
    "adjust",
    "auc_interval",
    "bands",
    "clustered_difference",
    "clustered_mean",
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
    "rank_correlation",
    "rank_methods",
    "reliability_bins",
    "roc_band",
    "smallest_detectable",
    "subgroups",
    "thresholds_for",
    "two_level",
    "two_level_classes",
    "verdict",
    "wilcoxon",
]

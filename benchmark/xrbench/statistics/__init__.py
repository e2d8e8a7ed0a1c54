"""Uncertainty of metrics, and differences between models: pure functions of truth, score and patient.

Conventions: arguments stand as ``truth, score, patient``; patients, not images, are resampled or left out; every function that
draws random numbers takes a seed and gives the same results whatever the number of threads; an undefined value is NaN with a reason.
Truth may be of several labels (``task="multilabel"``, the default) or of one class out of several (``task="multiclass"``), see
``Predictions``. The keywords ``kind, unit, level, replicates, seed, threads, reporter`` are described once, in ``options.Options``.

One model: ``estimate``, ``auc_interval``, ``delong``, ``delong_interval``, ``roc_band``, ``reliability_bins``,
``operating_points``, ``thresholds_for``, ``decision_curve``, ``subgroups`` with ``bands`` and ``gap_pvalues``, ``two_level``,
``clustered_mean``, ``sensitivity_at``, ``partial_auc_interval``, ``influence``. Two models: ``compare`` of pairs that ``paired`` (or
``PairedCell``) makes, ``delong_test``, ``delong_unpaired_test``, ``clustered_difference``, ``verdict``, ``adjust``,
``interval_significances``, ``leaders``; all of these are about the networks at hand. Methods, which another training would change:
``method_mean``, ``method_difference``, ``method_gap``, ``difference_of_gaps`` of trained cells. Readers: ``multireader`` with
``case_covariances``. Hospitals and settings: ``gap``, ``case_mix_gap``, ``next_hospital`` of ``hospital_figures``,
``mean_and_spread``, ``wilcoxon``, ``rank_methods``, ``nemenyi``, ``rank_correlation``, ``decompose``, ``policy_sensitivity``.
Before a study: ``smallest_detectable``, ``detectable_from_counts``. From a suite's card: ``from_card``.

A figure with its interval. Two images of a patient carry less information than images of two patients, so ids matter:

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> patient = np.repeat(np.arange(200), 2)                     # 200 patients, two images each
>>> truth = (patient % 4 == 0).astype(float)                   # 50 of them have the finding
>>> score = np.round(1.5 * truth + rng.normal(size=200)[patient] + 0.3 * rng.normal(size=400), 2)
>>> row = estimate(truth, score, patient, labels=["Edema"])[0]
>>> round(row.value, 2), round(row.low, 2), round(row.high, 2), row.interval, row.unit, row.n_patients
(0.86, 0.79, 0.91, 'jackknife', 'patient', 200)
>>> images = estimate(truth, score, patient, labels=["Edema"], unit="image")[0]
>>> round(images.low, 2), round(images.high, 2), images.caution
(0.81, 0.9, 'images taken as independent although 200 patients have several: the interval is too narrow')

Kinds of interval: the default unless a reader asks for another; ``interval_kinds`` lists them all. In ``tests/validation`` 95 %
intervals of the AUC are simulated for 100 to 5,000 patients of 1 to 8 images, 20 and more of either class. The default holds
the true AUC in 94.2 to 99.1 of 100 samples of normal scores, and in 93.7 to 99.7 of scores with outliers, of five grades, with
mislabelled patients, and where the number of images tells how easy a patient is; few positive patients make it wide rather than
wrong. Of normal scores, percentiles of a patient bootstrap fall to 87, BCa to 90, DeLong's interval to 89 (without the logit
86; with outliers 83), and those that take images as independent lie between 72 and 92. A kind that is asked for
where it is not known to hold says so:

>>> few = patient < 60
>>> estimate(truth[few], score[few], patient[few], labels=["Edema"], kind="bootstrap")[0].caution
'15 positive patients: bootstrap intervals are known to hold from 100'

Two models on the same images. What they share cancels; interval and p-value come from one calculation:

>>> other = np.round(score + 0.9 * truth + 0.5 * rng.normal(size=400), 2)
>>> both = compare([paired("here", truth, score, other, patient)], labels=["Edema"])[0]
>>> round(both.difference, 2), round(both.low, 2), round(both.high, 2), both.p < 0.001, both.verdict
(0.06, 0.04, 0.09, True, 'better')

Images that belong to exactly one class each (``metrics.parse_classes`` knows the names of metrics):

>>> kind = patient % 3
>>> scores = np.eye(3)[kind] + rng.normal(size=(400, 3))
>>> names = ["macro-recall", "class-recall"]
>>> for row in estimate(kind, scores, patient, labels=["a", "b", "c"], task="multiclass", metrics=names):
...     print(row.label, row.metric, round(row.value, 2), row.interval)
all classes macro-recall 0.61 jackknife
a class-recall 0.67 wilson
b class-recall 0.6 wilson
c class-recall 0.57 wilson
"""

from xrbench.statistics.clinical.influence import Influence, influence
from xrbench.statistics.clinical.label_policies import PolicySensitivity, policy_sensitivity
from xrbench.statistics.clinical.operating_points import (
    NetBenefit,
    OperatingPoint,
    decision_curve,
    operating_points,
    thresholds_for,
)
from xrbench.statistics.clinical.roc_and_calibration_curves import RocBand, reliability_bins, roc_band
from xrbench.statistics.clinical.roc_points import PartialAuc, RocPoint, partial_auc_interval, sensitivity_at
from xrbench.statistics.clinical.subgroups import Group, Subgroups, bands, gap_pvalues, subgroups
from xrbench.statistics.generalization.case_mix import CaseMixGap, case_mix_gap
from xrbench.statistics.generalization.gap import Gap, gap
from xrbench.statistics.generalization.hospital_figures import HospitalFigure, hospital_figures
from xrbench.statistics.generalization.next_hospital import Hospital, NextHospital, next_hospital
from xrbench.statistics.generalization.seed_variance import MeanAndSpread, TwoLevel, mean_and_spread, two_level
from xrbench.statistics.generalization.variance_components import Variances, decompose
from xrbench.statistics.inference.correlation import RankCorrelation, rank_correlation
from xrbench.statistics.inference.multiple_testing import adjust, interval_significances
from xrbench.statistics.inference.multireader import (
    CaseCovariances,
    Multireader,
    ReaderTest,
    case_covariances,
    multireader,
)
from xrbench.statistics.inference.paired_difference import Difference, compare
from xrbench.statistics.inference.power import detectable_from_counts, leaders, smallest_detectable
from xrbench.statistics.inference.rank_tests import Ranking, SignedRank, nemenyi, rank_methods, wilcoxon
from xrbench.statistics.inference.training_values import MethodFigure, TrainedCell
from xrbench.statistics.inference.trainings import difference_of_gaps, method_difference, method_gap, method_mean
from xrbench.statistics.inference.verdicts import verdict
from xrbench.statistics.intervals.clustered_mean import ClusteredMean, clustered_difference, clustered_mean
from xrbench.statistics.intervals.delong import (
    DeLong,
    DeLongTest,
    delong,
    delong_interval,
    delong_test,
    delong_unpaired_test,
)
from xrbench.statistics.intervals.estimate import estimate
from xrbench.statistics.intervals.estimate_row import Estimate
from xrbench.statistics.intervals.single import auc_interval
from xrbench.statistics.options import KINDS, OptionFields, Options, Resampling, ResamplingFields, from_card
from xrbench.statistics.predictions import Cell, Pair, PairedCell, Predictions, paired

__all__ = [
    "KINDS",
    "CaseCovariances",
    "CaseMixGap",
    "Cell",
    "ClusteredMean",
    "DeLong",
    "DeLongTest",
    "Difference",
    "Estimate",
    "Gap",
    "Group",
    "Hospital",
    "HospitalFigure",
    "Influence",
    "MeanAndSpread",
    "MethodFigure",
    "Multireader",
    "NetBenefit",
    "NextHospital",
    "OperatingPoint",
    "OptionFields",
    "Options",
    "Pair",
    "PairedCell",
    "PartialAuc",
    "PolicySensitivity",
    "Predictions",
    "RankCorrelation",
    "Ranking",
    "ReaderTest",
    "Resampling",
    "ResamplingFields",
    "RocBand",
    "RocPoint",
    "SignedRank",
    "Subgroups",
    "TrainedCell",
    "TwoLevel",
    "Variances",
    "adjust",
    "auc_interval",
    "bands",
    "case_covariances",
    "case_mix_gap",
    "clustered_difference",
    "clustered_mean",
    "compare",
    "decision_curve",
    "decompose",
    "delong",
    "delong_interval",
    "delong_test",
    "delong_unpaired_test",
    "detectable_from_counts",
    "difference_of_gaps",
    "estimate",
    "from_card",
    "gap",
    "gap_pvalues",
    "hospital_figures",
    "influence",
    "interval_significances",
    "leaders",
    "mean_and_spread",
    "method_difference",
    "method_gap",
    "method_mean",
    "multireader",
    "nemenyi",
    "next_hospital",
    "operating_points",
    "paired",
    "partial_auc_interval",
    "policy_sensitivity",
    "rank_correlation",
    "rank_methods",
    "reliability_bins",
    "roc_band",
    "sensitivity_at",
    "smallest_detectable",
    "subgroups",
    "thresholds_for",
    "two_level",
    "verdict",
    "wilcoxon",
]

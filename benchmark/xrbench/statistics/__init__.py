"""How sure a figure is, and whether two differ: pure functions of truth, score and patient.

Conventions: arguments stand as ``truth, score, patient``; patients, not images, are what is drawn; every function that
draws takes a seed and gives the same figures whatever the number of threads; an undefined figure is NaN with a reason.
"""

from xrbench.statistics.cells import Cell, PairedCell
from xrbench.statistics.comparing import Difference, compare
from xrbench.statistics.delong import DeLong, DeLongTest, delong, delong_interval, delong_test
from xrbench.statistics.estimates import Estimate, estimate
from xrbench.statistics.gaps import Gap, gap
from xrbench.statistics.multiplicity import adjust
from xrbench.statistics.power import smallest_detectable
from xrbench.statistics.single import auc_interval
from xrbench.statistics.verdicts import verdict

__all__ = [
    "Cell",
    "DeLong",
    "DeLongTest",
    "Difference",
    "Estimate",
    "Gap",
    "PairedCell",
    "adjust",
    "auc_interval",
    "compare",
    "delong",
    "delong_interval",
    "delong_test",
    "estimate",
    "gap",
    "smallest_detectable",
    "verdict",
]

"""Differences between cells over patients, of which claims and tables of differences are made.

``unpaired`` subtracts figures on different test sets (a patient on both sides is one patient), ``paired`` figures of two cells on the
same images. Intervals and p-values are those of ``xrbench compare``: patients are left out one at a time.
"""

from xrbench.report.effects.cells import groups, measured
from xrbench.report.effects.effect import Contrast
from xrbench.report.effects.label_effects import paired, unpaired

__all__ = ["Contrast", "groups", "measured", "paired", "unpaired"]

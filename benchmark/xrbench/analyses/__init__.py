"""What is concluded from a run beyond its scores, as its suite's ``[analyses]`` asks.

``analyse_run`` computes every analysis that the suite card names and writes one tidy table for each into ``analyses/`` beside
``scores.csv``; ``analyse`` does the same without writing. An analysis that cannot be made gives a row that says why. Rankings, means
over settings and differences never contain figures on images that the weights have seen or that were trained on.
"""

from xrbench.analyses.inputs import Material, Sample, records, sample_of
from xrbench.analyses.registry import ANALYSES, FOLDER, analyse, analyse_run, asked, read

__all__ = [
    "ANALYSES",
    "FOLDER",
    "Material",
    "Sample",
    "analyse",
    "analyse_run",
    "asked",
    "read",
    "records",
    "sample_of",
]

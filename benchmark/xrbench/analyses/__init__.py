"""Analyses of a run beyond its scores, as the ``[analyses]`` of its suite asks for.

``analyse_run`` computes every analysis that the suite card names and writes one tidy table for each into ``analyses/`` beside
``scores.csv``; ``analyse`` does the same without writing. An analysis that fails gives a row with the reason. Rankings, means over
settings and differences never contain scores on images that the weights have seen or that were trained on.
"""

from xrbench.analyses.inputs import Material, records
from xrbench.analyses.registry import ANALYSES, FOLDER, analyse, analyse_run, asked, read

__all__ = ["ANALYSES", "FOLDER", "Material", "analyse", "analyse_run", "asked", "read", "records"]

"""Draw a run's figures as SVG and PNG that can be read in black and white, each with its numbers beside it as CSV.

``forest`` and ``curves`` are drawn of every run; the other kinds are blocks that a suite names (``blocks.BLOCKS["figure"]``):
functions of the run, the layout and the folder that return the written files, none where the run has nothing for them.
Importing this room loads nothing heavy.
"""

from xrbench.report.figures.overview import curves as curves
from xrbench.report.figures.overview import forest as forest

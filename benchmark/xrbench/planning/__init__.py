"""From a suite to the list of what is trained once (fits) and what is measured (cells): pure and ordered.

A fit's name and a cell's name are made of values, never of an index.
"""

from xrbench.planning.expand import base_of, make_plan, recipe
from xrbench.planning.filters import ONLY_FIELDS, parse_only, without_cells, without_datasets
from xrbench.planning.plan import Cell, Fit, Kind, Plan
from xrbench.planning.protocol_settings import HELD_OUT, NONE, choose_profile, setting_name, settings_of

__all__ = [
    "HELD_OUT",
    "NONE",
    "ONLY_FIELDS",
    "Cell",
    "Fit",
    "Kind",
    "Plan",
    "base_of",
    "choose_profile",
    "make_plan",
    "parse_only",
    "recipe",
    "setting_name",
    "settings_of",
    "without_cells",
    "without_datasets",
]

"""Expand a suite into fits (what is trained once) and cells (what is measured): a pure function, in a fixed order."""

from xrbench.planning.expand import base_of, make_plan, recipe
from xrbench.planning.filters import ONLY_FIELDS, parse_only, without_cells, without_datasets
from xrbench.planning.plan import Cell, Fit, Plan
from xrbench.planning.protocol_settings import HELD_OUT, NONE, choose_profile, setting_name, settings_of

__all__ = [
    "HELD_OUT",
    "NONE",
    "ONLY_FIELDS",
    "Cell",
    "Fit",
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

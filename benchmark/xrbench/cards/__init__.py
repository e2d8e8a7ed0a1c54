"""Cards: frozen, typed values that describe datasets, models, methods, suites and papers, read from TOML.

A card is checked when it is read: an unknown field, a wrong type or a value outside its range is one line that names the
file and the field. These modules only hold values; networks are built and folders read elsewhere.

Fields of type ``BlockSpec`` name a building block and its options: ``"constant"`` or ``{ block = "step", every = 3 }``.
"""

from xrbench.cards.analyses import Analyses, Comparison, Interval, PolicyRule, SubgroupRule
from xrbench.cards.base import Blank, BlockSpec, Card, Uncertain
from xrbench.cards.datasets import DatasetCard
from xrbench.cards.heads import Head, Selection
from xrbench.cards.layouts import FigureLayout, TableLayout
from xrbench.cards.loader import convert, plain, read, read_toml
from xrbench.cards.methods import MethodCard
from xrbench.cards.models import ModelCard
from xrbench.cards.papers import Claim, PaperCard
from xrbench.cards.protocols import ClassRule, Configuration, Limits, Profile, Protocol, Setting, SplitRule
from xrbench.cards.recipes import Recipe
from xrbench.cards.suites import SuiteCard
from xrbench.cards.vocabulary import Mapping, Pathology, Vocabulary

__all__ = [
    "Analyses",
    "Blank",
    "BlockSpec",
    "Card",
    "Claim",
    "ClassRule",
    "Comparison",
    "Configuration",
    "DatasetCard",
    "FigureLayout",
    "Head",
    "Interval",
    "Limits",
    "Mapping",
    "MethodCard",
    "ModelCard",
    "PaperCard",
    "Pathology",
    "PolicyRule",
    "Profile",
    "Protocol",
    "Recipe",
    "Selection",
    "Setting",
    "SplitRule",
    "SubgroupRule",
    "SuiteCard",
    "TableLayout",
    "Uncertain",
    "Vocabulary",
    "convert",
    "plain",
    "read",
    "read_toml",
]

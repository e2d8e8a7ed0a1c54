"""Parsers of single cells: ages, sexes, views and label states, in the spellings of published files.

Each function takes a text without outer spaces, and raises ValueError for a text without a meaning.
"""

from __future__ import annotations

import math
import re

OLDEST = 120.0
"""Ages above this many years are typing errors (ChestX-ray14 has ages up to 414) and count as unknown."""

BLANK = frozenset({"", "nan", "na", "n/a", "none", "null"})
"""Spellings of an empty cell, in lower case."""

_UNITS = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
_AGE = re.compile(r"(\d+(?:\.\d*)?)\s*([YMWD]?)", re.IGNORECASE)
_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
_NO_SEX = BLANK | {"unknown", "unk", "u", "o", "other", "-"}
_STATES = (1.0, 0.0, -1.0)
_VIEWS = {
    "L": "LATERAL",
    "LL": "LATERAL",
    "RL": "LATERAL",
    "LAT": "LATERAL",
    "LEFT LATERAL": "LATERAL",
    "RIGHT LATERAL": "LATERAL",
    "POSTEROANTERIOR": "PA",
    "ANTEROPOSTERIOR": "AP",
    "AP HORIZONTAL": "AP SUPINE",
}
_NO_VIEW = BLANK | {"unk", "unknown"}

YEARS = "an age such as 57 or 057Y"
SEX = "a sex such as F or male"
STATE = "1, 0, -1 or blank"


def years(word: str) -> float:
    """Read an age in years, or with a DICOM unit (Y, M, W, D); unknown and impossible ages are NaN.

    >>> years("060Y"), years("018M"), years("57.0"), years("414"), years("")
    (60.0, 1.5, 57.0, nan, nan)
    """
    if word.casefold() in BLANK:
        return math.nan
    match = _AGE.fullmatch(word)
    if not match:
        raise ValueError(word)
    age = float(match[1]) / _UNITS[match[2].upper() or "Y"]
    return age if age <= OLDEST else math.nan


def year(word: str) -> float:
    """Read the year that a number or date begins with; NaN when it is not known.

    >>> year("20140915"), year("1930.0"), year("")
    (2014.0, 1930.0, nan)
    """
    return math.nan if word.casefold() in BLANK else float(int(word[:4]))


def sex(word: str) -> str | None:
    """Read a sex as ``F`` or ``M``; None when it is not known or neither.

    >>> sex("Female"), sex("M"), sex("Unknown")
    ('F', 'M', None)
    """
    folded = word.casefold()
    if folded in _NO_SEX:
        return None
    if folded not in _SEXES:
        raise ValueError(word)
    return _SEXES[folded]


def view(word: str) -> str | None:
    """Read a view as ``PA``, ``AP``, ``LATERAL`` or other upper-case text; None when it is not known.

    >>> view("pa"), view("L"), view("AP_horizontal"), view("nan")
    ('PA', 'LATERAL', 'AP SUPINE', None)
    """
    if word.casefold() in _NO_VIEW:
        return None
    name = word.upper().replace("_", " ")
    return _VIEWS.get(name, name)


def state(word: str) -> float:
    """Read a label's state: 1 positive, 0 negative, -1 uncertain, NaN not mentioned.

    >>> state("1.0"), state("-1"), state("")
    (1.0, -1.0, nan)
    """
    if word.casefold() in BLANK:
        return math.nan
    value = float(word)
    if value not in _STATES:
        raise ValueError(word)
    return value

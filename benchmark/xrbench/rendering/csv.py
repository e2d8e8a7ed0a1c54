"""CSV of which no field is computed by a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable

from xrbench.rendering.text import clean

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a formula begins with; spreadsheets take the full-width signs too."""


def row(texts: Iterable[str]) -> str:
    """Write texts as one line of CSV."""
    return ",".join(map(escape_csv, texts))


def escape_csv(text: str) -> str:
    """Quote a field, and put ' before what a spreadsheet would compute; a plain number stays as it is.

    >>> escape_csv("=cmd()"), escape_csv("-0.02"), escape_csv("-2+3"), escape_csv("a;b")
    ("'=cmd()", '-0.02', "'-2+3", '"a;b"')
    """
    text = clean(text)
    if text.startswith(FORMULA) and not _is_number(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',;"\t') else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

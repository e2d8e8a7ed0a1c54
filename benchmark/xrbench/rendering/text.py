"""Plain text for a terminal: one line without control characters, and columns of equal width."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

PADDING: Mapping[str, Callable[[str, int], str]] = {"l": str.ljust, "r": str.rjust, "c": str.center}
"""Letter of an alignment -> function that pads a text to a width."""


def clean(text: str) -> str:
    r"""Replace line breaks, escape sequences and invisible characters by single spaces.

    >>> clean("a | b\nsecond\x1b[31m line ")
    'a | b second [31m line'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def aligned(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Write rows of texts as lines of columns with two spaces between.

    Args:
        rows: Texts, the same number in each row.
        align: One of ``l``, ``r``, ``c`` for each column.

    >>> aligned([("label", "AUC"), ("Edema", "0.9")], "lr")
    ['label  AUC', 'Edema  0.9']
    """
    lines = []
    widths = column_widths(rows)
    for row in rows:
        padded = [PADDING[side](text, width) for text, width, side in zip(row, widths, align, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the length of the longest text of each column.

    >>> column_widths([("label", "AUC"), ("Pneumonia", "0.9")])
    [9, 3]
    """
    return [max(map(len, texts)) for texts in zip(*rows, strict=True)]

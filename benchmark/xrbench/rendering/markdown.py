"""GitHub-flavoured Markdown: text that is shown as it is, and rows of pipes."""

from __future__ import annotations

from collections.abc import Iterable

from xrbench.rendering.text import clean

ESCAPES = {**{c: f"\\{c}" for c in "\\`*_[]|~"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}
RULES = {"l": ":--", "r": "--:", "c": ":-:"}


def escape_markdown(text: str) -> str:
    r"""Write text on one line so that Markdown shows it as it is.

    >>> print(escape_markdown("a_b <script> | x"))
    a\_b &lt;script&gt; \| x
    """
    return "".join(ESCAPES.get(c, c) for c in clean(text))


def row(texts: Iterable[str]) -> str:
    """Write texts that are Markdown already as one row of a table."""
    return "| " + " | ".join(texts) + " |"


def rule(align: str) -> str:
    """Write the line below the header, with one letter of ``l``, ``r``, ``c`` a column.

    >>> rule("lr")
    '|:--|--:|'
    """
    return "|" + "|".join(RULES[side] for side in align) + "|"

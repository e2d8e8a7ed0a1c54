"""LaTeX: text without live special characters, rows, and headings that span columns (booktabs)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xrbench.rendering.text import clean

ESCAPES = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # After a line's end, LaTeX would read "[" or "*" as an option of the line break.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "…": r"\ldots{}",
    "†": r"\textdagger{}",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
}


def escape_latex(text: str) -> str:
    r"""Write text on one line so that LaTeX prints it as it is.

    >>> print(escape_latex("50 % of a_b"))
    50 \% of a\_b
    """
    return "".join(ESCAPES.get(c, c) for c in clean(text))


def row(texts: Iterable[str]) -> str:
    """Write texts that are LaTeX already as one row of a table."""
    return " & ".join(texts) + r" \\"


def spanning(groups: Sequence[tuple[str, int]]) -> list[str]:
    """Write headings over several columns each, with a rule below those that have a text; nothing without groups."""
    if not groups:
        return []
    heads, rules, start = [], "", 1
    for text, span in groups:
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{escape_latex(text)}}}" if span > 1 else escape_latex(text))
        if text and span > 1:
            rules += rf"\cmidrule(lr){{{start}-{start + span - 1}}}"
        start += span
    return [row(heads), *([rules] if rules else [])]

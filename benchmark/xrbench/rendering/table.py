"""One table as a value, written as Markdown, LaTeX, CSV, HTML or plain text.

What a cell says is decided elsewhere; here it only gets its form. Every text is escaped for where it goes: a label
called ``<script>``, ``a_b & c`` or ``=cmd()`` is shown, never run. A stamp (``FIXTURE: ...``) stands in every form.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrbench.errors import StoreError, UnknownNameError
from xrbench.rendering.differences import SIDES, aligned


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and whether it is marked as best in its column."""

    text: str
    best: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header, in blocks, with a caption and footnotes.

    Attributes:
        name: File name without ending.
        caption: A sentence above the table.
        header: Header lines, each with one text a column; in Markdown and CSV the lines of a column are joined.
        blocks: Groups of rows that belong together, divided by a rule.
        align: One of ``l``, ``r``, ``c`` for each column.
        groups: A line above the header: texts with the number of columns that each spans.
        titled: Whether the first column names the block: written once a block, except in CSV.
        notes: Footnotes.
        stamp: A warning that stands in every form of the table; empty for none.

    Raises:
        ValueError: Rows, header, alignment or groups differ in their number of columns.

    >>> table = Table("t", "Two", (("method", "AUC"),), (((Cell("a"), Cell("0.9", best=True)),),), "lr")
    >>> print(table.markdown())
    **Two**
    <BLANKLINE>
    | method | AUC |
    |:--|--:|
    | a | **0.9** |
    <BLANKLINE>
    """

    name: str
    caption: str
    header: tuple[tuple[str, ...], ...]
    blocks: tuple[tuple[Row, ...], ...]
    align: str
    groups: tuple[tuple[str, int], ...] = ()
    titled: bool = False
    notes: tuple[str, ...] = ()
    stamp: str = ""

    def __post_init__(self) -> None:
        widths = {len(line) for line in self.header} | {len(row) for block in self.blocks for row in block}
        if self.groups:
            widths.add(sum(span for _, span in self.groups))
        if widths != {len(self.align)} or not set(self.align) <= set(SIDES):
            raise ValueError(f"table {self.name!r}: {sorted(widths)} columns, alignment {self.align!r}")

    def markdown(self) -> str:
        """Write GitHub-flavoured Markdown; the header's lines are joined with ``<br>``."""
        lines = [escape_markdown(self.stamp), ""] if self.stamp else []
        lines += [f"**{escape_markdown(self.caption)}**", ""] if self.caption else []
        lines.append(_pipes("<br>".join(escape_markdown(text) for text in texts if text) for texts in self._headings()))
        lines.append("|" + "|".join({"l": ":--", "r": "--:", "c": ":-:"}[a] for a in self.align) + "|")
        for row in self._rows(once=True):
            lines.append(_pipes(f"**{escape_markdown(c.text)}**" if c.best else escape_markdown(c.text) for c in row))
        lines += ["", *(f"- {escape_markdown(note)}" for note in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """Write a LaTeX ``table`` with the rules of the booktabs package."""
        caption = _tex(". ".join(text for text in (self.stamp, self.caption) if text))
        lines = [
            r"\begin{table}",
            r"\centering",
            r"\small",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{_slug(self.name)}}}",
        ]
        lines += [rf"\begin{{tabular}}{{{self.align}}}", r"\toprule"]
        lines += self._latex_groups()
        lines += [" & ".join(_tex(text) for text in line) + r" \\" for line in self.header]
        for block in self._blocks(once=True):
            lines.append(r"\midrule")
            for row in block:
                lines.append(
                    " & ".join(rf"\textbf{{{_tex(c.text)}}}" if c.best else _tex(c.text) for c in row) + r" \\"
                )
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\smallskip\footnotesize {_tex(note)}" for note in self.notes]
        return "\n".join([*lines, r"\end{table}"]) + "\n"

    def csv(self) -> str:
        """Write CSV with one header line; a stamp is the first column of every row. No cell starts a formula."""
        stamp = [self.stamp] if self.stamp else []
        lines = [(["stamp"] if stamp else []) + [" | ".join(t for t in texts if t) for texts in self._headings()]]
        rows = [[cell.text for cell in row] for row in self._rows(once=False)]
        # A stamped table without rows still says what it is.
        lines += [stamp + row for row in rows or ([[""] * len(self.align)] if stamp else [])]
        return "".join(",".join(_csv(text) for text in line) + "\n" for line in lines)

    def text(self) -> str:
        """Write plain aligned text for a terminal; ``*`` marks the best."""
        columns = [[_clean(text) for text in texts] for texts in self._headings(keep_empty=True)]
        head = [list(line) for line in zip(*columns, strict=True)]
        blocks = [
            [[_clean(cell.text) + ("*" if cell.best else "") for cell in row] for row in block]
            for block in self._blocks(once=True)
        ]
        flat = aligned([*head, *(row for block in blocks for row in block)], self.align)
        widths = [
            max(map(len, texts)) for texts in zip(*head, *(row for block in blocks for row in block), strict=True)
        ]
        lines = [_clean(text) for text in (self.stamp, self.caption) if text]
        lines += [*flat[: len(head)], "  ".join("-" * width for width in widths)]
        at = len(head)
        for number, block in enumerate(blocks):
            lines += ([""] if number else []) + flat[at : at + len(block)]
            at += len(block)
        return "\n".join([*lines, *(_clean(note) for note in self.notes)]) + "\n"

    def html(self) -> str:
        """Write an HTML ``table`` element with its footnotes below; everything is escaped and nothing is loaded."""
        caption = _html(". ".join(text for text in (self.stamp, self.caption) if text))
        lines = [f"<table><caption>{caption}</caption>", "<thead>"]
        if self.groups:
            heads = "".join(f'<th colspan="{span}" scope="colgroup">{_html(text)}</th>' for text, span in self.groups)
            lines.append(f"<tr>{heads}</tr>")
        lines += [
            "<tr>" + "".join(f'<th scope="col">{_html(text)}</th>' for text in line) + "</tr>" for line in self.header
        ]
        lines.append("</thead>")
        for block in self.blocks:
            lines += ["<tbody>", *self._html_rows(block), "</tbody>"]
        lines.append("</table>")
        return "\n".join([*lines, *(f'<p class="note">{_html(note)}</p>' for note in self.notes)]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values, for JSON."""
        return {
            "name": self.name,
            "stamp": self.stamp,
            "caption": self.caption,
            "groups": [{"text": text, "columns": span} for text, span in self.groups],
            "header": [list(line) for line in self.header],
            "blocks": [[[cell.text for cell in row] for row in block] for block in self.blocks],
            "notes": list(self.notes),
        }

    def _headings(self, *, keep_empty: bool = False) -> list[tuple[str, ...]]:
        """Gather each column's header texts from top to bottom; a group's text goes on top of each of its columns."""
        spread = [text for text, span in self.groups for _ in range(span)]
        levels = ([tuple(spread)] if self.groups else []) + list(self.header)
        columns = list(zip(*levels, strict=True))
        return columns if keep_empty else [tuple(text for text in column if text) for column in columns]

    def _blocks(self, *, once: bool) -> Iterator[list[Row]]:
        for block in self.blocks:
            hide = once and self.titled
            yield [(Cell(""), *row[1:]) if hide and i else row for i, row in enumerate(block)]

    def _rows(self, *, once: bool) -> Iterator[Row]:
        for block in self._blocks(once=once):
            yield from block

    def _latex_groups(self) -> list[str]:
        if not self.groups:
            return []
        heads, rules, start = [], [], 1
        for text, span in self.groups:
            heads.append(rf"\multicolumn{{{span}}}{{c}}{{{_tex(text)}}}" if span > 1 else _tex(text))
            rules += [rf"\cmidrule(lr){{{start}-{start + span - 1}}}"] if text and span > 1 else []
            start += span
        return [" & ".join(heads) + r" \\", *(["".join(rules)] if rules else [])]

    def _html_rows(self, block: Sequence[Row]) -> Iterator[str]:
        for i, row in enumerate(block):
            cells = [
                f"<td><strong>{_html(c.text)}</strong></td>" if c.best else f"<td>{_html(c.text)}</td>" for c in row
            ]
            if self.titled:
                cells[0] = f'<th scope="rowgroup" rowspan="{len(block)}">{_html(row[0].text)}</th>' if i == 0 else ""
            yield "<tr>" + "".join(cells) + "</tr>"


FORMS: Mapping[str, Callable[[Table], str]] = {
    "md": Table.markdown,
    "tex": Table.latex,
    "csv": Table.csv,
    "txt": Table.text,
    "html": Table.html,
}
"""File ending -> how the table is written."""


def save(table: Table, folder: Path, forms: Sequence[str] = ("md", "tex", "csv")) -> list[Path]:
    """Write a table into a folder, one file a form, and return the paths.

    Raises:
        UnknownNameError: A form is not one of ``FORMS``.
        StoreError: A file cannot be written.
    """
    paths = []
    for form in forms:
        if form not in FORMS:
            raise UnknownNameError("table form", form, FORMS)
        path = folder / f"{_slug(table.name)}.{form}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(FORMS[form](table), encoding="utf-8", newline="\n")
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
        paths.append(path)
    return paths


_MD = {**{c: f"\\{c}" for c in "\\`*_[]|~"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_TEX = {
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
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def _clean(text: str) -> str:
    """Replace line breaks, escape sequences and invisible characters by spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def escape_markdown(text: str) -> str:
    r"""Write text on one line so that Markdown shows it as it is.

    >>> print(escape_markdown("a_b <script> | x"))
    a\_b &lt;script&gt; \| x
    """
    return "".join(_MD.get(c, c) for c in _clean(text))


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in _clean(text))


def _html(text: str) -> str:
    return html.escape(_clean(text))


def _csv(text: str) -> str:
    """Quote a field, and put ' before what a spreadsheet would compute; a plain number stays as it is.

    >>> _csv("=cmd()"), _csv("-0.02"), _csv("-2+3"), _csv("a;b")
    ("'=cmd()", '-0.02', "'-2+3", '"a;b"')
    """
    text = _clean(text)
    if text.startswith(_FORMULA) and not _is_number(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',;"\t') else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _pipes(texts: Iterator[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _slug(name: str) -> str:
    """Keep letters, digits, dot, hyphen and underscore, as a file name and a LaTeX label allow."""
    return "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "-" for c in name).lstrip(".") or "table"

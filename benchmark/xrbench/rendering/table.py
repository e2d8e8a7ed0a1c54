"""One table as a value, written as Markdown, LaTeX, CSV, HTML or plain text.

The texts of cells are made elsewhere; a form only arranges them. Every text is escaped for its form: a label called
``<script>``, ``a_b & c`` or ``=cmd()`` is shown, never run. A stamp (``FIXTURE: ...``) is part of every form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrbench.errors import StoreError, UnknownNameError
from xrbench.rendering import csv, html, latex, markdown
from xrbench.rendering.latex import escape_latex
from xrbench.rendering.markdown import escape_markdown
from xrbench.rendering.text import PADDING, aligned, clean, column_widths


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
        stamp: A warning in every form of the table; empty for none.

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

    @classmethod
    def of(
        cls,
        name: str,
        caption: str,
        heads: Sequence[str],
        blocks: Iterable[Iterable[Sequence[str | Cell]]],
        align: str,
        *,
        above: Iterable[Sequence[str]] = (),
        groups: Sequence[tuple[str, int]] = (),
        titled: bool = False,
        notes: Iterable[str] = (),
        stamp: str = "",
    ) -> Table:
        """Make a table out of plain texts; blocks without rows are left out.

        Args:
            name: As for the table, and so for the others that are not named here.
            caption: As for the table.
            heads: The last header line.
            blocks: Groups of rows of texts, or of cells where some are marked.
            align: As for the table.
            above: Header lines above the last one.
            groups: As for the table.
            titled: As for the table.
            notes: As for the table.
            stamp: As for the table.

        >>> Table.of("t", "", ("method", "AUC"), [[("a", "0.9")], []], "lr").blocks
        (((Cell(text='a', best=False), Cell(text='0.9', best=False)),),)
        """
        rows = (tuple(tuple(_cell(text) for text in row) for row in block) for block in blocks)
        filled = tuple(block for block in rows if block)
        header = tuple(tuple(line) for line in (*above, heads))
        return cls(name, caption, header, filled, align, tuple(groups), titled, tuple(notes), stamp)

    def __post_init__(self) -> None:
        widths = {len(line) for line in self.header} | {len(row) for block in self.blocks for row in block}
        if self.groups:
            widths.add(sum(span for _, span in self.groups))
        if widths != {len(self.align)} or not set(self.align) <= set(PADDING):
            raise ValueError(f"table {self.name!r}: {sorted(widths)} columns, alignment {self.align!r}")

    def markdown(self) -> str:
        """Write GitHub-flavoured Markdown; the header's lines are joined with ``<br>``."""
        lines = [escape_markdown(self.stamp), ""] if self.stamp else []
        lines += [f"**{escape_markdown(self.caption)}**", ""] if self.caption else []
        lines.append(markdown.row("<br>".join(map(escape_markdown, texts)) for texts in self._headings()))
        lines.append(markdown.rule(self.align))
        for row in self._rows(once=True):
            texts = ((escape_markdown(cell.text), cell.best) for cell in row)
            lines.append(markdown.row(f"**{text}**" if best else text for text, best in texts))
        lines += ["", *(f"- {escape_markdown(note)}" for note in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """Write a LaTeX ``table`` with the rules of the booktabs package."""
        lines = [
            r"\begin{table}",
            r"\centering",
            r"\small",
            rf"\caption{{{escape_latex(self._title())}}}",
            rf"\label{{tab:{_slug(self.name)}}}",
            rf"\begin{{tabular}}{{{self.align}}}",
            r"\toprule",
            *latex.spanning(self.groups),
            *(latex.row(map(escape_latex, line)) for line in self.header),
        ]
        for block in self._blocks(once=True):
            lines.append(r"\midrule")
            for row in block:
                texts = ((escape_latex(cell.text), cell.best) for cell in row)
                lines.append(latex.row(rf"\textbf{{{text}}}" if best else text for text, best in texts))
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\smallskip\footnotesize {escape_latex(note)}" for note in self.notes]
        return "\n".join([*lines, r"\end{table}"]) + "\n"

    def csv(self) -> str:
        """Write CSV with one header line; a stamp is the first column of every row. No cell starts a formula."""
        stamp = [self.stamp] if self.stamp else []
        lines = [(["stamp"] if stamp else []) + [" | ".join(texts) for texts in self._headings()]]
        rows = [[cell.text for cell in row] for row in self._rows(once=False)]
        # A stamped table without rows still says what it is.
        lines += [stamp + row for row in rows or ([[""] * len(self.align)] if stamp else [])]
        return "".join(csv.row(line) + "\n" for line in lines)

    def text(self) -> str:
        """Write plain aligned text for a terminal; ``*`` marks the best."""
        levels = zip(*self._headings(keep_empty=True), strict=True)
        head = [[clean(text) for text in level] for level in levels]
        body = [[clean(cell.text) + ("*" if cell.best else "") for cell in row] for row in self._rows(once=True)]
        columns = iter(aligned([*head, *body], self.align))
        lines = [clean(text) for text in (self.stamp, self.caption) if text]
        lines += [next(columns) for _ in head]
        lines.append("  ".join("-" * width for width in column_widths([*head, *body])))
        for number, block in enumerate(self.blocks):
            lines += ([""] if number else []) + [next(columns) for _ in block]
        return "\n".join([*lines, *map(clean, self.notes)]) + "\n"

    def html(self) -> str:
        """Write an HTML ``table`` element with its footnotes below; everything is escaped and nothing is loaded."""
        lines = [f"<table>{html.element('caption', self._title())}", "<thead>"]
        if self.groups:
            groups = (html.element("th", text, colspan=span, scope="colgroup") for text, span in self.groups)
            lines.append(f"<tr>{''.join(groups)}</tr>")
        heads = ("".join(html.element("th", text, scope="col") for text in line) for line in self.header)
        lines += [*(f"<tr>{line}</tr>" for line in heads), "</thead>"]
        for block in self.blocks:
            lines += ["<tbody>", *self._html_rows(block), "</tbody>"]
        notes = (html.element("p", note, **{"class": "note"}) for note in self.notes)
        return "\n".join([*lines, "</table>", *notes]) + "\n"

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

    def _title(self) -> str:
        return ". ".join(text for text in (self.stamp, self.caption) if text)

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

    def _html_rows(self, block: Sequence[Row]) -> Iterator[str]:
        for i, row in enumerate(block):
            cells = [
                f"<td>{html.element('strong', c.text)}</td>" if c.best else html.element("td", c.text) for c in row
            ]
            if self.titled:
                title = html.element("th", row[0].text, scope="rowgroup", rowspan=len(block))
                cells[0] = title if i == 0 else ""
            yield f"<tr>{''.join(cells)}</tr>"


FORMS: Mapping[str, Callable[[Table], str]] = {
    "md": Table.markdown,
    "tex": Table.latex,
    "csv": Table.csv,
    "txt": Table.text,
    "html": Table.html,
}
"""File ending -> method that writes the table."""


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


def _cell(text: str | Cell) -> Cell:
    return text if isinstance(text, Cell) else Cell(text)


def _slug(name: str) -> str:
    """Keep letters, digits, dot, hyphen and underscore, as a file name and a LaTeX label allow."""
    return "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "-" for c in name).lstrip(".") or "table"

"""Pages of panels: labels in rows, training sets in columns."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from xrbench.report.figures.layout.style import short


@dataclass(frozen=True)
class Panel:
    """A place on a page for one training set and one label; rows and columns count from 0."""

    training: str
    label: str
    row: int
    column: int


@dataclass(frozen=True)
class Page:
    """Panels of one picture."""

    panels: tuple[Panel, ...]
    down: int
    across: int

    def heading(self, panel: Panel) -> str:
        """Write the label over a panel, and the training set over the first row where there are several."""
        several = len({other.training for other in self.panels}) > 1
        name = panel.training if several and panel.row == 0 else ""
        return "\n".join(textwrap.fill(short(part, 66), 33) for part in (name, panel.label) if part)

    def is_lowest(self, panel: Panel) -> bool:
        """Tell whether no panel stands below a panel."""
        return not any(other.column == panel.column and other.row > panel.row for other in self.panels)

    def place(self, panel: Panel) -> tuple[int, int, int]:
        """Give rows, columns and the panel's number, counted from 1, as ``add_subplot`` takes them."""
        return self.down, self.across, panel.row * self.across + panel.column + 1


def pages(trained: Sequence[str], labels: Sequence[str], *, across: int = 3, down: int = 6) -> list[Page]:
    """Lay labels out in rows and training sets in columns; with a single training set, labels fill the columns too.

    >>> [(page.down, page.across) for page in pages(["a", "b"], ["x", "y", "z"])]
    [(3, 2)]
    >>> [(page.down, page.across, len(page.panels)) for page in pages(["a"], ["x", "y", "z", "w"])]
    [(2, 3, 4)]
    """
    laid_out = []
    if len(trained) == 1:
        for part in _parts(labels, across * 4):
            wide = min(across, len(part))
            panels = tuple(Panel(trained[0], label, i // wide, i % wide) for i, label in enumerate(part))
            laid_out.append(Page(panels, panels[-1].row + 1, wide))
        return laid_out
    for columns, rows in itertools.product(_parts(trained, across), _parts(labels, down)):
        panels = tuple(
            Panel(training, label, i, j) for i, label in enumerate(rows) for j, training in enumerate(columns)
        )
        laid_out.append(Page(panels, len(rows), len(columns)))
    return laid_out


def _parts(values: Sequence[str], size: int) -> list[Sequence[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]

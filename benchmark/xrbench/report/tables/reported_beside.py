"""A paper's figures beside ours: in brackets where the images are the paper's, and a note on why not where they are not."""

from __future__ import annotations

from collections.abc import Sequence

from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN
from xrbench.runs.run_cell import RunCell


class Brackets:
    """Puts reported figures behind measured ones, and remembers whether there were any for the note below the table.

    Args:
        paper: What the paper reported; None without a paper.
        fixture: Whether the images are synthetic: then no reported figure is shown.

    Attributes:
        paper: As given.
        shown: The paper where its figures may be shown beside ours, else None.

    >>> Brackets(None, fixture=False).behind("0.85", "0.853")
    '0.85 [0.853]'
    """

    def __init__(self, paper: Reported | None, *, fixture: bool) -> None:
        self.paper = paper
        self.shown = None if fixture else paper
        self._matched = False

    @classmethod
    def of(cls, run: Run) -> Brackets:
        """Make them for the paper of a run's suite."""
        return cls(run.paper, fixture=run.results.fixture)

    def behind(self, text: str, reported: str) -> str:
        """Write a measured figure with the reported one, if there is one, in brackets behind it."""
        self._matched = self._matched or bool(reported)
        return f"{text} [{reported}]" if reported else text

    def notes(self, *, unmatched: str = "", more: str = "") -> list[str]:
        """Say where the figures in brackets are from, or why there are none.

        Args:
            unmatched: Note where the paper has no figure for the table, with ``{}`` for its name; none when empty.
            more: What is added to the source.
        """
        if self.paper is None:
            return []
        name = repr(self.paper.card.name)
        if self.shown is None:
            return [f"The figures reported in {name} are left out: these images are synthetic, not the paper's."]
        if self._matched:
            return [f"In brackets: reported by {self.paper.card.cite}{more}"]
        return [unmatched.format(name)] if unmatched else []


UNMATCHED = "No figure of {} belongs to these models and training sets."


def printed(run: Run, cell: RunCell, label: str, metric: str) -> str:
    """Return the paper's figure for a cell as it is printed; empty when there is none or it may not be shown.

    A mean over labels that the paper does not print is made from the labels that it prints.
    """
    paper = Brackets.of(run).shown
    if paper is None:
        return ""
    about = ("method", "model", "protocol", "members", "train", "test")
    values = {**{name: getattr(cell, name) for name in about}, "configuration": cell.training_set}
    text = paper.printed(label=label, metric=metric, **values)
    if text or label != MEAN:
        return text
    return _mean([paper.printed(label=each, metric=metric, **values) for each in run.suite.labels])


def _mean(texts: Sequence[str]) -> str:
    """Average printed figures with one decimal more than they are rounded to; empty when one is missing.

    >>> _mean(["0.853", "0.852", "0.714", "0.711", "0.864"]), _mean(["0.853", ""])
    ('0.7988', '')
    """
    if not texts or not all(texts):
        return ""
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return f"{sum(map(float, texts)) / len(texts):.{decimals + 1}f}"

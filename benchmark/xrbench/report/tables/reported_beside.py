"""A paper's figures beside ours: in brackets where the images are the paper's, and a word on why not where they are not."""

from __future__ import annotations

from collections.abc import Sequence

from xrbench.report.reported_values import Reported
from xrbench.report.run_folder import Run
from xrbench.report.score_grid import MEAN
from xrbench.runs.run_cell import RunCell


def shown(run: Run) -> Reported | None:
    """Return what the paper reported, where it may stand beside what was measured: never on synthetic images."""
    return None if run.results.fixture else run.paper


def bracket(text: str) -> str:
    """Put a reported figure into brackets behind a measured one.

    >>> bracket("0.853"), bracket("")
    (' [0.853]', '')
    """
    return f" [{text}]" if text else ""


def printed(run: Run, one: RunCell, label: str, metric: str) -> str:
    """Return the paper's figure for a cell as it is printed; empty when there is none or it may not be shown.

    A mean over labels that the paper does not print is made from the labels that it prints.
    """
    paper = shown(run)
    if paper is None:
        return ""
    where = {
        **{name: getattr(one, name) for name in ("method", "model", "protocol", "members")},
        "configuration": one.training_set,
        **{name: getattr(one, name) for name in ("train", "test")},
    }
    text = paper.printed(label=label, metric=metric, **where)
    if text or label != MEAN:
        return text
    return _mean([paper.printed(label=each, metric=metric, **where) for each in run.suite.labels])


def notes(run: Run, *, matched: bool) -> list[str]:
    """Say where the figures in brackets are from, or why there are none.

    Args:
        run: The run.
        matched: Whether any figure of the paper was found.
    """
    if run.paper is None:
        return []
    if run.results.fixture:
        return [
            f"The figures reported in {run.paper.card.name!r} are left out: these images are synthetic, not the paper's."
        ]
    if not matched:
        return [f"No figure of {run.paper.card.name!r} belongs to these models and training sets."]
    return [f"In brackets: reported by {run.paper.card.cite}"]


def _mean(texts: Sequence[str]) -> str:
    """Average printed figures with one decimal more than they are rounded to; empty when one is missing.

    >>> _mean(["0.853", "0.852", "0.714", "0.711", "0.864"]), _mean(["0.853", ""])
    ('0.7988', '')
    """
    if not texts or not all(texts):
        return ""
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return f"{sum(map(float, texts)) / len(texts):.{decimals + 1}f}"

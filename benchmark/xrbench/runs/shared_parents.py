"""How it is said that all trainings of a method start from one parent: their spread is not that of trainings from the beginning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from xrbench.runs.run_cell import GIVEN, RunCell, cells_of

PHRASE = "given one parent for all seeds"
NAMED = 3
"""Parents that are named; of more, their number is said."""


def phrase(parents: Iterable[str]) -> str:
    """Say that something holds for these shared parents only.

    >>> phrase(["pretext/net/pretrain:a/valid-held-out/seed-0"])
    'given one parent for all seeds (pretext/net/pretrain:a/valid-held-out/seed-0)'
    >>> phrase(["a", "b", "c", "d", "a"])
    'given one parent for all seeds (a; b; c; 1 other)'
    """
    names = list(dict.fromkeys(parents))
    more = len(names) - NAMED
    others = [f"{more} {'other' if more == 1 else 'others'}"] if more > 0 else []
    return f"{PHRASE} ({'; '.join([*names[:NAMED], *others])})"


def phrases_by_method(cells: Iterable[RunCell]) -> dict[str, str]:
    """Say it of each method whose seeds share a parent; other methods are left out."""
    parents: dict[str, list[str]] = {}
    for cell in cells:
        if cell.given:
            parents.setdefault(cell.method, []).append(cell.given)
    return {method: phrase(names) for method, names in parents.items()}


def given_notes(cells: Iterable[RunCell]) -> tuple[str, ...]:
    """Write a sentence for each method whose seeds share a parent."""
    return _sentences(phrases_by_method(cells))


def notes_of_scores(scores: pd.DataFrame) -> tuple[str, ...]:
    """Write the same sentences of the cells of tidy scores."""
    return given_notes(cells_of(scores)) if GIVEN in scores else ()


def with_given(frame: pd.DataFrame, cells: Iterable[RunCell], methods: Iterable[str]) -> pd.DataFrame:
    """Add a column ``given`` to the rows of an analysis; a frame without a method that it concerns stays as it is.

    Args:
        frame: Rows.
        cells: The cells behind them.
        methods: Columns that name methods, alone or with a model in parentheses; a row of a frame without any is about all methods.
    """
    phrases = phrases_by_method(cells)
    columns = [name for name in methods if name in frame]
    if not columns:
        texts = ["; ".join(_sentences(phrases))] * len(frame)
    else:
        texts = [
            "; ".join(_sentences({method: phrases[method] for method in dict.fromkeys(names) if method in phrases}))
            for names in ([str(row[name]).partition(" (")[0] for name in columns] for _, row in frame.iterrows())
        ]
    return frame.assign(**{GIVEN: texts}) if any(texts) else frame


def _sentences(phrases: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{method}: {words}" for method, words in phrases.items())

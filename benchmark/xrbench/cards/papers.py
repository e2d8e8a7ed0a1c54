"""Paper cards: reported numbers, and claims."""

from __future__ import annotations

from typing import Any

import msgspec

from xrbench.cards.base import Card


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A claim of a paper that a run can confirm or contradict.

    Attributes:
        text: The claim in our words.
        kind: Name of the check.
        options: Options of the check.
    """

    text: str
    kind: str
    options: dict[str, Any] = {}


class PaperCard(Card, frozen=True):
    """A paper whose results a suite reproduces.

    Attributes:
        cite: How to cite the paper.
        suite: The suite that reproduces it.
        tolerance: A measured value that is shown to be within this distance of the reported one counts as reproduced.
        datasets: The paper's names of datasets -> ours.
        methods: The paper's names of methods -> ours.
        labels: The paper's names of labels -> ours, where they differ.
        models: The paper's names of networks -> ours.
        claims: Claims that are checked on a run.
        tables: Table name -> CSV file with the reported numbers in long form.
    """

    cite: str
    suite: str
    tolerance: float = 0.01
    datasets: dict[str, str] = {}
    methods: dict[str, str] = {}
    models: dict[str, str] = {}
    labels: dict[str, str] = {}
    claims: tuple[Claim, ...] = ()
    tables: dict[str, str] = {}

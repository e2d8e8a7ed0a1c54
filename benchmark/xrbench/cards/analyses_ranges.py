"""Judgements and comparisons of a suite that cannot mean anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from xrbench.cards.analyses import Comparison, Judgement, SubgroupRule
from xrbench.errors import CardError

TARGETS = ("sensitivity", "specificity")
OWN = "as judged"
"""What the suite's own label policy is called in tables."""


def check_comparison(one: Comparison, where: str) -> None:
    """Refuse a claim of non-inferiority or equivalence without the difference that would matter.

    Raises:
        CardError: The margin is below 0, or missing where the question wants one.
    """
    if one.margin < 0:
        raise CardError(f"{where}.margin: wanted 0 or more, got {one.margin}")
    if one.question != "superiority" and not one.margin > 0:
        raise CardError(
            f"{where}.margin: the question {one.question!r} wants a margin above 0: the smallest difference that matters"
        )


def check_judgement(card: Judgement, where: str) -> None:
    """Refuse targets, prevalences, thresholds, bands and policies that cannot be used.

    Raises:
        CardError: One of them; the message names the field.
    """
    for number, target in enumerate(card.operating):
        _check_target(target, f"{where}.operating[{number}]")
    _within(card.prevalences, f"{where}.prevalences", lambda value: 0 < value < 1, "0 < share < 1")
    _within(card.decision_thresholds, f"{where}.decision_thresholds", lambda value: 0 <= value < 1, "0 <= share < 1")
    for number, rule in enumerate(card.subgroups):
        check_subgroup(rule, f"{where}.subgroups[{number}]")
    names = [OWN, *(rule.name for rule in card.policies)]
    for number, name in enumerate(names[1:]):
        if names.count(name) > 1:
            taken = "is what the suite's own policy is called" if name == OWN else "stands twice"
            raise CardError(f"{where}.policies[{number}].name: {name!r} {taken}")


def check_subgroup(rule: SubgroupRule, where: str) -> None:
    """Refuse bands that do not rise, and a smallest group of nobody.

    Raises:
        CardError: One of them; the message names the field.
    """
    if rule.minimum < 1:
        raise CardError(f"{where}.minimum: wanted 1 or more patients, got {rule.minimum}")
    if any(edge <= 0 or edge != int(edge) for edge in rule.bands) or any(a >= b for a, b in pairwise(rule.bands)):
        shown = ", ".join(f"{edge:g}" for edge in rule.bands)
        raise CardError(f"{where}.bands: wanted rising whole numbers above 0, where bands begin; got {shown}")


def _check_target(target: str, where: str) -> None:
    condition, _, share = target.partition("=")
    try:
        good = condition in TARGETS and 0 < float(share) <= 1
    except ValueError:
        good = False
    if not good:
        raise CardError(f"{where}: wanted sensitivity=SHARE or specificity=SHARE with 0 < SHARE <= 1, got {target!r}")


def _within(values: Sequence[float], where: str, fits: Callable[[float], bool], wanted: str) -> None:
    for number, value in enumerate(values):
        if not fits(value):
            raise CardError(f"{where}[{number}]: wanted {wanted}, got {value:g}")

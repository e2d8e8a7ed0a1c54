"""The profile of a run, and the settings of a protocol with their seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from xrbench import blocks, cards
from xrbench.errors import CardError, UnknownNameError

HELD_OUT = "held-out"
NONE = "none"
"""The validation set of a fit that selects no epoch."""


def choose_profile(suite: cards.SuiteCard, name: str | None, *, fixture: bool) -> tuple[str, cards.Profile]:
    """Choose a profile: the named one; else ``quick`` on the fixture and the suite's first on real data.

    Raises:
        UnknownNameError: The suite has no such profile.
    """
    if not suite.profiles:
        raise CardError(f"suite {suite.name}: has no [profiles]; at least one is needed to run it")
    chosen = name or ("quick" if fixture and "quick" in suite.profiles else next(iter(suite.profiles)))
    if chosen not in suite.profiles:
        raise UnknownNameError("profile", chosen, suite.profiles, where=f"suite {suite.name}")
    return chosen, suite.profiles[chosen]


def settings_of(protocol: cards.Protocol, seeds: Sequence[int] = (), *, where: str = "") -> tuple[cards.Setting, ...]:
    """List the settings of a protocol with their seeds.

    Args:
        protocol: The protocol; the block of its kind makes the settings.
        seeds: Replace all seeds when not empty.
        where: The card, for messages.

    Raises:
        CardError: The kind cannot be imported, has no such option, or gives something else than settings.
        UnknownNameError: There is no such kind.

    >>> four = cards.Protocol(datasets=("a", "b", "c", "d"), valid="dataset")
    >>> len(settings_of(four))
    12
    """
    make = blocks.check_options("protocol", protocol.kind, protocol.options, where=where)
    settings = _checked(make, protocol, where)
    return tuple(
        msgspec.structs.replace(setting, seed=seed, pretrain=setting.pretrain or protocol.pretrain)
        for setting in settings
        for seed in (seeds or ([setting.seed] if setting.seed is not None else protocol.seeds))
    )


def setting_name(train: Sequence[str], valid: str, test: str, configuration: str = "") -> str:
    """Name a setting, such as ``nih+chexpert>mimic>padchest``, or ``both:nih+chexpert>held-out>mimic`` with its training set's name.

    >>> setting_name(["nih"], "held-out", "mimic", "small")
    'small:nih>held-out>mimic'
    """
    return f"{configuration}{':' if configuration else ''}{'+'.join(train)}>{valid}>{test}"


def mentioned(setting: cards.Setting) -> tuple[str, ...]:
    """List the datasets that a setting names, the test dataset last."""
    return (*setting.train, *(() if setting.valid in (HELD_OUT, NONE) else (setting.valid,)), setting.test)


def _checked(make: Callable[..., Any], protocol: cards.Protocol, where: str) -> tuple[cards.Setting, ...]:
    """Call the block of a protocol, and check the settings that it gives."""
    place = f"{where}{': ' if where else ''}protocol {protocol.kind!r}"
    try:
        settings = tuple(make(protocol, **protocol.options))
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise CardError(f"{place}: {type(error).__name__}: {error}") from error
    for number, setting in enumerate(settings):
        if not isinstance(setting, cards.Setting):
            raise CardError(f"{place}: expected settings, got {type(setting).__name__}")
        setting.check(f"{place}: settings[{number}]")
    return settings

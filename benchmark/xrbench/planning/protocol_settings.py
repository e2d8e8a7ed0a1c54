"""The profile of a run, and the settings of a protocol with their seeds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from xrbench import cards
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


def settings_of(protocol: cards.Protocol, seeds: Sequence[int] = ()) -> tuple[cards.Setting, ...]:
    """List the settings of a protocol with their seeds.

    Written settings are taken as they are. Else, in ``leave-datasets-out``, every choice of ``train_size`` training datasets, a
    validation dataset (if the protocol has one) and a test dataset is a setting; in ``internal-external``, every configuration with
    every external dataset. ``seeds`` replaces all seeds.

    >>> four = cards.Protocol(datasets=("a", "b", "c", "d"), valid="dataset")
    >>> len(settings_of(four))
    12
    """
    settings = protocol.settings or tuple(_enumerated(protocol))
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


def _enumerated(protocol: cards.Protocol) -> list[cards.Setting]:
    if protocol.kind == "internal-external":
        return [
            cards.Setting(
                train=training.train,
                valid=training.valid,
                test=test,
                configuration=training.name,
                split=training.split,
                pretrain=training.pretrain,
            )
            for training, test in itertools.product(protocol.configurations, protocol.external)
        ]
    settings = []
    for train in itertools.combinations(protocol.datasets, protocol.train_size):
        rest = [name for name in protocol.datasets if name not in train]
        if protocol.valid == "dataset":
            settings += [
                cards.Setting(train=train, valid=valid, test=test) for valid, test in itertools.permutations(rest, 2)
            ]
        else:
            settings += [cards.Setting(train=train, valid=HELD_OUT, test=test) for test in rest]
    return settings

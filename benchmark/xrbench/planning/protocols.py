"""Kinds of protocols: functions from a suite's ``[protocol]`` to the settings in which its methods are trained and tested.

A protocol block is ``f(protocol, **options)``: it is given the card's ``Protocol``, with ``options`` from its field of that name, and
returns settings. Seeds, and datasets to pre-train on, are added to those that name none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from xrbench.cards import Protocol, Setting
from xrbench.planning.protocol_settings import HELD_OUT


def leave_datasets_out(protocol: Protocol, /) -> Sequence[Setting]:
    """Return the settings that are written out, or all that ``datasets`` and ``train_size`` allow.

    Every choice of ``train_size`` training datasets, a validation dataset (if the protocol has one) and a test dataset is a setting.

    >>> four = Protocol(datasets=("a", "b", "c", "d"), valid="dataset")
    >>> len(leave_datasets_out(four))
    12
    """
    if protocol.settings:
        return protocol.settings
    settings = []
    for train in itertools.combinations(protocol.datasets, protocol.train_size):
        rest = [name for name in protocol.datasets if name not in train]
        if protocol.valid == "dataset":
            settings += [
                Setting(train=train, valid=valid, test=test) for valid, test in itertools.permutations(rest, 2)
            ]
        else:
            settings += [Setting(train=train, valid=HELD_OUT, test=test) for test in rest]
    return settings


def internal_external(protocol: Protocol, /) -> Sequence[Setting]:
    """Return every configuration with every external dataset."""
    return [
        Setting(
            train=training.train,
            valid=training.valid,
            test=test,
            configuration=training.name,
            split=training.split,
            pretrain=training.pretrain,
        )
        for training, test in itertools.product(protocol.configurations, protocol.external)
    ]

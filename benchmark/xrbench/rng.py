"""Random streams: every random number of xrbench comes from here.

One function turns the values that name a purpose (a fit, an epoch, the word "batches") into a generator of its own.
Nothing reads a global generator, so adding a method, a worker or a metric never changes another stream. A fit's streams
derive from its names and seed alone, never from a cache key: a new optional field of a card changes no result.
"""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(*parts: str | int) -> int:
    """Hash the parts that name a purpose into a seed of 128 bits.

    Args:
        parts: Words and whole numbers, in order; ``("a", 1)`` and ``("a", "1")`` are different purposes.

    >>> seed_of("fit", 0) == seed_of("fit", 0), seed_of("fit", 0) == seed_of("fit", 1)
    (True, False)
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def fit_identity(*, suite: str, setting: str, method: str, model: str, seed: int) -> str:
    """Return the text that all random streams of one fit derive from.

    Its form must not change: any change of it changes every trained network.

    Args:
        suite: Name of the suite card.
        setting: Training and validation datasets, and the test dataset whose patients are left out of them.
        method: Name of the method card.
        model: Name of the model card.
        seed: Seed of the setting.

    >>> fit_identity(suite="s", setting="nih/valid-mimic", method="m", model="d", seed=3)
    'suite=s|setting=nih/valid-mimic|method=m|model=d|seed=3'
    """
    return f"suite={suite}|setting={setting}|method={method}|model={model}|seed={seed}"


def stream(*parts: str | int) -> np.random.Generator:
    """Make the generator that belongs to a purpose (Philox, counter-based).

    >>> int(stream("fit", 0, "shuffle").integers(1000)) == int(stream("fit", 0, "shuffle").integers(1000))
    True
    """
    return np.random.Generator(np.random.Philox(key=seed_of(*parts)))

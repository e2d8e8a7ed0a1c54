"""Where every random number comes from.

One function turns the values that name a purpose (a fit's key, an epoch, the word "shuffle") into a generator of its
own. Nothing reads a global generator, so adding a method, a worker or a metric never moves another stream.
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


def stream(*parts: str | int) -> np.random.Generator:
    """Make the generator that belongs to a purpose (Philox, counter-based).

    >>> int(stream("fit", 0, "shuffle").integers(1000)) == int(stream("fit", 0, "shuffle").integers(1000))
    True
    """
    return np.random.Generator(np.random.Philox(key=seed_of(*parts)))

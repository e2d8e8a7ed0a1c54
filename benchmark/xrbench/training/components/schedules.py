"""Learning-rate schedules: functions of the update's number that return a factor of the optimiser's learning rate.

A schedule is a function ``f(step, *, epochs, steps_per_epoch, **options)``; ``step`` counts the updates of the parameters from 0 over
the whole training, and ``steps_per_epoch`` those of an epoch. It has no state, so a resumed fit has nothing to restore here.
"""

from __future__ import annotations

import math


def constant(step: int, *, epochs: int, steps_per_epoch: int) -> float:  # noqa: ARG001
    """Keep the learning rate."""
    return 1.0


def step(step: int, *, epochs: int, steps_per_epoch: int, every: int = 30, gamma: float = 0.1) -> float:  # noqa: ARG001
    """Multiply the learning rate by ``gamma`` after every ``every`` epochs.

    >>> [step(n, epochs=4, steps_per_epoch=2, every=2) for n in (0, 3, 4)]
    [1.0, 1.0, 0.1]
    """
    return float(gamma ** (step // steps_per_epoch // every))


def cosine(step: int, *, epochs: int, steps_per_epoch: int, warmup: float = 0.0, floor: float = 0.0) -> float:
    """Decrease along half a cosine to ``floor`` (Loshchilov and Hutter 2017), after a linear warm-up.

    Args:
        step: Number of the update, from 0.
        epochs: Epochs of the training.
        steps_per_epoch: Updates of an epoch.
        warmup: Epochs of the warm-up, which starts at one update's share of the learning rate.
        floor: Factor that would be reached at the update after the last.
    """
    rise = round(warmup * steps_per_epoch)
    if step < rise:
        # never 0, which would waste the first update
        return (step + 1) / (rise + 1)
    share = (step - rise) / max(epochs * steps_per_epoch - rise, 1)
    return floor + (1 - floor) * (1 + math.cos(math.pi * share)) / 2


def one_cycle(
    step: int,
    *,
    epochs: int,
    steps_per_epoch: int,
    rise: float = 0.3,
    start: float = 0.04,
    end: float = 4e-6,
) -> float:
    """Increase along half a cosine from ``start`` to 1, then decrease to ``end`` (Smith and Topin 2019), as torch's ``OneCycleLR``.

    Args:
        step: Number of the update, from 0.
        epochs: Epochs of the training.
        steps_per_epoch: Updates of an epoch.
        rise: Share of the updates before the maximum.
        start: Factor at the first update (torch: 1 / div_factor).
        end: Factor at the last update (torch: 1 / div_factor / final_div_factor).
    """
    total = epochs * steps_per_epoch
    # torch counts from 0 to total - 1 and puts the maximum at this, not always whole, number
    top = max(rise * total - 1, 0.0)
    if step <= top and top > 0:
        low, high, share = start, 1.0, step / top
    else:
        low, high, share = 1.0, end, min((step - top) / max(total - 1 - top, 1.0), 1.0)
    return high + (low - high) * (1 + math.cos(math.pi * share)) / 2


def time_based(step: int, *, epochs: int, steps_per_epoch: int, decay: float = 1e-5) -> float:  # noqa: ARG001
    """Divide the learning rate by ``1 + decay * step``, as Keras's optimisers did with ``decay``.

    >>> time_based(100, epochs=1, steps_per_epoch=200, decay=0.01)
    0.5
    """
    return 1.0 / (1.0 + decay * step)

"""Everything that decides a fit besides its images."""

from __future__ import annotations

from typing import Literal

import msgspec

from xrbench.cards.basics import Task
from xrbench.cards.things import MethodCard, ModelCard


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides a fit besides its images: what training is given, and half of a fit's key."""

    method: MethodCard
    model: ModelCard
    labels: tuple[str, ...]
    image_size: int
    epochs: int
    batch_size: int
    steps_per_epoch: int
    precision: Literal["float32", "bfloat16"]
    channels_last: bool
    seed: int
    threads: int = 0
    task: Task = "multilabel"

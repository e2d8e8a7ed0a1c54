"""Everything that decides a fit besides its images."""

from __future__ import annotations

from typing import Literal

import msgspec

from xrbench.cards.base import Task
from xrbench.cards.methods import MethodCard
from xrbench.cards.models import ModelCard


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that decides a fit besides its images: the input of training, and part of a fit's key.

    Attributes:
        method, model: The cards.
        labels: The suite's labels, in order.
        image_size: Side of the images in pixels.
        epochs, batch_size, steps_per_epoch: Length of training; 0 steps an epoch cover the training images once.
        precision, channels_last: Number format and memory layout.
        seed: Seed of the setting.
        threads: CPU threads; 0 leaves the library's default.
        task: Several labels an image, or one class.
        identity: What the fit's random streams derive from (``rng.fit_identity``); empty for a model that is not trained.
    """

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
    identity: str = ""

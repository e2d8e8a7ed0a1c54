"""Heads of a network: which columns of its outputs belong to which head, and the truth that each one learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from xrbench.cards import Head, Recipe
from xrbench.data.images.image_set import ImageSet

Columns = Mapping[str, slice]
Truth = Mapping[str, npt.NDArray[np.float32]]


def columns(recipe: Recipe) -> Columns:
    """Return the columns of each head in the network's outputs, in the card's order; heads without truth have none.

    Returns:
        Head -> its columns.
    """
    places, start = {}, 0
    for head in with_truth(recipe.method.learned):
        count = len(recipe.labels) if head.kind == "labels" else head.outputs
        places[head.name] = slice(start, start + count)
        start += count
    return places


def outputs(recipe: Recipe) -> int:
    """Return the number of a network's outputs: those of all heads; 0 where no head has truth."""
    return max((place.stop for place in columns(recipe).values()), default=0)


def with_truth(heads: Sequence[Head]) -> list[Head]:
    """List the heads that learn a truth."""
    return [head for head in heads if head.kind != "none"]


def labels_head(heads: Sequence[Head]) -> Head | None:
    """Return the head of the suite's labels; None where there is none."""
    return next((head for head in heads if head.kind == "labels"), None)


def split(values: Tensor, places: Columns) -> dict[str, Tensor]:
    """Split a network's outputs, shape (n, outputs), by head."""
    # one head has all columns: no slice, whose gradient would be copied
    if len(places) == 1:
        return dict.fromkeys(places, values)
    return {head: values[:, place] for head, place in places.items()}


def truth(images: ImageSet, heads: Sequence[Head]) -> Truth:
    """Return the truth of each head that has one, float32, NaN for not labelled, shape (n, outputs)."""
    return {
        head.name: images.truth if head.kind == "labels" else images.targets[head.name] for head in with_truth(heads)
    }


def is_exclusive(head: Head, recipe: Recipe) -> bool:
    """Return whether an image has at most one of the head's outputs as its class."""
    return head.kind == "classes" or (head.kind == "labels" and recipe.task == "multiclass")

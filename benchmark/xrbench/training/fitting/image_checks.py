"""Check of the images of a fit against its recipe, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xrbench.cards import Head, Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import TrainingError
from xrbench.training.components import heads
from xrbench.training.fitting import selection


def check_images(recipe: Recipe, train: ImageSet, valid: ImageSet) -> list[str]:
    """Check the shapes of both sets, and that there is something to learn.

    Returns:
        A note for each label, class or head that lacks examples in training.

    Raises:
        TrainingError: Images or truth are missing, or have another shape than the recipe says; or nothing can be learned.
    """
    for name, images in (("training", train), ("validation", valid)):
        if len(images):
            _check_shapes(recipe, images, name)
        elif name == "training" or selection.needs_validation(recipe):
            raise TrainingError(f"no {name} images")
    where, notes, usable = "+".join(train.domains), [], 0
    for head in recipe.method.learned:
        lacking, learnable = _examples(head, recipe, train, where)
        notes += lacking
        usable += learnable
    if not usable:
        raise TrainingError(f"nothing to learn: {'; '.join(notes)}")
    return notes


def _check_shapes(recipe: Recipe, images: ImageSet, name: str) -> None:
    side = images.pixels[0].shape[-1]
    if side != recipe.image_size:
        raise TrainingError(f"{name}: images of {side} px, the recipe has {recipe.image_size} px")
    for head in heads.with_truth(recipe.method.learned):
        if head.kind == "labels":
            if images.truth.shape[1] != len(recipe.labels):
                raise TrainingError(
                    f"{name}: truth of {images.truth.shape[1]} labels, the recipe has {len(recipe.labels)}"
                )
        elif head.name not in images.targets:
            raise TrainingError(f"{name}: no truth of head {head.name!r}")
        elif images.targets[head.name].shape != (len(images), head.outputs):
            shape = images.targets[head.name].shape
            raise TrainingError(
                f"{name}: truth of head {head.name!r} is {shape}, ({len(images)}, {head.outputs}) is expected"
            )


def _examples(head: Head, recipe: Recipe, train: ImageSet, where: str) -> tuple[list[str], int]:
    """Return a note for each output of a head that lacks examples, and the number of those that can be learned."""
    if head.kind == "none":
        return [], 1
    if head.kind == "labels":
        return _label_examples(train.truth, recipe.labels, where, is_exclusive=recipe.task == "multiclass")
    truth = train.targets[head.name]
    if head.kind == "regression":
        labelled = bool((~np.isnan(truth)).any())
        return ([] if labelled else [f"head {head.name!r} has no truth in {where}"]), int(labelled)
    # the positive value is the second one of a binary head
    values = head.values if head.kind == "classes" else head.values[1:]
    notes, usable = _label_examples(truth, values, where, noun=f"head {head.name!r}: value")
    return notes, usable


def _label_examples(
    truth: npt.NDArray[np.float32],
    names: Sequence[str],
    where: str,
    *,
    noun: str = "label",
    is_exclusive: bool = False,
) -> tuple[list[str], int]:
    notes, usable = [], 0
    for column, name in enumerate(names):
        lacking = [word for word, value in (("positive", 1), ("negative", 0)) if not (truth[:, column] == value).any()]
        usable += not lacking
        if is_exclusive and "positive" in lacking:
            raise TrainingError(f"class {name!r} has no image in {where}")
        if lacking:
            notes.append(f"{noun} {name!r} has no {' and no '.join(lacking)} in {where}")
    return notes, usable

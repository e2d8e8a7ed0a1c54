"""One short fit by every shipped method that trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as changed

from xrbench.cards import Recipe
from xrbench.catalogue import open_catalogue
from xrbench.data.images.image_set import ImageSet

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting.dry_run import dry_run  # noqa: E402
from xrbench.training.fitting.fit import fit  # noqa: E402

CATALOGUE = open_catalogue()
METHODS = [
    card for card in map(CATALOGUE.method, CATALOGUE.names("method")) if not card.inference and not card.ensemble
]


def one_hot(images: ImageSet) -> ImageSet:
    truth = np.zeros_like(images.truth)
    truth[np.arange(len(images)), np.arange(len(images)) % 2] = 1
    return replace(images, truth=truth)


@pytest.mark.parametrize("card", METHODS, ids=lambda card: card.name)
def test_a_short_fit_runs(
    card: object, recipe: Callable[..., Recipe], pair: ImageSet, valid: ImageSet, tmp_path: Path
) -> None:
    made = changed(recipe(epochs=2), method=card)
    if made.method.objective == "cross-entropy":
        made, pair, valid = changed(made, task="multiclass"), one_hot(pair), one_hot(valid)
    dry_run(made)
    done = fit(made, pair, valid, key="k", folder=tmp_path)
    assert done.epochs == 2
    assert math.isfinite(done.best_value)

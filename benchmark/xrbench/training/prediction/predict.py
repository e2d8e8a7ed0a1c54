"""From images to scores: a trained network, or one that is used as it comes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from xrbench.cards import ModelCard, Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError, TrainingError, suggestion
from xrbench.progress import Reporter, Silent
from xrbench.training.fitting import devices, validation
from xrbench.training.fitting.checkpoint import FitFolder
from xrbench.training.fitting.loop import network_seed
from xrbench.training.input.to_tensor import Pixels
from xrbench.training.models import networks

BATCH = 64


class Predictor:
    """A network that is ready to score images.

    Args:
        recipe: What the fit was made of; for a model that is used as it comes, its method names ``inference``, and its
            outputs are matched with the recipe's labels by name.
        folder: The finished fit's folder; None for a model that is used as it comes.
        key: The fit's key; empty for a model that is used as it comes.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
        reporter: Where progress is shown.

    Raises:
        CardError: The model has no output for one of the labels.
        StoreError: The fit is not finished, or is another one.
        WeightsError: The weights of a model that is used as it comes are not to be had.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        folder: Path | None = None,
        key: str = "",
        device: str = "cpu",
        reporter: Reporter | None = None,
    ) -> None:
        self.recipe, self.reporter = recipe, reporter or Silent()
        self.device = devices.find(device)
        self.pixels = Pixels(recipe.model, device=self.device, channels_last=recipe.channels_last)
        self.columns: list[int] | None = None
        if recipe.method.inference:
            self.columns = columns_of(recipe.model, recipe.labels)
            network = networks.build_as_it_comes(recipe.model, reporter=self.reporter)
        elif folder is not None:
            network = _trained(FitFolder(folder, key=key, recipe=recipe), recipe)
        else:
            raise CardError(f"method {recipe.method.name}: is trained: the folder of a finished fit is wanted")
        self.network = network.to(self.device, memory_format=self.pixels.layout).eval()  # type: ignore[call-overload]

    def __call__(self, images: ImageSet, *, batch_size: int = BATCH, label: str = "predict") -> npt.NDArray[np.float32]:
        """Score every image, in order, without augmentation.

        Returns:
            Probabilities, float32, shape (images, labels).

        Raises:
            TrainingError: A score is not a number.
        """
        if not len(images):
            return np.empty((0, len(self.recipe.labels)), np.float32)
        order = validation.ordered_batches(len(images), batch_size)
        exact = devices.deterministic(self.device, threads=self.recipe.threads)
        with exact, self.reporter.bar(label, len(images)) as bar:
            found = validation.run_network(self.network, images, order, self.pixels, bar=bar)
        if not getattr(self.network, "gives_probabilities", False):
            logits = torch.from_numpy(found)
            found = (logits.softmax(1) if self.recipe.task == "multiclass" else torch.sigmoid(logits)).numpy()
        if self.columns is not None:
            found = np.ascontiguousarray(found[:, self.columns])
        wrong = ~np.isfinite(found)
        if wrong.any():
            row, column = (int(place[0]) for place in np.nonzero(wrong))
            raise TrainingError(
                f"{label}: the score of image {row} for {self.recipe.labels[column]!r} is {found[row, column]}"
            )
        return found


def predict(
    recipe: Recipe,
    images: ImageSet,
    *,
    folder: Path | None = None,
    key: str = "",
    device: str = "cpu",
    reporter: Reporter | None = None,
    batch_size: int = BATCH,
    label: str = "predict",
) -> npt.NDArray[np.float32]:
    """Score images once; ``Predictor`` says what is wanted and what can go wrong, and scores several sets.

    Returns:
        Probabilities, float32, shape (images, labels), in the order of the images.
    """
    ready = Predictor(recipe, folder=folder, key=key, device=device, reporter=reporter)
    return ready(images, batch_size=batch_size, label=label)


def columns_of(model: ModelCard, labels: tuple[str, ...]) -> list[int]:
    """Find each label among a model's outputs, by name.

    Raises:
        CardError: There is no output of that name.
    """
    for label in labels:
        if label not in model.outputs:
            raise CardError(f"model {model.name}: no output for label {label!r}{suggestion(label, model.outputs)}")
    return [model.outputs.index(label) for label in labels]


def _trained(kept: FitFolder, recipe: Recipe) -> nn.Module:
    state = kept.weights()
    # the layers only: the weights they start from would be overwritten
    bare = msgspec.structs.replace(recipe.model, weights="none")
    network = networks.build(bare, len(recipe.labels), seed=network_seed(recipe))
    network.load_state_dict(state)
    return network

"""Scores of images from a trained network, or from a pretrained one that is used without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from xrbench.cards import ModelCard, Recipe
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import CardError, TrainingError, suggestion
from xrbench.progress import Reporter, Silent
from xrbench.training.components import heads
from xrbench.training.fitting import devices, validation
from xrbench.training.fitting.checkpoint import FitFolder
from xrbench.training.fitting.initial import random_network
from xrbench.training.input.to_tensor import Pixels
from xrbench.training.models import networks

BATCH = 64


class Predictor:
    """Score images with a finished network.

    Args:
        recipe: Specification of the fit; for a pretrained model its method has ``inference``, and the model's outputs are
            matched with the recipe's labels by name.
        folder: The finished fit's folder; None for a pretrained model.
        key: The fit's key; empty for a pretrained model.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto``.
        reporter: Where progress is shown.

    Raises:
        CardError: The model has no output for one of the labels, or the method has no head of them.
        StoreError: The fit is not finished, or the folder holds another one.
        WeightsError: The weights of a pretrained model are not available.
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
            network = networks.build_pretrained(recipe.model, reporter=self.reporter)
        elif folder is not None:
            self.columns = _label_columns(recipe)
            network = _trained_network(FitFolder(folder, key=key, recipe=recipe), recipe)
        else:
            raise CardError(f"method {recipe.method.name}: is trained: the folder of a finished fit is expected")
        self.network = network.to(self.device, memory_format=self.pixels.layout).eval()  # type: ignore[call-overload]

    def __call__(self, images: ImageSet, *, batch_size: int = BATCH, label: str = "predict") -> npt.NDArray[np.float32]:
        """Score every image, in order, without augmentation.

        Returns:
            Probabilities, float32, shape (images, labels).

        Raises:
            TrainingError: A score is not finite.
        """
        if not len(images):
            return np.empty((0, len(self.recipe.labels)), np.float32)
        order = validation.ordered_batches(len(images), batch_size)
        determinism = devices.deterministic(self.device, threads=self.recipe.threads)
        with determinism, self.reporter.bar(label, len(images)) as bar:
            scores = validation.run_network(self.network, images, order, self.pixels, bar=bar)
        if self.columns is not None and not self.recipe.method.inference:
            # before the softmax, which is over the labels alone
            scores = np.ascontiguousarray(scores[:, self.columns])
        if not getattr(self.network, "gives_probabilities", False):
            logits = torch.from_numpy(scores)
            scores = (logits.softmax(1) if self.recipe.task == "multiclass" else torch.sigmoid(logits)).numpy()
        if self.columns is not None and self.recipe.method.inference:
            # outputs of a pretrained model are in its own order
            scores = np.ascontiguousarray(scores[:, self.columns])
        not_finite = ~np.isfinite(scores)
        if not_finite.any():
            row, column = (int(place[0]) for place in np.nonzero(not_finite))
            raise TrainingError(
                f"{label}: the score of image {row} for {self.recipe.labels[column]!r} is {scores[row, column]}"
            )
        return scores


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
    """Score one set of images; arguments and errors are those of ``Predictor``, which scores several sets.

    Returns:
        Probabilities, float32, shape (images, labels), in the order of the images.
    """
    predictor = Predictor(recipe, folder=folder, key=key, device=device, reporter=reporter)
    return predictor(images, batch_size=batch_size, label=label)


def columns_of(model: ModelCard, labels: tuple[str, ...]) -> list[int]:
    """Return the position of each label among a model's outputs, by name.

    Raises:
        CardError: There is no output of that name.
    """
    for label in labels:
        if label not in model.outputs:
            raise CardError(f"model {model.name}: no output for label {label!r}{suggestion(label, model.outputs)}")
    return [model.outputs.index(label) for label in labels]


def _trained_network(folder: FitFolder, recipe: Recipe) -> nn.Module:
    state = folder.weights()
    # without initial weights, which would be overwritten and may not be on this machine
    network = random_network(recipe)
    network.load_state_dict(state)
    return network


def _label_columns(recipe: Recipe) -> list[int] | None:
    """Return the columns of the suite's labels among the outputs of a trained network; None where there are no others."""
    head, places = heads.labels_head(recipe.method.learned), heads.columns(recipe)
    if head is None:
        raise CardError(f"method {recipe.method.name}: heads: none of kind 'labels': it gives no scores of the labels")
    return None if len(places) == 1 else list(range(heads.outputs(recipe)))[places[head.name]]

"""The networks of a run, loaded from their fits to score images again and to compute saliency maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from xrbench import cards, planning
from xrbench.catalogue import Catalogue
from xrbench.data.images.image_set import ImageSet
from xrbench.errors import StoreError
from xrbench.explain.run_cells import ExplainableRun, NetworkCell
from xrbench.progress import Reporter
from xrbench.runs import store
from xrbench.runs.store import Store

if TYPE_CHECKING:
    from xrbench.training.prediction.grad_cam import Explainer, Target
    from xrbench.training.prediction.predict import Predictor

CHUNK = 64
"""Images whose maps are in memory at a time."""


@dataclass(frozen=True)
class LoadedNetwork:
    """The network of a cell: one, or the members of an ensemble, whose scores and maps are averaged.

    Attributes:
        image_size: Side in pixels of the images it takes.
        layer: The explained layer with the size of its maps; where members have different ones, each once.
        members: What computes scores and maps, one pair a member.
    """

    image_size: int
    layer: str
    members: tuple[tuple[Predictor, Explainer], ...]

    def explain(
        self, images: ImageSet, targets: Sequence[Target]
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Compute each image's scores, shape (labels,), and map, shape (height, width), in order."""
        for start in range(0, len(images), CHUNK):
            part = slice(start, start + CHUNK)
            chunk = replace(images, domain=images.domain[part], row=images.row[part], truth=images.truth[part])
            scores = np.stack([predict(chunk) for predict, _ in self.members]).mean(axis=0)
            maps = np.stack([explain(chunk, targets[part]) for _, explain in self.members]).mean(axis=0)
            yield from zip(scores, maps, strict=True)


def load(
    run: ExplainableRun,
    catalogue: Catalogue,
    cell: NetworkCell,
    *,
    layer: str,
    technique: str,
    device: str,
    reporter: Reporter,
) -> LoadedNetwork:
    """Load the networks of a cell.

    Raises:
        StoreError: A fit is not there, or damaged.
        UnknownNameError: No such layer or technique.
        UsageError: The layer gives no map.
    """
    from xrbench.training.prediction.grad_cam import Explainer
    from xrbench.training.prediction.predict import Predictor

    members = []
    for key in cell.fit_keys or ("",):
        folder = Store(run.out).fit_folder(key) if key else None
        recipe = _recipe_of_fit(run, key) if key else _recipe_of_pretrained(run, catalogue, cell)
        predict = Predictor(recipe, folder=folder, key=key, device=device, reporter=reporter)
        members.append((predict, Explainer(predict, layer=layer, technique=technique)))
    layers = (explain.layer for _, explain in members)
    return LoadedNetwork(
        image_size=members[0][0].recipe.image_size,
        layer="; ".join(dict.fromkeys(f"{one.name}, {one.height} x {one.width}" for one in layers)),
        members=tuple(members),
    )


def _recipe_of_fit(run: ExplainableRun, key: str) -> cards.Recipe:
    """Read the recipe of a fit from its own folder: cards may have changed since."""
    path = Store(run.out).fit_folder(key) / "done.json"
    if not path.is_file():
        raise StoreError(f"{path}: no such file: the run's weights are not there any more; run it again")
    try:
        return msgspec.convert(store.read_json(path).get("recipe"), cards.Recipe)
    except msgspec.ValidationError as error:
        raise StoreError(f"{path}: recipe: {error}") from error


def _recipe_of_pretrained(run: ExplainableRun, catalogue: Catalogue, cell: NetworkCell) -> cards.Recipe:
    method = catalogue.method(cell.method)
    model = catalogue.model(method.inference or cell.model, where=f"method {cell.method}")
    return planning.recipe(run.suite, run.profile, method, model)

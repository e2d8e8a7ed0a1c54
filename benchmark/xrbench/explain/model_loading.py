"""The networks of a run, loaded from their fits to score images again and to say where they found their evidence."""

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
from xrbench.explain.run_cells import Explorable, NetworkCell
from xrbench.progress import Reporter
from xrbench.runs import store
from xrbench.runs.store import Store

if TYPE_CHECKING:
    from xrbench.training.prediction.grad_cam import Explainer, Target
    from xrbench.training.prediction.predict import Predictor

TOGETHER = 64
"""Images whose maps are held at a time."""


@dataclass(frozen=True)
class Ready:
    """The network of a cell: one, or the members of an ensemble, whose scores and maps are averaged.

    Attributes:
        image_size: Side in pixels of the images it takes.
        layer: The layer that is explained, with the size of its maps; of several members each other one once.
        members: How to score and to explain, one pair a member.
    """

    image_size: int
    layer: str
    members: tuple[tuple[Predictor, Explainer], ...]

    def explain(
        self, images: ImageSet, targets: Sequence[Target]
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Give each image's scores, shape (labels,), and map, shape (height, width), in order."""
        for start in range(0, len(images), TOGETHER):
            part = slice(start, start + TOGETHER)
            some = replace(images, domain=images.domain[part], row=images.row[part], truth=images.truth[part])
            scores = np.stack([predict(some) for predict, _ in self.members]).mean(axis=0)
            maps = np.stack([explain(some, targets[part]) for _, explain in self.members]).mean(axis=0)
            yield from zip(scores, maps, strict=True)


def load(
    run: Explorable,
    catalogue: Catalogue,
    cell: NetworkCell,
    *,
    layer: str,
    technique: str,
    device: str,
    reporter: Reporter,
) -> Ready:
    """Load what a cell was measured with.

    Raises:
        StoreError: A fit is not there, or damaged.
        UnknownNameError: No such layer or technique.
        UsageError: The layer gives no map.
    """
    from xrbench.training.prediction.grad_cam import Explainer
    from xrbench.training.prediction.predict import Predictor

    made = []
    for key in cell.fit_keys or ("",):
        folder = Store(run.out).fit_folder(key) if key else None
        recipe = _trained(run, key) if key else _as_it_comes(run, catalogue, cell)
        predict = Predictor(recipe, folder=folder, key=key, device=device, reporter=reporter)
        made.append((predict, Explainer(predict, layer=layer, technique=technique)))
    layers = (explain.layer for _, explain in made)
    return Ready(
        image_size=made[0][0].recipe.image_size,
        layer="; ".join(dict.fromkeys(f"{found.name}, {found.height} x {found.width}" for found in layers)),
        members=tuple(made),
    )


def _trained(run: Explorable, key: str) -> cards.Recipe:
    """Read what a fit was made of from its own folder: cards may have changed since."""
    path = Store(run.out).fit_folder(key) / "done.json"
    if not path.is_file():
        raise StoreError(f"{path}: no such file: the run's weights are not there any more; run it again")
    try:
        return msgspec.convert(store.read_json(path).get("recipe"), cards.Recipe)
    except msgspec.ValidationError as error:
        raise StoreError(f"{path}: recipe: {error}") from error


def _as_it_comes(run: Explorable, catalogue: Catalogue, cell: NetworkCell) -> cards.Recipe:
    method = catalogue.method(cell.method)
    model = catalogue.model(method.inference or cell.model, where=f"method {cell.method}")
    return planning.recipe(run.suite, run.profile, method, model)

"""Computation of saliency maps for images of a run.

The networks score the images again first: a score other than the stored one means that the pixels or the weights are not those that were
measured, and nothing is explained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from xrbench.errors import StoreError, UnknownNameError, UsageError
from xrbench.explain import model_loading
from xrbench.explain.annotations import Boxes
from xrbench.explain.image_selection import RULE, Item, by_rule, named
from xrbench.explain.image_source import ImageSource
from xrbench.explain.localisation_summary import agreement
from xrbench.explain.query import PREDICTED, TRUTH, Question, index_row, map_figures, target_of
from xrbench.explain.run_cells import ExplainableRun, NetworkCell
from xrbench.explain.storage import Explained
from xrbench.fixture_notice import FIXTURE, STAMP
from xrbench.runs.prediction_frame import patients_of

SCORE_TOLERANCE = 0.01
"""Scores of one network for one image differ less than this between devices."""
LAYERS = "the deepest with a map of at least 7 x 7 cells"
"""Which layer is explained where none is named; stored, so that explanations of another rule are computed anew."""
Saliency = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


def compute(run: ExplainableRun, question: Question, source: ImageSource, *, device: str = "auto") -> Explained:
    """Compute saliency maps for images of a run.

    Args:
        run: The run.
        question: Which images, labels and technique.
        source: Where the images are.
        device: Where it is computed.

    Raises:
        UnknownNameError: No such label, image, target, technique or layer; the nearest one is offered.
        UsageError: No cell matches, no image fits the rule, or the layer gives no map.
        StoreError: A fit or its predictions are missing, or the fit does not give the stored scores any more.
        DataError: Images or boxes are missing, or broken.
    """
    labels = _label_positions(run, question)
    cells = run.select(question.only)
    boxes = Boxes(source, [run.suite.labels[label] for label in labels])
    items = named(cells, labels, question.images) if question.images else by_rule(cells, labels, question.count)
    if question.boxes:
        items += boxes.items(cells, labels)
    if not items:
        raise UsageError(f"{run.folder}: no image of the chosen cells has a chosen label, or is called to have it")
    collected = _Collected()
    with source.reporter.bar("explain", len(items)) as bar:
        for group in _by_network(items):
            for item, layer, image, saliency in _explained(run, question, source, group, device):
                on_image = boxes.of(*item.image, item.name, image.shape[0])
                row = index_row(item, question, layer) | map_figures(saliency, on_image, question)
                collected.add(item, image, saliency, row)
                bar.advance(1, item.cell.test)
    index = pd.DataFrame(collected.rows)
    return Explained(
        index=index,
        images=tuple(collected.images.values()),
        maps=tuple(collected.maps),
        boxes=boxes.table(),
        agreement=_agreement(index, question, source) if question.boxes else pd.DataFrame(),
        about=description(run, question, cells),
    )


def description(run: ExplainableRun, question: Question, cells: Sequence[NetworkCell]) -> dict[str, Any]:
    """Describe a question and the cells that it is about, in plain values."""
    return {
        "suite": run.suite.name,
        "stamp": STAMP if run.manifest["data"] == FIXTURE else "",
        "asked": {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(question).items()},
        "images": "as named" if question.images else RULE.format(count=question.count),
        "layers": "as named" if question.layer else LAYERS,
        "keys": [cell.key for cell in cells],
    }


class _Collected:
    """Rows, images and maps in the order of their computation; an image is stored once however many networks saw it."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.images: dict[tuple[str, str, int], Image] = {}
        self.maps: list[Saliency] = []

    def add(self, item: Item, image: Image, saliency: Saliency, row: dict[str, Any]) -> None:
        """Add the numbers of one map and, where a panel shows it, the map and its image."""
        positions = {"pixels": -1, "map": -1}
        if item.shown:
            key = (*item.image, image.shape[0])
            self.images.setdefault(key, image)
            positions = {"pixels": list(self.images).index(key), "map": len(self.maps)}
            self.maps.append(saliency)
        self.rows.append({**row, **positions})


def _label_positions(run: ExplainableRun, question: Question) -> list[int]:
    """Find the positions of the question's labels, and refuse names that do not exist."""
    known = run.suite.labels
    for label in question.labels:
        if label not in known:
            raise UnknownNameError("label", label, known, where=f"suite {run.suite.name}")
    if question.target not in ("", PREDICTED, TRUTH, *known):
        raise UnknownNameError("target", question.target, [PREDICTED, TRUTH, *known])
    return [known.index(label) for label in question.labels or known]


def _by_network(items: Sequence[Item]) -> list[list[Item]]:
    """Group items by network, so that each network is loaded once."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.cell.fit, []).append(item)
    return list(groups.values())


def _explained(
    run: ExplainableRun, question: Question, source: ImageSource, items: Sequence[Item], device: str
) -> Iterator[tuple[Item, str, Image, Saliency]]:
    """Explain the images of one network."""
    network = model_loading.load(
        run,
        source.catalogue,
        items[0].cell,
        layer=question.layer,
        technique=question.technique,
        device=device,
        reporter=source.reporter,
    )
    images = source.pixels([item.image for item in items], network.image_size)
    results = network.explain(images, [target_of(item, question) for item in items])
    for number, (item, (scores, saliency)) in enumerate(zip(items, results, strict=True)):
        _check_scores(item, scores)
        yield item, network.layer, images.image(number), saliency


def _check_scores(item: Item, scores: npt.NDArray[np.float32]) -> None:
    stored = item.cell.score[item.row]
    worst = int(np.abs(scores - stored).argmax())
    # Negated so that NaN does not pass.
    if not abs(scores[worst] - stored[worst]) <= SCORE_TOLERANCE:
        dataset, image = item.image
        raise StoreError(
            f"{item.cell.cell}: image {image!r} of {dataset} scores {scores[worst]:.3f} for {item.cell.labels[worst]} now, "
            f"{stored[worst]:.3f} when it was measured: its pixels or the weights are others"
        )


def _agreement(index: pd.DataFrame, question: Question, source: ImageSource) -> pd.DataFrame:
    """Summarise the localisation of every image with label and box, each explained once for that label."""
    measured = index[~index["shown"] & index["area"].notna()].copy()
    measured["patient"] = patients_of(measured, lambda dataset: source.of(dataset).base)
    return agreement(measured, level=question.level)

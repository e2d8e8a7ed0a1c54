"""Ask the networks of a run where in its images they found their evidence.

The networks score the images again first: a score other than the stored one means other pixels or other weights than those that
were measured, and nothing is explained.
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
from xrbench.explain.image_source import Places
from xrbench.explain.localisation_summary import agreement
from xrbench.explain.query import PREDICTED, TRUTH, Question, measure, target_of, tell
from xrbench.explain.run_cells import Explorable, NetworkCell
from xrbench.explain.storage import Explained
from xrbench.fixture_notice import FIXTURE, STAMP

SAME = 0.01
"""Scores of one network for one image differ less than this between devices."""
Saliency = npt.NDArray[np.float32]
Film = npt.NDArray[np.uint8]


def ask(run: Explorable, question: Question, places: Places, *, device: str = "auto") -> Explained:
    """Explain images of a run.

    Args:
        run: The run.
        question: What is asked.
        places: Where the images are.
        device: Where it is computed.

    Raises:
        UnknownNameError: No such label, image, target, technique or layer; the nearest one is offered.
        UsageError: No cell matches, no image fits the rule, or the layer gives no map.
        StoreError: A fit or its predictions are not there, or do not give the stored scores any more.
        DataError: Images or boxes are not there, or broken.
    """
    labels = _checked(run, question)
    cells = run.chosen(question.only)
    boxes = Boxes(places, [run.suite.labels[label] for label in labels])
    items = named(cells, labels, question.images) if question.images else by_rule(cells, labels, question.count)
    if question.boxes:
        items += boxes.items(cells, labels)
    if not items:
        raise UsageError(f"{run.folder}: no image of the chosen cells has a chosen label, or is called to have it")
    gathered = _Gathered()
    with places.reporter.bar("explain", len(items)) as bar:
        for group in _by_network(items):
            for item, layer, film, saliency in _explained(run, question, places, group, device):
                dataset, image = item.picture
                drawn = boxes.of(dataset, image, item.name, film.shape[0])
                gathered.add(item, film, saliency, tell(item, question, layer) | measure(saliency, drawn, question))
                bar.advance(1, item.cell.test)
    index = pd.DataFrame(gathered.rows)
    return Explained(
        index=index,
        films=tuple(gathered.films.values()),
        maps=tuple(gathered.maps),
        boxes=boxes.table(),
        agreement=_agreement(index, question, places) if question.boxes else pd.DataFrame(),
        about=about(run, question, cells),
    )


def about(run: Explorable, question: Question, cells: Sequence[NetworkCell]) -> dict[str, Any]:
    """Describe a question and whom it is put to, in plain values."""
    return {
        "suite": run.suite.name,
        "stamp": STAMP if run.manifest["data"] == FIXTURE else "",
        "asked": {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(question).items()},
        "images": "as named" if question.images else RULE.format(count=question.count),
        "keys": [cell.key for cell in cells],
    }


class _Gathered:
    """Rows, films and maps as they come; a film is kept once however many networks saw it."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.films: dict[tuple[str, str, int], Film] = {}
        self.maps: list[Saliency] = []
        self._film_at: dict[tuple[str, str, int], int] = {}

    def add(self, item: Item, film: Film, saliency: Saliency, row: dict[str, Any]) -> None:
        """Keep one map: its numbers, and where it is shown the map and its film."""
        at = {"film": -1, "map": -1}
        if item.shown:
            key = (*item.picture, film.shape[0])
            self.films.setdefault(key, film)
            at = {"film": self._film_at.setdefault(key, len(self._film_at)), "map": len(self.maps)}
            self.maps.append(saliency)
        self.rows.append({**row, **at})


def _checked(run: Explorable, question: Question) -> list[int]:
    """Return the positions of the asked labels, after refusing names that do not exist."""
    known = run.suite.labels
    for label in question.labels:
        if label not in known:
            raise UnknownNameError("label", label, known, where=f"suite {run.suite.name}")
    if question.target not in ("", PREDICTED, TRUTH, *known):
        raise UnknownNameError("target", question.target, [PREDICTED, TRUTH, *known])
    return [known.index(label) for label in question.labels or known]


def _by_network(items: Sequence[Item]) -> Iterator[list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.cell.fit, []).append(item)
    yield from groups.values()


def _explained(
    run: Explorable, question: Question, places: Places, items: Sequence[Item], device: str
) -> Iterator[tuple[Item, str, Film, Saliency]]:
    """Explain the images of one network."""
    ready = model_loading.load(
        run,
        places.catalogue,
        items[0].cell,
        layer=question.layer,
        technique=question.technique,
        device=device,
        reporter=places.reporter,
    )
    images = places.pixels([item.picture for item in items], ready.image_size)
    found = ready.explain(images, [target_of(item, question) for item in items])
    for number, (item, (scores, saliency)) in enumerate(zip(items, found, strict=True)):
        _check_scores(item, scores)
        yield item, ready.layer, images.gather(np.array([number]))[0, 0], saliency


def _check_scores(item: Item, scores: npt.NDArray[np.float32]) -> None:
    stored = item.cell.score[item.row]
    worst = int(np.abs(scores - stored).argmax())
    if not abs(scores[worst] - stored[worst]) <= SAME:
        dataset, image = item.picture
        raise StoreError(
            f"{item.cell.cell}: image {image!r} of {dataset} scores {scores[worst]:.3f} for {item.cell.labels[worst]} now, "
            f"{stored[worst]:.3f} when it was measured: its pixels or the weights are others"
        )


def _agreement(index: pd.DataFrame, question: Question, places: Places) -> pd.DataFrame:
    """Summarise what was measured against boxes: every image with label and box once, explained for that label."""
    measured = index[~index["shown"] & index["area"].notna()].copy()
    bases = measured["dataset"].map(lambda name: places.of(name).base)
    ids = measured["patient_id"]
    measured["patient"] = (bases + "/" + ids.astype(str)).where(ids.notna(), None)
    return agreement(measured, level=question.level)

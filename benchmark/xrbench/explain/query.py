"""What is explained: the question that a user or a suite puts, its target for one image, and the row of the index that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xrbench.errors import UsageError
from xrbench.explain.image_selection import Item, outcome
from xrbench.explain.localisation import Box, localise, spread

if TYPE_CHECKING:
    from xrbench.training.prediction.grad_cam import Target

PREDICTED, TRUTH = "predicted", "truth"


@dataclass(frozen=True)
class Question:
    """Which images are explained, for which labels, and how.

    Attributes:
        labels: Labels that panels are about; all of the suite's when empty.
        images: Image ids, or ``dataset/id``; selected by a rule when empty.
        count: How many the rule selects for each label and test set.
        target: ``predicted``, ``truth`` or a label; empty for ``predicted`` in a multi-class task, else for the label that the
            panel is about. In a multi-label task ``predicted`` and ``truth`` ask for evidence for or against the panel's label.
        technique: Such as ``gradcam``.
        layer: Name of a layer; empty for the deepest one with a map of at least 7 x 7 cells.
        only: ``field=value`` filters on cells.
        boxes: Whether all images with a label and a box of it are compared with the box, not only those that are shown.
        tolerance: Distance in pixels of the map at which its highest point still counts as inside a box.
        level: Confidence level of intervals.
    """

    labels: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    count: int = 4
    target: str = ""
    technique: str = "gradcam"
    layer: str = ""
    only: tuple[str, ...] = ()
    boxes: bool = False
    tolerance: float = 0.0
    level: float = 0.95


def target_of(item: Item, question: Question) -> Target:
    """Choose the network's output that is explained for an image; one that is only measured is explained for its label.

    Raises:
        UsageError: The truth is asked for and not known.
    """
    from xrbench.training.prediction.grad_cam import Target

    cell, target = item.cell, question.target if item.shown else item.name
    if target in cell.labels:
        return Target(cell.labels.index(target))
    if not target and not cell.exclusive:
        return Target(item.label)
    truth = cell.truth[item.row]
    if target == TRUTH and np.isnan(truth[item.label]):
        dataset, image = item.image
        raise UsageError(f"--target truth: {item.name} is not labelled in image {image!r} of {dataset}")
    present = truth == 1 if target == TRUTH else cell.predicted[item.row]
    if cell.exclusive:
        return Target(int(present.argmax()))
    return Target(item.label, 1 if present[item.label] else -1)


def index_row(item: Item, question: Question, layer: str) -> dict[str, Any]:
    """Describe an explained image in the columns of the index."""
    cell, row, label = item.cell, item.row, item.label
    dataset, image = item.image
    truth, predicted, target = (
        float(cell.truth[row, label]),
        bool(cell.predicted[row, label]),
        target_of(item, question),
    )
    top = int(cell.predicted[row].argmax())
    return {
        "label": item.name,
        "dataset": dataset,
        "image": image,
        "patient_id": cell.frame["patient_id"].iloc[row],
        "test": cell.test,
        "protocol": cell.protocol,
        "network": cell.fit,
        **{name: getattr(cell, name) for name in ("method", "model", "train", "configuration", "seed", "members")},
        "cell": cell.cell,
        "truth": truth,
        "actual": _actual(item),
        "score": float(cell.score[row, label]),
        "threshold": cell.threshold(item.name),
        "predicted": cell.labels[top] if cell.exclusive else _state(item.name, predicted),
        "predicted_score": float(cell.score[row].max() if cell.exclusive else cell.score[row, label]),
        "outcome": outcome(truth, predicted),
        "target": _state(cell.labels[target.output], target.sign > 0),
        "layer": layer,
        "technique": question.technique,
        "shown": item.shown,
    }


def map_figures(saliency: npt.NDArray[np.float32], boxes: Sequence[Box], question: Question) -> dict[str, float]:
    """Compute the columns of the index that describe a map, shape (height, width), and its localisation if there are boxes."""
    localised = localise(saliency, boxes, tolerance=question.tolerance)._asdict() if boxes else {}
    without_boxes = dict.fromkeys(("share", "area", "hit", "near"), float("nan"))
    return {"image_size": saliency.shape[0], **spread(saliency)._asdict(), **without_boxes, **localised}


def _actual(item: Item) -> str:
    truth = item.cell.truth[item.row]
    if np.isnan(truth[item.label]):
        return "not labelled"
    if item.cell.exclusive:
        return item.cell.labels[int(np.nanargmax(truth))]
    return _state(item.name, truth[item.label] == 1)


def _state(label: str, present: bool) -> str:
    return label if present else f"no {label}"

"""What is asked, what that means for one image, and what is said of its map."""

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
    """What is asked.

    Attributes:
        labels: Labels that panels are about; all of the suite's when empty.
        images: Image ids, or ``dataset/id``; chosen by a rule when empty.
        count: How many the rule chooses for each label and test set.
        target: ``predicted``, ``truth`` or a label; empty for ``predicted`` where classes exclude each other, else for the label
            that the panel is about. Where labels do not exclude each other, ``predicted`` and ``truth`` ask for evidence for or
            against the panel's label.
        technique: Such as ``gradcam``.
        layer: Name of a layer; empty for the last convolutional one.
        only: ``field=value`` filters on cells.
        boxes: Whether all images with a label and a box of it are measured against the box, not only those that are shown.
        tolerance: Pixels of the map that its highest point may lie outside of a box.
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
    """Say which evidence the map of an image shows; an image that is only measured is explained for its label.

    Raises:
        UsageError: The truth is asked for and not known.
    """
    from xrbench.training.prediction.grad_cam import Target

    cell, wanted = item.cell, question.target if item.shown else item.name
    if wanted in cell.labels:
        return Target(cell.labels.index(wanted))
    if not wanted and not cell.exclusive:
        return Target(item.label)
    truth, called = cell.truth[item.row], cell.called[item.row]
    if wanted == TRUTH and np.isnan(truth[item.label]):
        raise UsageError(
            f"--target truth: {item.name} is not labelled in image {item.picture[1]!r} of {item.picture[0]}"
        )
    present = truth == 1 if wanted == TRUTH else called
    if cell.exclusive:
        return Target(int(present.argmax()))
    return Target(item.label, 1 if present[item.label] else -1)


def tell(item: Item, question: Question, layer: str) -> dict[str, Any]:
    """Say in a row of the index what was explained."""
    cell, row, label = item.cell, item.row, item.label
    called, truth, wanted = bool(cell.called[row, label]), float(cell.truth[row, label]), target_of(item, question)
    pair = dict(zip(("dataset", "image"), item.picture, strict=True))
    return {
        "label": item.name,
        **pair,
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
        "predicted": cell.labels[int(cell.called[row].argmax())] if cell.exclusive else _state(item.name, called),
        "predicted_score": float(cell.score[row].max() if cell.exclusive else cell.score[row, label]),
        "outcome": outcome(truth, called),
        "target": _state(cell.labels[wanted.output], wanted.sign > 0),
        "layer": layer,
        "technique": question.technique,
        "shown": item.shown,
    }


def _actual(item: Item) -> str:
    truth = item.cell.truth[item.row]
    if np.isnan(truth[item.label]):
        return "not labelled"
    if item.cell.exclusive:
        return item.cell.labels[int(np.nanargmax(truth))]
    return _state(item.name, truth[item.label] == 1)


def _state(label: str, present: bool) -> str:
    return label if present else f"no {label}"


def measure(saliency: npt.NDArray[np.float32], drawn: Sequence[Box], question: Question) -> dict[str, float]:
    """Say in a row of the index how a map is spread, and how it lies to the boxes, if there are any."""
    against = localise(saliency, drawn, tolerance=question.tolerance)._asdict() if drawn else {}
    empty = dict.fromkeys(("share", "area", "hit", "near"), float("nan"))
    return {"image_size": saliency.shape[0], **spread(saliency)._asdict(), **empty, **against}

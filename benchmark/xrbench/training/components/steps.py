"""Steps of training: what a sampler yields, and what an objective of all groups sees.

A sampler yields a step as a tuple of groups, each the positions of its images, or as a ``PairedStep`` where the images at the
same place of all groups belong together (two images of a patient, two views of an image). After the forward pass a group is a
``Group``: its logits, features and truth, all in the order of its images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Indices = npt.NDArray[np.int64]
Step = tuple[Indices, ...]


class PairedStep(tuple[Indices, ...]):
    """Step whose groups are paired image by image.

    >>> PairedStep([np.array([4, 7]), np.array([5, 2])])[1].tolist()  # 4 goes with 5, and 7 with 2
    [5, 2]

    Raises:
        ValueError: The groups have different lengths.
    """

    def __new__(cls, groups: Iterable[Indices]) -> Self:
        """Check that the groups have one length."""
        step = super().__new__(cls, groups)
        lengths = {len(group) for group in step}
        if len(lengths) > 1:
            raise ValueError(f"paired groups of different lengths: {sorted(lengths)}")
        return step


@dataclass(frozen=True)
class Group:
    """Images that went through the network together; every tensor is on the device.

    Attributes:
        scores: Head -> logits, float32, shape (n, outputs).
        truth: Head -> its truth, float32, NaN for not labelled, same shape; heads without truth are missing in both.
        features: Input of the output layer, float32, shape (n, features).
        domain: Dataset of each image, as a number, shape (n,).
        patient: Patient of each image, as a number, shape (n,); None where patients are not known.
        positions: Position of each image in its set, shape (n,).
    """

    scores: Mapping[str, Tensor]
    truth: Mapping[str, Tensor]
    features: Tensor
    domain: Tensor
    patient: Tensor | None
    positions: Tensor

    def __len__(self) -> int:
        return len(self.positions)

    def rows(self, chosen: Tensor) -> Group:
        """Return the images that a mask (n,) or an array of places selects."""
        return Group(
            scores={head: values[chosen] for head, values in self.scores.items()},
            truth={head: values[chosen] for head, values in self.truth.items()},
            features=self.features[chosen],
            domain=self.domain[chosen],
            patient=None if self.patient is None else self.patient[chosen],
            positions=self.positions[chosen],
        )

    @classmethod
    def join(cls, groups: Sequence[Group]) -> Group:
        """Concatenate groups, in order."""
        first = groups[0]
        return cls(
            scores={head: torch.cat([group.scores[head] for group in groups]) for head in first.scores},
            truth={head: torch.cat([group.truth[head] for group in groups]) for head in first.truth},
            features=torch.cat([group.features for group in groups]),
            domain=torch.cat([group.domain for group in groups]),
            patient=None if first.patient is None else torch.cat([_known(group.patient) for group in groups]),
            positions=torch.cat([group.positions for group in groups]),
        )


def _known(patient: Tensor | None) -> Tensor:
    if patient is None:
        raise ValueError("some groups have patients and others have none")
    return patient

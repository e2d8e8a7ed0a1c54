from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

Floats = npt.NDArray[np.float64]


class ImageSample(NamedTuple):
    truth: Floats
    score: Floats
    patient: npt.NDArray[np.int64]


def sample_images(
    seed: int, patients: int, labels: int = 1, *, digits: int = 12, masked: float = 0.0, shift: float = 1.0
) -> ImageSample:
    """Draw images of patients (1 to 4 each) whose truth and score hang together within a patient."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    n = len(patient)
    ill = rng.random((patients, labels)) < 0.3
    truth = (ill[patient] ^ (rng.random((n, labels)) < 0.05)).astype(float)
    latent = shift * truth + 0.7 * rng.normal(size=(patients, labels))[patient] + rng.normal(size=(n, labels))
    score = np.round(1 / (1 + np.exp(-latent)), digits)
    truth[rng.random((n, labels)) < masked] = np.nan
    return ImageSample(truth, score, patient)


@pytest.fixture
def draw_images() -> Callable[..., ImageSample]:
    return sample_images

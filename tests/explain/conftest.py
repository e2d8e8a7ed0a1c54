"""Cells of a run that were never measured: predictions as a test writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench.explain.run_cells import NetworkCell
from xrbench.runs import store

MakeCell = Callable[..., NetworkCell]


@pytest.fixture
def make_cell(tmp_path: Path) -> MakeCell:
    """Make a cell of these truths and scores, shape (images, labels); images are called i0, i1 ..."""

    def make(
        truth: Any, score: Any, *, name: str = "m/net/a/seed-0/here", dataset: str = "here", **changes: Any
    ) -> NetworkCell:
        labels = changes.pop("labels", ("Edema", "Effusion")[: np.shape(truth)[1]])
        frame = pd.DataFrame({"image": [f"i{at}" for at in range(len(truth))]})
        frame["patient_id"] = [f"p{at // 2}" for at in range(len(truth))]
        frame["dataset"] = dataset
        for at, label in enumerate(labels):
            frame[f"truth:{label}"] = np.asarray(truth, float)[:, at]
            frame[f"score:{label}"] = np.asarray(score, float)[:, at]
        frame = changes.pop("order", lambda same: same)(frame)
        path = tmp_path / f"{name.replace('/', '_')}.parquet"
        store.write_predictions(path, frame, {"key": name})
        about: dict[str, Any] = {
            "method": "m",
            "model": "net",
            "train": "a",
            "valid": "held-out",
            "test": dataset,
            "protocol": "external",
            "seed": 0,
            "configuration": "",
            "members": 1,
            "fit_keys": ("k",),
            "thresholds": {},
            "exclusive": False,
        }
        return NetworkCell(cell=name, path=path, key=name, labels=labels, **{**about, **changes})

    return make

"""What the recipes of CONTRIBUTING give that a training uses: one small run with all of them, printed as JSON.

    python -m tests.trained_additions FOLDER COMMANDS

FOLDER is an empty folder, COMMANDS a JSON list of command lines to be run.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from tests.additions import output_of
from tests.cli.conftest import CARDS, draw_hospital
from xrbench.runs import store

SUITE = """
title = "All additions"
labels = ["Effusion", "Edema"]
models = ["tiny-net"]
methods = ["one-image-a-patient", "smoothed-labels", "vrex", "after-two-views", "half-of-each-layer"]
metrics = ["auc"]
[protocol]
kind = "xrbench.planning.growing:growing"
datasets = ["east", "west", "north"]
internal = false
[profiles.quick]
image_size = 32
epochs = 1
batch_size = 4
threads = 1
channels_last = false
split = { test_fraction = 0.3, valid_fraction = 0.3, seed = 0 }
"""
TABLE = 'title = "{}"\nreader = "table"'


def main(folder: Path, commands: list[str]) -> dict[str, Any]:
    """Use each addition."""
    before = os.nice(0)
    return {
        "commands": {line: output_of(shlex.split(line)[1:]) for line in commands},
        **_trained(folder),
        "nice": os.nice(0) - before,
        "sampler": _sampled(),
        **_objectives(),
    }


def _block(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"xrbench.training.components.{module}"), name)


def _trained(folder: Path) -> dict[str, Any]:
    """Train and measure all methods by the command line."""
    registry = folder / "lab" / "registry"
    cards = {"models/tiny-net": CARDS["models/tiny-net"], "suites/additions": SUITE}
    for seed, name in enumerate(("east", "west", "north")):
        draw_hospital(folder / "data" / name, seed, images=24)
        cards[f"datasets/{name}"] = TABLE.format(name)
    for name, text in cards.items():
        (registry / name).parent.mkdir(parents=True, exist_ok=True)
        (registry / f"{name}.toml").write_text(text)
    options = f"--suite additions --catalogue {folder / 'lab'} --data-root {folder / 'data'} --out {folder / 'out'}"
    code, _ = output_of(shlex.split(f"run {options} --executor background --quiet"))
    manifest = store.read_manifest(next((folder / "out" / "additions").iterdir()))
    fits = {entry["method"]: entry for entry in manifest["fits"]}
    weights = {
        method: torch.load(folder / "out" / "fits" / entry["key"] / "weights.pt", weights_only=True)["network"]
        for method, entry in fits.items()
        if method in ("half-of-each-layer", "random-batching")
    }
    convolutions = [name for name, value in weights["half-of-each-layer"].items() if value.ndim == 4]
    zeros = {
        method: {name: (int((values[name] == 0).sum()), values[name].numel()) for name in convolutions}
        for method, values in weights.items()
    }
    return {
        "run": code,
        "cells": sorted(
            [entry["method"], "+".join(entry["train"]), entry["test"]]
            for entry in manifest["cells"]
            if entry["protocol"] == "external"
        ),
        "stages": {method: entry["stage"] for method, entry in fits.items()},
        "zeros": zeros["half-of-each-layer"],
        "zeros_of_parent": sum(count for count, _ in zeros["random-batching"].values()),
    }


def _sampled() -> list[list[int]]:
    """Draw four steps of three images from three patients with 1, 2 and 7 images."""
    patient = np.repeat([0, 1, 2], [1, 2, 7])
    draw = _block("patient_sampler", "one_image_a_patient")
    steps = draw(np.zeros(10, np.int64), batch_size=3, steps=4, rng=np.random.default_rng(0), patient=patient)
    return [patient[images].tolist() for (images,) in steps]


def _objectives() -> dict[str, Any]:
    smoothed = _block("smoothed_loss", "smoothed_bce")
    known, unknown = torch.tensor([[2.0, 5.0]]), torch.tensor([[1.0, torch.nan]])
    vrex = _block("vrex", "VREx")
    groups = [torch.tensor(1.0), torch.tensor(3.0)]
    first, later = vrex(lambda loss: loss, weight=10.0, after=1), vrex(lambda loss: loss, weight=10.0, after=1)
    values = [float(first(groups))]
    later.load_state_dict(first.state_dict())
    values += [float(first(groups)), float(later(groups))]
    views = [SimpleNamespace(features=torch.eye(3)), SimpleNamespace(features=3 * torch.eye(3))]
    contrast = float(_block("two_views", "Contrast")(temperature=0.5)(views))
    return {"smoothed": float(smoothed(known, unknown, smoothing=0.2)), "vrex": values, "contrast": contrast}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))

"""What tests in several folders share: a small run as ``xrbench run`` would leave it, without training."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from tests.no_skips import pytest_make_collect_report, pytest_runtest_makereport  # noqa: F401 - hooks
from xrbench import cards, scoring
from xrbench.runs import store

# An example that compiles a kernel, or shares a processor, takes seconds: time is measured in tests/perf alone.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first: workers take whole files, and a long one at the end would leave one of them idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


LABELS = ("Edema", "Effusion")
SETTINGS = ((("a", "b"), "c"), (("a", "c"), "b"))
Change = Callable[[str, pd.DataFrame], pd.DataFrame]


def small_suite_card() -> cards.SuiteCard:
    return cards.SuiteCard(
        title="Small",
        name="small",
        labels=LABELS,
        methods=("plain", "fancy"),
        metrics=("auc", "recall@specificity=0.9", "brier"),
        interval=cards.Interval(replicates=100),
        comparisons=(cards.Comparison(challenger="fancy", baseline="plain"),),
        protocol=cards.Protocol(settings=tuple(cards.Setting(train=train, test=test) for train, test in SETTINGS)),
    )


def predictions(cell: str, test: str, skill: float, *, images: int = 200) -> pd.DataFrame:
    """Draw the same patients, truth and difficulty for every cell on a dataset; a little noise belongs to the cell."""
    patients = np.random.default_rng(sum(map(ord, test))).integers(0, images // 2, images)
    truth = (np.random.default_rng(len(test) + 7).random((images, len(LABELS))) < 0.4).astype(np.float32)
    truth[:5, 0] = np.nan
    noise = np.random.default_rng(sum(map(ord, test)) + 1).normal(size=truth.shape)
    noise += np.random.default_rng(sum(map(ord, cell))).normal(0, 0.2, size=truth.shape)
    score = 1 / (1 + np.exp(-(skill * np.nan_to_num(truth) + noise - skill / 2)))
    frame = pd.DataFrame({"image": [f"{test}{i}.png" for i in range(images)], "patient_id": patients.astype(str)})
    frame["dataset"] = test
    for number, label in enumerate(LABELS):
        frame[f"truth:{label}"], frame[f"score:{label}"] = truth[:, number], score[:, number]
    return frame


def write_run(
    out: Path,
    skills: Mapping[str, float],
    *,
    change: Change | None = None,
    name: str = "r1",
    scores: Path | None = None,
    seeds: Sequence[int] = (0,),
) -> Path:
    """Write a run folder as a run does (cells by key below OUT, a manifest that names them) and score it, or copy scores."""
    folder = out / "small" / name
    entries: list[dict[str, Any]] = []
    lines = [
        (method, skill, *setting, seed) for method, skill in skills.items() for setting in SETTINGS for seed in seeds
    ]
    for method, skill, train, test, seed in lines:
        fit = f"{method}/net/{'+'.join(train)}/valid-held-out/seed-{seed}"
        tests = [(test, "external", 0.6), *((t, "internal", 1.0) for t in train), ("held-out", "validation", 1.0)]
        for where, protocol, share in tests:
            cell_name = f"{fit}/{'validation' if protocol == 'validation' else where}"
            frame = predictions(cell_name, where, skill * share)
            key = f"{name}-{len(entries)}"
            entry: dict[str, Any] = {
                "method": method,
                "model": "net",
                "train": list(train),
                "valid": "held-out",
                "test": where,
            }
            entry |= {"protocol": protocol, "seed": seed, "seen": False, "cell": cell_name, "key": key, "fits": [fit]}
            entry |= {"setting": f"{'+'.join(train)}>held-out>{test}", "file": f"../../cells/{key}.parquet"}
            entries.append(entry)
            frame = change(cell_name, frame) if change else frame
            if len(frame):
                store.write_predictions(out / "cells" / f"{key}.parquet", frame, {"key": key})
    card = small_suite_card()
    manifest = {
        "format": store.MANIFEST_FORMAT,
        "suite": cards.plain(card),
        "settings": [cards.plain(setting) for setting in card.protocol.settings],
        "profile_name": "quick",
        "profile": {"image_size": 64, "epochs": 6},
        "data": "FIXTURE",
        "datasets": [
            {"dataset": test, "images": 200, "patients": 90, "used": 120, "shareable": True} for test in ("a", "b", "c")
        ],
        "fits": [],
        "cells": entries,
        "command": "xrbench run --suite small --out /somewhere/runs",
        "written": "2026-11-20T10:00:00+00:00",
        "environment": {"xrbench": "0.1.0", "python": "3.12.1", "libraries": {"numpy": "2.0.0"}, "machine": "Linux"},
    }
    store.write_json(folder / store.MANIFEST, manifest)
    if scores is None:
        scoring.score_run(folder)
    else:
        (folder / "scores.csv").write_bytes((scores / "scores.csv").read_bytes())
    return folder


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """Write a small run: ``make_run(out, {"plain": 1.5, "fancy": 2.5}, change=None, name="r1", scores=None, seeds=(0,))``."""
    return write_run


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with a file of the folder ``golden`` beside the test, byte for byte.

    XRBENCH_WRITE_GOLDEN=1 writes the files, to be read and committed.
    """

    def compare(name: str, text: str) -> None:
        path = request.path.parent / "golden" / name
        if os.environ.get("XRBENCH_WRITE_GOLDEN"):
            path.write_bytes(text.encode())
        assert text.encode() == path.read_bytes()

    return compare

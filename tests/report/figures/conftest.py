"""Small runs in memory that figures are drawn of: one with several labels, one with multi-class labels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards
from xrbench.compare.scores_io import Results, check_scores
from xrbench.metrics import auc, multiclass_accuracy
from xrbench.report.run_folder import Run

LABELS = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Effusion")
CLASSES = ("No Finding", "Cardiomegaly", "Nodule/Mass", "Lung Opacity", "Effusion", "Consolidation")
TRAINED = {"chexpert-alone": ("chexpert",), "nih-alone": ("nih",), "both": ("chexpert", "nih")}
PREVALENCE = {"chexpert": 0.25, "nih": 0.06, "chexpert+nih": 0.15, "mimic": 0.2}

Frames = dict[str, pd.DataFrame]
Row = dict[str, Any]


def labelled_frame(
    test: str, labels: Sequence[str], skill: float, *, images: int, seed: int, missing: float = 0.05
) -> pd.DataFrame:
    """Draw predictions: about two images a patient, whose truth and score hang together."""
    rng = np.random.default_rng([seed, *map(ord, test)])
    patient = np.sort(rng.integers(0, max(2, images // 2), images))
    frame = pd.DataFrame({"image": [f"{test}-{i}.png" for i in range(images)], "patient_id": patient.astype(str)})
    frame["dataset"] = test
    for number, label in enumerate(labels):
        ill = rng.random(images)[patient] < PREVALENCE.get(test, 0.3) / (1 + 0.4 * number)
        truth = ill.astype(float)
        latent = skill * truth + 0.6 * rng.normal(size=images)[patient] + 0.8 * rng.normal(size=images) - 1.5
        truth[rng.random(images) < missing] = np.nan
        frame[f"truth:{label}"], frame[f"score:{label}"] = truth, 1 / (1 + np.exp(-latent))
    return frame


def class_frame(test: str, classes: Sequence[str], skill: float, *, images: int, seed: int) -> pd.DataFrame:
    """Draw softmax predictions of images that have one class each; some are not labelled."""
    rng = np.random.default_rng([seed, *map(ord, test)])
    weights = np.array([0.35, 0.25, 0.06, 0.1, 0.14, 0.1])[: len(classes)]
    truth = rng.choice(len(classes), images, p=weights / weights.sum())
    logits = rng.normal(size=(images, len(classes))) + 2.0 * weights / weights.max()
    logits[np.arange(images), truth] += skill
    score = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = pd.DataFrame({"image": [f"{test}-{i}.png" for i in range(images)]})
    frame["patient_id"], frame["dataset"] = (np.arange(images) // 2).astype(str), test
    one_hot = np.eye(len(classes))[truth]
    one_hot[:3] = np.nan
    for number, name in enumerate(classes):
        frame[f"truth:{name}"], frame[f"score:{name}"] = one_hot[:, number], score[:, number]
    return frame


def score_row(cell: Row, label: str, metric: str, value: float, width: float = 0.03) -> Row:
    known = not math.isnan(value)
    low, high = (max(0.0, value - width), min(1.0, value + width)) if known else (math.nan, math.nan)
    return {**cell, "label": label, "metric": metric, "value": value, "low": low, "high": high, "level": 0.95}


def cell_row(method: str, model: str, name: str, train: Sequence[str], test: str, protocol: str, **more: Any) -> Row:
    about = {"seed": 0, "members": 1, "data": "real", "suite": "small", "valid": "held-out", "seen": False} | more
    place = f"{method}/{model}/{name}:{'+'.join(train)}/valid-held-out/seed-{about['seed']}/{test}"
    about |= {"method": method, "model": model, "configuration": name, "train": "+".join(train), "test": test}
    return about | {"protocol": protocol, "cell": place if protocol != "validation" else f"{place}-validation"}


def make_run(rows: Sequence[Row], frames: Frames, suite: cards.SuiteCard, folder: Path, **manifest: Any) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    scores = check_scores(pd.DataFrame(list(rows)))
    about = {"fits": [], "datasets": [], **manifest}
    return Run(folder, about, suite, Results("test", scores, frames.get, folder), None)


def labelled_run(
    folder: Path,
    *,
    images: int = 300,
    labels: Sequence[str] = LABELS,
    models: Sequence[str] = ("densenet121", "inception-resnet-v2"),
    trained: Mapping[str, Sequence[str]] = TRAINED,
    change: Callable[[str, pd.DataFrame], pd.DataFrame] = lambda _, frame: frame,
    data: str = "real",
    replicates: int = 100,
    **manifest: Any,
) -> Run:
    """Make a run over named training sets: internal on their own datasets together, external on ``mimic``."""
    configurations = tuple(cards.Configuration(name=name, train=tuple(train)) for name, train in trained.items())
    suite = cards.SuiteCard(
        title="Small",
        name="small",
        labels=tuple(labels),
        models=tuple(models),
        methods=("plain",),
        metrics=("auc", "expected-calibration-error"),
        interval=cards.Interval(replicates=replicates),
        protocol=cards.Protocol(kind="internal-external", configurations=configurations, external=("mimic",)),
    )
    rows, frames = [], {}
    for number, model in enumerate(models):
        for name, train in trained.items():
            for test, protocol, skill in (("+".join(train), "internal", 2.0), ("mimic", "external", 1.2)):
                cell = cell_row("plain", model, name, train, test, protocol, data=data)
                frame = change(cell["cell"], labelled_frame(test, labels, skill, images=images, seed=number))
                frames[cell["cell"]] = frame
                for label in labels:
                    if f"truth:{label}" in frame:
                        truth, score = frame[f"truth:{label}"], frame[f"score:{label}"]
                        rows.append(score_row(cell, label, "auc", auc(truth, score)))
                        rows.append(score_row(cell, label, "expected-calibration-error", 0.08))
                rows.append(score_row(cell, "mean", "auc", 0.8))
    return make_run(rows, frames, suite, folder, **manifest)


def class_run(
    folder: Path,
    *,
    images: int = 400,
    classes: Sequence[str] = CLASSES,
    seeds: Sequence[int] = (0, 1, 2),
    change: Callable[[str, pd.DataFrame], pd.DataFrame] = lambda _, frame: frame,
    data: str = "real",
    **manifest: Any,
) -> Run:
    """Make a run of multi-class labels: one training set without held-out images, one with; single fits and ensembles."""
    configurations = (
        cards.Configuration(name="full-data", train=("vindr",), split=cards.SplitRule(kind="everything")),
        cards.Configuration(name="val-split", train=("vindr",)),
    )
    suite = cards.SuiteCard(
        title="Classes",
        name="classes",
        task="multiclass",
        labels=tuple(classes),
        models=("resnet18",),
        methods=("single", "ensemble"),
        metrics=("accuracy", "macro-recall", "macro-f1"),
        protocol=cards.Protocol(kind="internal-external", configurations=configurations, external=("chexpert",)),
    )
    rows, frames = [], {}
    for method, name in ((m, c) for m in ("single", "ensemble") for c in ("full-data", "val-split")):
        inside = "resubstitution" if name == "full-data" else "internal"
        for seed in seeds if method == "single" else seeds[:1]:
            more = {"seed": seed, "members": 1 if method == "single" else len(seeds), "data": data}
            for test, protocol in (("vindr", inside), ("chexpert", "external")):
                cell = cell_row(method, "resnet18", name, ("vindr",), test, protocol, **more)
                skill = {"resubstitution": 4.0, "internal": 2.0, "external": 0.7}[protocol]
                better = 0.4 * (method == "ensemble")
                frame = change(cell["cell"], class_frame(test, classes, skill + better, images=images, seed=seed))
                frames[cell["cell"]] = frame
                truth = frame[[f"truth:{c}" for c in classes]].to_numpy(float)
                number = np.where(np.isnan(truth).any(axis=1), np.nan, np.nan_to_num(truth).argmax(axis=1))
                value = multiclass_accuracy(number, frame[[f"score:{c}" for c in classes]].to_numpy(float))
                rows.append(score_row(cell, "all classes", "accuracy", value))
                rows.append(score_row(cell, "all classes", "macro-recall", value - 0.1))
                rows.append(score_row(cell, "all classes", "macro-f1", value - 0.12))
    return make_run(rows, frames, suite, folder, **manifest)


@pytest.fixture
def make_labelled_run(tmp_path: Path) -> Callable[..., Run]:
    """Make a run with several labels: ``make_labelled_run(images=300, labels=..., change=...)``."""
    return lambda **options: labelled_run(tmp_path / "out" / "suite" / "run", **options)


@pytest.fixture
def make_class_run(tmp_path: Path) -> Callable[..., Run]:
    """Make a run of multi-class labels."""
    return lambda **options: class_run(tmp_path / "out" / "suite" / "run", **options)


def split_entry(dataset: str, split: str, positive: Mapping[str, int], images: int, **more: Any) -> Row:
    """Describe one side of a division as a manifest does."""
    about = {"configuration": "", "seed": 0, "patients": images // 2, "male": images // 4, "female": images // 4} | more
    labelled = dict.fromkeys(positive, images)
    return about | {
        "dataset": dataset,
        "split": split,
        "images": images,
        "positive": dict(positive),
        "labelled": labelled,
    }


def age_entries(dataset: str, young: int = 15) -> list[Row]:
    """Describe patients by sex and age as a manifest does."""
    rows: list[Row] = []
    for sex, share in (("F", 1.0), ("M", 1.2)):
        for number, low in enumerate(range(young, young + 60, 5)):
            many = int(share * 40 * math.exp(-(((number - 6) / 4) ** 2)))
            rows.append({"dataset": dataset, "sex": sex, "low": low, "high": low + 5, "patients": many})
    return [*rows, {"dataset": dataset, "sex": "F", "low": None, "high": None, "patients": 3}]


def layout(kind: str, name: str = "picture", caption: str = "") -> cards.FigureLayout:
    return cards.FigureLayout(name=name, kind=kind, caption=caption)


@pytest.fixture
def figure_layout() -> Callable[..., cards.FigureLayout]:
    """Name a figure: ``figure_layout("roc", name="picture", caption="")``."""
    return layout


@pytest.fixture
def splits() -> list[Row]:
    """Two training sets over two datasets; ``mimic`` is external and not divided."""
    some = {"Edema": 30, "Effusion": 50}
    return [
        split_entry("nih", "all", some, 200),
        split_entry("mimic", "all", {"Edema": 5, "Effusion": 0}, 50),
        split_entry("nih", "train", {"Edema": 20, "Effusion": 35}, 140, configuration="nih-alone"),
        split_entry("mimic", "test", {"Edema": 5, "Effusion": 0}, 50, configuration="nih-alone"),
        split_entry("nih", "test", {"Edema": 10, "Effusion": 15}, 60, configuration="nih-alone"),
        split_entry("nih", "train", {"Edema": 20, "Effusion": 35}, 140, configuration="both"),
        split_entry("nih", "test", {"Edema": 8, "Effusion": 11}, 60, configuration="nih-alone", seed=1),
    ]


@pytest.fixture
def ages() -> list[Row]:
    """Patients of two datasets by sex and age."""
    return [*age_entries("nih"), *age_entries("chexpert", 25)]


def texts(svg: Path) -> str:
    """Join all texts of an SVG file, as a reader sees them."""
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8")))


@pytest.fixture
def text_of() -> Callable[[Path], str]:
    """Read the texts of an SVG file: ``text_of(path)``."""
    return texts

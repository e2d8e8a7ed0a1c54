"""A study in memory: three hospitals, two trained methods under three seeds, and a ready-made model that has seen one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards, scoring
from xrbench.analyses import Material, analyse
from xrbench.compare.scores_io import Results, check_scores

LABELS = ("Edema", "Effusion")
HOSPITALS = ("a", "b", "c")
IMAGES = 160
SKILLS = {"plain": 1.2, "fancy": 1.8, "ready": 1.5}


def images(hospital: str) -> pd.DataFrame:
    """Draw a hospital's patients (two images each), their sex and age, and what is published of two findings."""
    rng = np.random.default_rng(ord(hospital))
    frame = pd.DataFrame({"image": [f"{hospital}{i}.png" for i in range(IMAGES)]})
    frame["patient_id"] = [f"p{i // 2}" for i in range(IMAGES)]
    frame["dataset"] = hospital
    frame["age"] = np.repeat(rng.integers(10, 90, IMAGES // 2), 2).astype(float)
    frame["sex"] = np.repeat(rng.choice(["F", "M"], IMAGES // 2), 2)
    for label in LABELS:
        frame[f"raw:{label}"] = rng.choice([1.0, 0.0, -1.0, np.nan], IMAGES, p=[0.35, 0.4, 0.15, 0.1])
        published = frame[f"raw:{label}"]
        frame[f"truth:{label}"] = published.where(published != -1)
    return frame


def scored(frame: pd.DataFrame, cell: str, skill: float) -> pd.DataFrame:
    """Score images: better than chance by ``skill``, with noise of the image and a little of the cell."""
    noise = np.random.default_rng(sum(map(ord, frame["dataset"].iloc[0]))).normal(size=(len(frame), len(LABELS)))
    noise += np.random.default_rng(sum(map(ord, cell))).normal(0, 0.4, noise.shape)
    made = frame.copy()
    for number, label in enumerate(LABELS):
        sick = (frame[f"raw:{label}"] == 1) + 0.5 * (frame[f"raw:{label}"] == -1)
        made[f"score:{label}"] = 1 / (1 + np.exp(-(skill * sick + noise[:, number] - 0.7)))
    return made


def study(suite: cards.SuiteCard, *, seeds: tuple[int, ...] = (0, 1, 2), settings: int = 3) -> Results:
    """Make the scores and predictions of a run of the suite."""
    frames: dict[str, pd.DataFrame] = {}
    rows: list[dict[str, Any]] = []

    def add(head: dict[str, Any], frame: pd.DataFrame, thresholds: dict[tuple[str, str], float]) -> None:
        frames[head["cell"]] = frame
        about = {"suite": suite.name, "profile": "quick", "data": "FIXTURE", "key": "", "members": 1, **head}
        rows.extend({**about, **row} for row in scoring.judge(frame, suite, thresholds=thresholds))

    for method in suite.methods:
        if method == "ready":
            for test in HOSPITALS[:settings]:
                head: dict[str, Any] = {
                    "method": method,
                    "model": "zoo",
                    "train": "",
                    "valid": "",
                    "test": test,
                    "seed": 0,
                }
                head |= {
                    "setting": "",
                    "protocol": "external",
                    "seen": test == "c",
                    "cell": f"ready/zoo/as-it-comes/{test}",
                }
                add(head, scored(images(test), head["cell"], SKILLS[method]), {})
            continue
        for test in HOSPITALS[:settings]:
            train = [name for name in HOSPITALS if name != test]
            for seed in seeds:
                fit = f"{method}/net/{'+'.join(train)}/valid-held-out/seed-{seed}"
                head = {"method": method, "model": "net", "train": "+".join(train), "valid": "held-out", "seed": seed}
                head |= {"setting": f"{'+'.join(train)}>held-out>{test}", "seen": False}
                valid = scored(images("v").assign(dataset=train[0]), fit, SKILLS[method])
                thresholds = scoring.thresholds_from(valid, suite)
                cells = [("held-out", "validation", valid)]
                cells += [(name, "internal", scored(images(name), fit, SKILLS[method] + 0.6)) for name in train]
                cells.append((test, "external", scored(images(test), fit, SKILLS[method])))
                for where, protocol, frame in cells:
                    last = "validation" if protocol == "validation" else where
                    add({**head, "test": where, "protocol": protocol, "cell": f"{fit}/{last}"}, frame, thresholds)
    return Results("memory", check_scores(pd.DataFrame(rows)), frames.get, Path("memory"))


@pytest.fixture(scope="session")
def suite() -> cards.SuiteCard:
    analyses = cards.Analyses(
        operating=("sensitivity=0.9", "specificity=0.8"),
        prevalences=(0.02,),
        decision_thresholds=(0.3, 0.5),
        subgroups=(
            cards.SubgroupRule(column="sex"),
            cards.SubgroupRule(column="age", bands=(18, 40, 80), minimum=12, metrics=("auc", "recall@specificity=0.9")),
        ),
        policies=(
            cards.PolicyRule(name="ones", uncertain="ones"),
            cards.PolicyRule(name="negative", uncertain="zeros", blank="negative"),
        ),
        across=("seeds", "ranks", "signed-rank", "variance", "matrix", "hospitals"),
    )
    return cards.SuiteCard(
        title="Study",
        name="study",
        labels=LABELS,
        methods=("plain", "fancy", "ready"),
        metrics=("auc", "recall@specificity=0.9"),
        comparisons=(cards.Comparison(challenger="fancy", baseline="plain"),),
        tables=(cards.TableLayout(name="main", kind="settings"),),
        analyses=analyses,
    )


@pytest.fixture(scope="session")
def results(suite: cards.SuiteCard) -> Results:
    return study(suite)


@pytest.fixture(scope="session")
def found(results: Results, suite: cards.SuiteCard) -> dict[str, pd.DataFrame]:
    """Every analysis of the study."""
    return analyse(results, suite)


@pytest.fixture(scope="session")
def material(results: Results, suite: cards.SuiteCard) -> Material:
    return Material(results, suite)


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Results]:
    """Make another study: ``make_study(suite, seeds=(0,), settings=2)``."""
    return study

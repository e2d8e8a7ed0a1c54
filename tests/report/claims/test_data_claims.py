"""Claims about datasets and single errors, on frames whose shares and means are counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards
from xrbench.report.claims import data_claims as checks
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
CLAIM = cards.Claim(text="A sentence", kind="prevalence")
SUITE = cards.SuiteCard(title="Data", name="data", labels=("Edema", "Effusion"), models=("first", "second"))


def truth(positive: int, images: int) -> list[int]:
    return [1] * positive + [0] * (images - positive)


def frame(findings: Frames, name: str, edema: int, effusion: int, images: int = 200, **columns: Any) -> pd.DataFrame:
    score = np.linspace(0.01, 0.99, images)
    made = findings(name, Edema=(truth(edema, images), score), Effusion=(truth(effusion, images), score))
    return made.assign(**columns)


def test_prevalences_are_shares_of_tested_images(made_run: Make, findings: Frames) -> None:
    cells = [
        {"test": "a", "protocol": "internal", "frame": frame(findings, "a", 100, 60)},
        {"frame": frame(findings, "c", 40, 20)},
        # The same images again, under another fit: each counts once.
        {"frame": frame(findings, "c", 40, 20), "seed": 1},
    ]
    found = checks.prevalence(made_run(SUITE, cells), CLAIM, first="a", second="c", direction="positive")
    assert found.outcome == "holds"
    assert [(one.first, one.second) for one in found.parts] == [(0.5, 0.2), (0.3, 0.1)]
    assert found.n == "400 images of 400 patients"
    assert (
        checks.prevalence(made_run(SUITE, cells), CLAIM, first="c", second="a", direction="positive").outcome
        == "does not hold"
    )


def test_patients_in_a_pooled_test_set_are_told_by_their_dataset(made_run: Make, findings: Frames) -> None:
    pooled = pd.concat([frame(findings, "a", 100, 100), frame(findings, "b", 20, 20)], ignore_index=True)
    run = made_run(SUITE, [{"test": "a+b", "train": "a+b", "protocol": "internal", "frame": pooled}])
    found = checks.prevalence(run, CLAIM, first="a", second="b")
    assert [(one.first, one.second) for one in found.parts] == [(0.5, 0.1), (0.5, 0.1)]
    assert found.outcome == "holds"


def test_alike_prevalences_are_not_told_apart(made_run: Make, findings: Frames) -> None:
    cells = [
        {"test": "a", "protocol": "internal", "frame": frame(findings, "a", 60, 60)},
        {"frame": frame(findings, "c", 61, 59)},
    ]
    assert checks.prevalence(made_run(SUITE, cells), CLAIM, first="a", second="c").outcome == "cannot tell"
    assert "no predictions" in checks.prevalence(made_run(SUITE, cells), CLAIM, first="a", second="z").figures


def test_ages_are_of_patients_not_of_images(made_run: Make, findings: Frames) -> None:
    # Forty patients of 30 and 31 years with five images each, forty of 60 and 61.
    who = [number // 5 for number in range(200)]
    young = frame(findings, "a", 80, 80, age=[30 + one % 2 for one in who], patient_id=[f"p{one}" for one in who])
    old = frame(findings, "c", 80, 80, age=[60 + one % 2 for one in who], patient_id=[f"p{one}" for one in who])
    cells: list[dict[str, Any]] = [{"test": "a", "protocol": "internal", "frame": young}, {"frame": old}]
    found = checks.younger(made_run(SUITE, cells), CLAIM, first="a", second="c")
    assert found.outcome == "holds"
    assert (found.parts[0].first, found.parts[0].second) == (30.5, 60.5)
    assert found.n == "80 images of 80 patients"
    assert checks.younger(made_run(SUITE, cells), CLAIM, first="c", second="a").outcome == "does not hold"
    without = [{**cell, "frame": cell["frame"].drop(columns="age")} for cell in cells]
    assert "no ages" in checks.younger(made_run(SUITE, without), CLAIM, first="a", second="c").figures


@pytest.fixture
def classed(made_run: Make, exclusive: Frames) -> Callable[..., Run]:
    suite = cards.SuiteCard(
        title="Classes",
        name="classes",
        task="multiclass",
        labels=("No Finding", "Edema", "Effusion"),
        metrics=("accuracy",),
    )
    learned = {"configuration": "one", "dataset": "a", "seed": 0, "split": "train"}

    def run(counts: tuple[int, int, int], tested: list[int]) -> Run:
        positive = dict(zip(suite.labels, counts, strict=True))
        frame = exclusive("c", suite.labels, tested, tested)
        return made_run(suite, [{"frame": frame}], manifest={"splits": [{**learned, "positive": positive}]})

    return run


def test_the_order_of_classes_is_a_fact(classed: Callable[..., Run]) -> None:
    run = classed((60, 30, 10), [0, 1, 1, 1, 2, 2])
    learned = checks.class_order(run, CLAIM, configuration="one", commonest=["No Finding", "Edema"])
    assert (learned.outcome, learned.n) == ("holds", "100 images")
    assert checks.class_order(run, CLAIM, configuration="one", commonest=["Edema"]).outcome == "does not hold"
    tested = checks.class_order(run, CLAIM, dataset="c", commonest=["No Finding"], holds=False)
    assert (tested.outcome, tested.figures) == ("holds", "No Finding 1, Edema 3, Effusion 2")
    assert np.isnan(tested.support)


def test_classes_of_the_same_size_have_no_order(classed: Callable[..., Run]) -> None:
    run = classed((50, 50, 10), [0])
    assert checks.class_order(run, CLAIM, configuration="one", commonest=["No Finding"]).outcome == "cannot tell"
    assert (
        checks.class_order(run, CLAIM, configuration="other", commonest=["No Finding"]).figures
        == "no such images were counted"
    )


def discordant_errors(findings: Frames, wrong_near: int, wrong_far: int, **columns: Any) -> list[dict[str, Any]]:
    """100 images near the threshold and 100 far from it, all called positive; so many of each are not."""
    score = np.r_[np.full(100, 0.55), np.full(100, 0.9)]
    labels = np.r_[np.arange(100) >= wrong_near, np.arange(100) >= wrong_far]
    made = findings("c", Edema=(labels, score), Effusion=(labels, score)).assign(**columns)
    return [{"model": name, "frame": made} for name in ("first", "second")]


def test_errors_near_the_threshold(made_run: Make, findings: Frames) -> None:
    run = made_run(SUITE, discordant_errors(findings, 40, 5))
    found = checks.errors_near_threshold(run, CLAIM, label="Edema")
    assert found.outcome == "holds"
    assert [(one.first, one.second) for one in found.parts] == [(0.4, 0.05)] * 2
    assert (
        checks.errors_near_threshold(made_run(SUITE, discordant_errors(findings, 5, 40)), CLAIM, label="Edema").outcome
        == "does not hold"
    )
    assert (
        checks.errors_near_threshold(made_run(SUITE, discordant_errors(findings, 10, 10)), CLAIM, label="Edema").outcome
        == "cannot tell"
    )


def test_devices_among_images_without_the_finding(made_run: Make, findings: Frames) -> None:
    generator = np.random.default_rng(2)
    device = generator.random(300) < 0.5
    score = np.clip(0.3 + 0.2 * device + 0.1 * generator.normal(size=300), 0.01, 0.99)
    made = findings("c", Edema=([0] * 280 + [1] * 20, score), Effusion=([0] * 280 + [1] * 20, score))
    cells = [{"model": name, "frame": made.assign(**{"truth:Support Devices": device})} for name in ("first", "second")]
    found = checks.device_raises_score(made_run(SUITE, cells), CLAIM, label="Edema")
    assert found.outcome == "holds"
    shown = score[:280]
    assert found.parts[0].difference == pytest.approx(shown[device[:280]].mean() - shown[~device[:280]].mean())
    unknown = checks.device_raises_score(made_run(SUITE, discordant_errors(findings, 5, 5)), CLAIM, label="Edema")
    assert (unknown.outcome, unknown.figures) == ("cannot tell", "'Support Devices' is not in the predictions")

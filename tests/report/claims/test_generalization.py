"""Claims about gaps, training sets and networks, on drawn predictions whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xrbench import cards, statistics
from xrbench.report.claims import generalization as checks
from xrbench.report.run_folder import Run

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
CLAIM = cards.Claim(text="A sentence", kind="gap")
LABELS = ("Edema", "Effusion")
IMAGES = 400


def suite(labels: tuple[str, ...] = LABELS) -> cards.SuiteCard:
    configurations = tuple(
        cards.Configuration(name=name, train=(train,)) for name, train in (("one", "a"), ("two", "b"))
    )
    protocol = cards.Protocol(kind="internal-external", external=("c",), configurations=configurations)
    return cards.SuiteCard(
        title="Claims", name="claims", labels=labels, models=("first", "second"), methods=("plain",), protocol=protocol
    )


@pytest.fixture
def drawn(findings: Frames) -> Callable[..., pd.DataFrame]:
    """Draw the same truth and difficulty for every cell on a dataset; how well a network does is its skill."""

    def frame(dataset: str, skill: float | dict[str, float], *, noise: int = 0) -> pd.DataFrame:
        common = np.random.default_rng([ord(dataset), 1])
        mine = np.random.default_rng([ord(dataset), 2, noise])
        columns = {}
        for label in LABELS:
            truth = common.random(IMAGES) < 0.4
            score = truth * (skill[label] if isinstance(skill, dict) else skill) + common.normal(size=IMAGES)
            columns[label] = (truth, score + 0.1 * mine.normal(size=IMAGES))
        return findings(dataset, **columns)

    return frame


def cell(frame: pd.DataFrame, **about: Any) -> dict[str, Any]:
    return {"model": "first", **about, "frame": frame}


def test_a_gap_that_is_there(made_run: Make, drawn: Frames) -> None:
    inside = cell(drawn("a", 2.5), test="a", protocol="internal")
    lost = made_run(suite(), [inside, cell(drawn("c", 0.8))])
    assert checks.gap(lost, CLAIM).outcome == "holds"
    gained = made_run(suite(), [cell(drawn("a", 0.8), test="a", protocol="internal"), cell(drawn("c", 2.5))])
    assert checks.gap(gained, CLAIM).outcome == "does not hold"
    same = made_run(suite(), [inside, cell(drawn("c", 2.5))])
    assert checks.gap(same, CLAIM).outcome == "cannot tell"


def test_a_gap_is_the_difference_of_the_aucs(made_run: Make, drawn: Frames) -> None:
    frames = drawn("a", 2.0), drawn("c", 1.0)
    found = checks.gap(made_run(suite(), [cell(frames[0], test="a", protocol="internal"), cell(frames[1])]), CLAIM)
    from sklearn.metrics import roc_auc_score

    expected = [
        roc_auc_score(frames[0][f"truth:{label}"], frames[0][f"score:{label}"])
        - roc_auc_score(frames[1][f"truth:{label}"], frames[1][f"score:{label}"])
        for label in LABELS
    ]
    assert [one.difference for one in found.parts] == pytest.approx(expected)
    assert found.n == f"{2 * IMAGES} images of {2 * IMAGES} patients"


def test_one_label_without_a_gap_keeps_the_claim_about_all_from_holding(made_run: Make, drawn: Frames) -> None:
    inside = cell(drawn("a", 2.0), test="a", protocol="internal")
    run = made_run(suite(), [inside, cell(drawn("c", {"Edema": 0.6, "Effusion": 2.0}))])
    assert checks.gap(run, CLAIM).outcome == "cannot tell"
    assert checks.gap(run, CLAIM, labels=["Edema"]).outcome == "holds"
    assert [one.name for one in checks.gap(run, CLAIM, labels=["mean"]).parts] == ["first one mean"]


def test_alike_needs_a_narrow_interval(made_run: Make, findings: Frames) -> None:
    generator = np.random.default_rng(3)

    def frame(name: str, images: int) -> pd.DataFrame:
        truth = generator.random(images) < 0.5
        return findings(name, Edema=(truth, truth * 2 + generator.normal(size=images)))

    verdicts = []
    for images in (60, 4000):
        run = made_run(
            suite(("Edema",)), [cell(frame("a", images), test="a", protocol="internal"), cell(frame("c", images))]
        )
        verdicts.append(checks.gap(run, CLAIM, direction="alike", margin=0.04).outcome)
    assert verdicts == ["cannot tell", "holds"]


def test_figures_on_training_images_answer_no_claim_about_gaps(made_run: Make, drawn: Frames) -> None:
    learned = cell(drawn("a", 3.0), test="a", protocol="resubstitution")
    found = checks.gap(made_run(suite(), [learned, cell(drawn("c", 0.5))]), CLAIM)
    assert (found.outcome, found.figures) == ("cannot tell", "not measured")


def test_a_network_that_has_seen_the_test_set_is_left_out(made_run: Make, drawn: Frames) -> None:
    cells = [cell(drawn("a", 2.5), test="a", protocol="internal"), cell(drawn("c", 0.8), seen=True)]
    assert checks.gap(made_run(suite(), cells), CLAIM).figures == "not measured"


def test_a_training_set_is_better_on_the_same_images(made_run: Make, drawn: Frames) -> None:
    cells = [
        cell(drawn("c", 1.0, noise=1), configuration="one"),
        cell(drawn("c", 1.6, noise=2), configuration="two", train="b"),
    ]
    run = made_run(suite(), cells)
    better = checks.configuration_better(run, CLAIM, challenger="two", baseline="one")
    assert better.outcome == "holds"
    assert [one.name for one in better.parts] == ["first mean"]
    assert better.n == f"{IMAGES} images of {IMAGES} patients"
    assert checks.configuration_better(run, CLAIM, challenger="one", baseline="two").outcome == "does not hold"
    by_label = checks.configuration_better(run, CLAIM, challenger="two", baseline="one", labels=LABELS)
    assert [one.name for one in by_label.parts] == ["first Edema", "first Effusion"]
    assert (
        checks.configuration_better(run, CLAIM, challenger="two", baseline="one", models=["second"]).figures
        == "not measured"
    )
    # Paired: the same comparison as xrbench compare makes.
    a, b = (one["frame"] for one in cells)
    columns = [f"score:{label}" for label in LABELS]
    pair = statistics.PairedCell("c", a[["truth:Edema", "truth:Effusion"]], a[columns], b[columns], a["patient_id"])
    expected = statistics.compare([pair], labels=LABELS, replicates=1)[-1]
    assert (better.parts[0].low, better.parts[0].high) == pytest.approx((expected.low, expected.high))


def test_inside_each_training_set_has_its_own_patients(made_run: Make, drawn: Frames) -> None:
    cells = [
        cell(drawn("a", 1.0), configuration="one", test="a", protocol="internal"),
        cell(drawn("b", 2.5), configuration="two", train="b", test="b", protocol="internal"),
    ]
    found = checks.configuration_better(
        made_run(suite(), cells), CLAIM, challenger="two", baseline="one", protocol="internal"
    )
    assert found.outcome == "holds"
    assert found.n == f"{2 * IMAGES} images of {2 * IMAGES} patients"


def test_patients_in_both_internal_tests_count_once(made_run: Make, drawn: Frames) -> None:
    both = pd.concat([drawn("a", 1.5, noise=2), drawn("b", 1.5, noise=2)], ignore_index=True)
    cells = [
        cell(drawn("a", 1.5, noise=1), configuration="one", test="a", protocol="internal"),
        cell(both, configuration="two", train="a+b", test="a+b", protocol="internal"),
    ]
    found = checks.configuration_better(
        made_run(suite(), cells), CLAIM, challenger="two", baseline="one", protocol="internal"
    )
    assert found.n == f"{2 * IMAGES} images of {2 * IMAGES} patients"
    # Half of the patients are shared: the error is smaller than if they were others.
    others = [cells[0], {**cells[1], "frame": both.assign(patient_id="x" + both["patient_id"])}]
    apart = checks.configuration_better(
        made_run(suite(), others), CLAIM, challenger="two", baseline="one", protocol="internal"
    )
    assert found.parts[0].error < apart.parts[0].error


def test_networks_are_alike_within_a_margin(made_run: Make, drawn: Frames) -> None:
    def run(skill: float) -> Run:
        inside = {"test": "a", "protocol": "internal"}
        return made_run(
            suite(),
            [
                cell(drawn("a", 2.0, noise=1), **inside),
                cell(drawn("c", 2.0, noise=1)),
                cell(drawn("a", 2.0, noise=2), **{**inside, "model": "second"}),
                cell(drawn("c", skill, noise=2), model="second"),
            ],
        )

    alike = checks.models_alike(run(2.0), CLAIM, margin=0.02)
    assert alike.outcome == "holds"
    assert len(alike.parts) == 4
    assert checks.models_alike(run(0.8), CLAIM, margin=0.02).outcome == "does not hold"
    assert checks.models_alike(run(2.0), CLAIM, margin=0.0001).outcome == "cannot tell"
    lone = made_run(suite(), [cell(drawn("c", 2.0))])
    assert checks.models_alike(lone, CLAIM, margin=0.02).figures == "fewer than two networks were measured"


def test_a_finding_is_weaker_than_the_others(made_run: Make, drawn: Frames) -> None:
    run = made_run(suite(), [cell(drawn("c", {"Edema": 0.3, "Effusion": 2.0}))])
    weak = checks.label_weaker(run, CLAIM, label="Edema")
    assert weak.outcome == "holds"
    frame = drawn("c", {"Edema": 0.3, "Effusion": 2.0})
    from sklearn.metrics import roc_auc_score

    auc = {label: roc_auc_score(frame[f"truth:{label}"], frame[f"score:{label}"]) for label in LABELS}
    assert weak.parts[0].difference == pytest.approx(auc["Effusion"] - auc["Edema"])
    assert weak.n == f"{IMAGES} images of {IMAGES} patients"
    assert checks.label_weaker(run, CLAIM, label="Effusion").outcome == "does not hold"


def sure(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn scores into probabilities, so that figures of probabilities are defined."""
    made = frame.copy()
    for label in LABELS:
        made[f"score:{label}"] = 1 / (1 + np.exp(1.0 - 2 * made[f"score:{label}"]))
    return made


def test_a_higher_brier_score_elsewhere_is_a_loss(made_run: Make, drawn: Frames) -> None:
    good, bad = sure(drawn("a", 2.5)), sure(drawn("c", 0.5))
    lost = made_run(suite(), [cell(good, test="a", protocol="internal"), cell(bad)])
    found = checks.gap(lost, CLAIM, metric="brier")
    assert found.outcome == "holds"
    assert all(one.difference < 0 for one in found.parts)
    assert found.test.startswith("internal minus external brier at one prevalence (the internal one) below 0: ")
    swapped = [cell(sure(drawn("a", 0.5)), test="a", protocol="internal"), cell(sure(drawn("c", 2.5)))]
    assert checks.gap(made_run(suite(), swapped), CLAIM, metric="brier").outcome == "does not hold"


def test_a_lower_brier_score_is_better(made_run: Make, drawn: Frames) -> None:
    cells = [
        cell(sure(drawn("c", 0.6, noise=1)), configuration="one"),
        cell(sure(drawn("c", 2.0, noise=2)), configuration="two", train="b"),
    ]
    run = made_run(suite(), cells)
    found = checks.configuration_better(run, CLAIM, challenger="two", baseline="one", metric="brier")
    assert found.outcome == "holds"
    assert "of two minus one below 0" in found.test
    other = checks.configuration_better(run, CLAIM, challenger="one", baseline="two", metric="brier")
    assert other.outcome == "does not hold"


def test_a_finding_with_a_higher_brier_score_is_weaker(made_run: Make, drawn: Frames) -> None:
    run = made_run(suite(), [cell(sure(drawn("c", {"Edema": 0.2, "Effusion": 2.5})))])
    assert checks.label_weaker(run, CLAIM, label="Edema", metric="brier").outcome == "holds"
    assert checks.label_weaker(run, CLAIM, label="Effusion", metric="brier").outcome == "does not hold"


def test_nothing_is_better_by_a_metric_without_a_direction(made_run: Make, drawn: Frames) -> None:
    run = made_run(suite(), [cell(sure(drawn("a", 2.5)), test="a", protocol="internal"), cell(sure(drawn("c", 0.8)))])
    found = checks.gap(run, CLAIM, metric="calibration-slope")
    assert (found.outcome, found.figures) == ("cannot tell", "neither higher nor lower figures are better")

"""Measured cells, who is in them, and means over their images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from xrbench import cards
from xrbench.compare.scores_io import Results
from xrbench.errors import MeasureError, UnknownNameError, UsageError
from xrbench.report.effects import class_effects, groups, measured, paired, unpaired
from xrbench.report.effects.cells import count_people, domains, known
from xrbench.report.run_folder import Run
from xrbench.runs.prediction_frame import patients_of

Make = Callable[..., Run]
Frames = Callable[..., pd.DataFrame]
LABELS = ("Edema",)
SUITE = cards.SuiteCard(
    title="Evidence",
    name="evidence",
    labels=LABELS,
    models=("first", "second"),
    methods=("plain", "fancy"),
    protocol=cards.Protocol(
        kind="internal-external",
        external=("c",),
        configurations=tuple(cards.Configuration(name=name, train=("a",)) for name in ("two", "one")),
    ),
)
CLASSED = cards.SuiteCard(
    title="Classes",
    name="classes",
    task="multiclass",
    labels=("No Finding", "Edema"),
    metrics=("accuracy",),
    methods=("sgd",),
)


@pytest.fixture
def frame(findings: Frames) -> Callable[..., pd.DataFrame]:
    return lambda name, **more: findings(name, Edema=([1, 1, 0, 0], [0.9, 0.3, 0.4, 0.1]), **more)


def test_cells_come_in_the_suites_order(made_run: Make, frame: Frames) -> None:
    cells = [
        {"model": model, "method": method, "configuration": name, "frame": frame("c")}
        for name in ("one", "two")
        for model in ("second", "first")
        for method in ("fancy", "plain")
    ]
    run = made_run(SUITE, cells)
    found = [(one.method, one.model, one.training_set) for one in measured(run)]
    assert found == [(m, n, c) for m in ("plain", "fancy") for n in ("first", "second") for c in ("two", "one")]
    assert len(measured(run, model="first", training_set=("one", "two"))) == 4
    assert measured(run, protocol="internal") == []
    assert list(groups(measured(run), "method")) == [("plain",), ("fancy",)]


def test_training_sets_without_a_name_are_called_by_their_datasets(made_run: Make, frame: Frames) -> None:
    assert (
        measured(made_run(SUITE, [{"configuration": "", "train": "a+b", "frame": frame("c")}]))[0].training_set == "a+b"
    )


def test_people_are_known_by_dataset_and_id(made_run: Make, frame: Frames) -> None:
    both = pd.concat([frame("a", patients=[1, 1, 2, 3]), frame("b", patients=[1, 2, 2, 3])], ignore_index=True)
    run = made_run(SUITE, [{"frame": both}])
    assert count_people(both, run) == "8 images of 6 patients"
    without = both.assign(patient_id=None)
    assert patients_of(without, run.results.domain) is None
    assert count_people(without, run) == "8 images"


def test_slices_of_one_dataset_share_their_patients(made_run: Make, frame: Frames) -> None:
    run = made_run(SUITE, [{"frame": frame("c")}])
    sliced = Results("made", run.scores, run.results.predictions, run.folder)
    sliced.__dict__["about"] = {"datasets": [{"dataset": "a-pa", "base": "a"}, {"dataset": "a-ap", "base": "a"}]}
    cut = Run(run.folder, run.manifest, run.suite, sliced, None)
    found = domains(["a-pa", "a-ap+b", "c", "d+b"], cut)
    assert found["a-pa"] == found["a-ap+b"] == found["d+b"] == "a+b+d"
    assert found["c"] == "c"
    mixed = pd.concat([frame("a-pa"), frame("a-ap")], ignore_index=True)
    who = patients_of(mixed, cut.results.domain)
    assert who is not None
    assert set(who) == {f"a/{number}" for number in range(4)}


def test_differences_of_cells_that_are_not_there(made_run: Make, frame: Frames) -> None:
    run = made_run(SUITE, [{"frame": frame("c")}])
    one = measured(run)
    assert unpaired(run, one, [], metric="auc") == []
    assert paired(run, [], metric="auc") == []
    silent = Run(run.folder, run.manifest, run.suite, Results("made", run.scores, lambda _: None, run.folder), None)
    assert unpaired(silent, one, one, metric="auc") == []
    assert paired(silent, [(one[0], one[0])], metric="auc") == []


def test_pairs_must_agree_on_the_truth(made_run: Make, frame: Frames) -> None:
    other = frame("c").assign(**{"truth:Edema": [0.0, 1.0, 0.0, 1.0]})
    run = made_run(SUITE, [{"frame": frame("c")}, {"model": "second", "frame": other}])
    first, second = measured(run)
    with pytest.raises(MeasureError, match="the truth of Edema differs on 2 of 4 common images"):
        paired(run, [(first, second)], metric="auc")


def test_names_are_offered() -> None:
    run: Any = type("R", (), {"suite": SUITE})()
    assert known(run, "model", "first", ["first"], where="table t") == "first"
    with pytest.raises(UnknownNameError, match=r"suite evidence: table t: unknown model 'frist'; did you mean 'first'"):
        known(run, "model", "frist", ["first"], where="table t")


def test_means_over_images_of_what_each_has(made_run: Make, exclusive: Frames) -> None:
    frame = exclusive("c", CLASSED.labels, [0, 0, 1, 1], [0, 1, 1, 1], sure=0.8)
    run = made_run(CLASSED, [{"method": "sgd", "frame": frame}])
    one = measured(run)
    found = class_effects.classes_of(run, one[0])
    assert found is not None
    assert found.correct.tolist() == [1, 0, 1, 1]
    assert found.counts().tolist() == [2, 2]
    assert class_effects.confidence(found).tolist() == [0.8] * 4
    assert class_effects.predicted(1)(found).tolist() == [0, 1, 1, 1]
    recall = class_effects.against(run, one, class_effects.of_class(class_effects.correct, 0), null=0.2)
    assert recall is not None
    assert (recall.first, recall.second, recall.difference, recall.images) == (0.5, 0.2, 0.3, 2)


def test_images_without_a_class_do_not_count(made_run: Make, exclusive: Frames) -> None:
    frame = exclusive("c", CLASSED.labels, [0, 0, 1], [0, 1, 1])
    frame.loc[1, ["truth:No Finding", "truth:Edema"]] = float("nan")
    run = made_run(CLASSED, [{"method": "sgd", "frame": frame}])
    found = class_effects.classes_of(run, measured(run)[0])
    assert found is not None
    assert (found.correct.tolist(), found.image.tolist()) == ([1, 1], ["c/c-0", "c/c-2"])


def test_members_are_measured_on_the_same_images(made_run: Make, exclusive: Frames) -> None:
    frames = [exclusive("c", CLASSED.labels, [0, 1, 1], [0, 1, called]) for called in (0, 1)]
    turned = frames[1].iloc[::-1].reset_index(drop=True)
    run = made_run(
        CLASSED, [{"method": "sgd", "seed": seed, "frame": one} for seed, one in enumerate((frames[0], turned))]
    )
    found = class_effects.members_correct(run, measured(run))
    assert found is not None
    assert dict(zip(found[0], found[1], strict=True)) == {"c/c-0": 1.0, "c/c-1": 1.0, "c/c-2": 0.5}
    fewer = made_run(
        CLASSED, [{"method": "sgd", "frame": frames[0]}, {"method": "sgd", "seed": 1, "frame": turned[:2]}]
    )
    with pytest.raises(UsageError, match="not measured on the same images"):
        class_effects.members_correct(fewer, measured(fewer))


def test_training_counts_come_from_one_split_of_every_dataset(made_run: Make, exclusive: Frames) -> None:
    def side(dataset: str, seed: int, counts: tuple[int, int], split: str = "train") -> dict[str, Any]:
        positive = dict(zip(CLASSED.labels, counts, strict=True))
        return {"configuration": "one", "dataset": dataset, "seed": seed, "split": split, "positive": positive}

    sides = [side("a", 3, (5, 1)), side("a", 4, (4, 2)), side("b", 3, (10, 20)), side("a", 3, (7, 7), "test")]
    run = made_run(CLASSED, [{"frame": exclusive("c", CLASSED.labels, [0, 1], [0, 1])}], manifest={"splits": sides})
    counts = class_effects.training_counts(run, "one")
    assert counts is not None
    assert counts.tolist() == [15, 21]
    assert class_effects.training_counts(run, "two") is None

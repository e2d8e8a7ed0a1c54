"""The table of the papers' own sizes: complete, and what the page shows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.paper_steps import records
from tests.paper_steps.cases import Case, cases, plans
from tests.paper_steps.cost import Published, seconds_of, steps_of
from tests.paper_steps.page import filled
from tests.paper_steps.records import Record
from xrbench.cards import MethodCard
from xrbench.cards.protocols import Profile
from xrbench.catalogue import Catalogue, shipped

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue([shipped()])


@pytest.fixture(scope="module")
def measured() -> list[Record]:
    return records.read(DOCS / "paper-sizes.csv")


def a_record(**changes: object) -> Record:
    numbers = {"image_size": 112, "batch": 64, "groups": 2, "accumulate": 1, "threads": 2}
    texts = {"suite": "s", "profile": "paper", "model": "m", "method": "a", "device": "cpu", "precision": "float32"}
    floats = dict.fromkeys((name for name in records.COLUMNS if name not in {*numbers, *texts, "machine"}), 2.0)
    return Record(**{**numbers, **texts, **floats, "machine": "a machine, 2 cores", **changes})  # type: ignore[arg-type]


def test_every_model_and_method_of_every_paper_profile_is_measured(
    catalogue: Catalogue, measured: list[Record]
) -> None:
    expected: dict[tuple[str, ...], tuple[MethodCard, Profile]] = {}
    for name in catalogue.names("suite"):
        suite = catalogue.suite(name)
        if "paper" in suite.profiles:
            profile = suite.profiles["paper"]
            for method in profile.methods or suite.methods:
                card = catalogue.method(method)
                models = [card.inference] if card.inference else profile.models or suite.models
                expected |= {(name, "paper", model, method): (card, profile) for model in models}
    here = {record.key[:-1]: record for record in measured if record.device == "cpu"}
    missing = [key for key in expected if key not in here]
    assert not missing, "measure them with python -m tests.paper_steps --only SUITE"
    assert not [key for key in here if key not in expected], "rows of cases that no suite has any more"
    for key, (card, profile) in expected.items():
        record = here[key]
        assert record.batch == profile.batch_size
        assert record.precision == profile.precision
        assert record.image_size == (catalogue.model(key[2]).image_size or profile.image_size)
        trained, evaluated = not (card.inference or card.ensemble), not card.ensemble
        assert (record.step_seconds > 0, record.evaluation_seconds > 0, record.peak_memory_mib > 500) == (
            trained,
            evaluated,
            evaluated,
        )
        if trained:
            assert record.accumulate == card.accumulate


def test_the_page_shows_the_table(catalogue: Catalogue, measured: list[Record]) -> None:
    text = (DOCS / "paper-sizes.md").read_text(encoding="utf-8")
    assert filled(text, measured, catalogue) == text, "python -m tests.paper_steps --no-measuring writes it anew"
    changed = [replace(record, step_seconds=record.step_seconds + 1) for record in measured]
    assert filled(text, changed, catalogue) != text


def test_the_page_names_every_suite_with_a_paper_profile(catalogue: Catalogue) -> None:
    text = (DOCS / "paper-sizes.md").read_text(encoding="utf-8").partition("## What to expect")[2]
    assert all(f"`{plan.suite.name}`" in text for plan in plans(catalogue))


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    table = [a_record(), a_record(method="b", step_seconds=math.nan, groups=0)]
    records.write(path, table)
    read = records.read(path)
    assert read[0] == table[0]
    assert math.isnan(read[1].step_seconds)
    assert replace(read[1], step_seconds=2.0) == replace(table[1], step_seconds=2.0)
    assert records.read(tmp_path / "none.csv") == []


def test_a_row_replaces_the_one_of_the_same_case_and_device() -> None:
    order = [("s", "paper", "m", "b"), ("s", "paper", "m", "a")]
    old = [a_record(), a_record(method="b"), a_record(device="cuda"), a_record(method="gone")]
    new = [a_record(step_seconds=9.0)]
    rows = records.merged(old, new, order)
    assert [(row.method, row.device, row.step_seconds) for row in rows] == [
        ("b", "cpu", 2.0),
        ("a", "cpu", 9.0),
        ("a", "cuda", 2.0),
    ]


def case_of(catalogue: Catalogue, name: str) -> Case:
    return next(case for case in cases(catalogue) if case.name == name)


def test_the_sizes_are_the_published_ones(catalogue: Catalogue) -> None:
    found = {}
    for plan in plans(catalogue):
        published = Published(plan.suite, catalogue)
        for fit in plan.fits:
            sizes = published.sizes(plan, fit)
            found[plan.suite.name, fit.configuration] = (sum(sizes.train), sizes.valid, sizes.test)
    assert found["ood-cxr", ""] == (55_040, 11_008, 3 * 13_760)
    # the flow charts: 161,035 + 80,657 images train, 18,097 + 9,169 validate, 44,282 + 22,294 and 5,159 test
    assert found["internal-external-cxr", "configuration-3"] == (241_692, 27_266, 71_735)
    assert found["vindr-to-chexpert", "full-data"] == (3_204, 0, 3_204 + 29_842)
    # 60.69 % are 389 of 641 held-out images
    assert found["vindr-to-chexpert", "val-split"] == (2_563, 0, 641 + 29_842)


def test_the_hours_of_a_fit_by_hand(catalogue: Catalogue) -> None:
    plan = next(plan for plan in plans(catalogue) if plan.suite.name == "ood-cxr")
    fit = plan.fits[0]
    sizes, recipe = Published(plan.suite, catalogue).sizes(plan, fit), plan.recipes[fit.name]
    assert steps_of(recipe, sizes, a_record()) == 430
    # 200 epochs of 430 steps of 10 s, 172 validation batches of 2 s an epoch, 645 test batches
    assert seconds_of(recipe, sizes, a_record(), 10.0, 2.0) == 200 * (430 * 10 + 172 * 2) + 645 * 2
    plan = next(plan for plan in plans(catalogue) if plan.suite.name == "internal-external-cxr")
    fit = next(fit for fit in plan.fits if fit.configuration == "configuration-2")
    sizes, recipe = Published(plan.suite, catalogue).sizes(plan, fit), plan.recipes[fit.name]
    record = a_record(batch=32, groups=1, accumulate=2)
    assert steps_of(recipe, sizes, record) == 2_521
    # 1,261 updates of two accumulated batches, 287 validation batches, (22,294 + 5,159) / 32 = 857.9 test batches
    assert seconds_of(recipe, sizes, record, 10.0, 2.0) == 10 * (1_261 * 10 + 287 * 2) + 858 * 2


def test_a_case_is_of_the_fit_with_most_datasets(catalogue: Catalogue) -> None:
    case = case_of(catalogue, "internal-external-cxr/paper/densenet121-imagenet-rgb/adam-accumulate")
    assert case.train == ("chexpert", "nih")
    assert (case.recipe.image_size, case.recipe.batch_size, case.channels) == (224, 32, 1)
    case = case_of(catalogue, "internal-external-cxr/paper/inception-resnet-v2-imagenet-rgb/adam-accumulate")
    assert case.recipe.image_size == 299
    assert case_of(catalogue, "ood-cxr/paper/xrv-densenet121-all/xrv-all").kind == "pretrained"
    ensemble = case_of(catalogue, "vindr-to-chexpert/paper/resnet18-imagenet-rgb/sgd-ensemble")
    assert ensemble.kind == "ensemble"

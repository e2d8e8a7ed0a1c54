from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xrbench import rng
from xrbench.training.components import samplers
from xrbench.training.components.steps import Step

DOMAIN = np.repeat([0, 1], [900, 300])


def drawn(name: str, domain: NDArray[np.int64] = DOMAIN, **options: object) -> list[Step]:
    values = {"batch_size": 16, "steps": 50, "rng": rng.stream("test", name), **options}
    return list(getattr(samplers, name)(domain, **values))


def test_balanced_batches_draw_exactly_as_many_from_each_dataset() -> None:
    counts = samplers.histogram(drawn("balanced_batches"), DOMAIN, 2)
    assert counts.tolist() == [[800, 0], [0, 800]]


def test_random_batches_draw_from_each_dataset_in_proportion_to_its_size() -> None:
    plan = drawn("random_batches", steps=400)
    counts = samplers.histogram(plan, DOMAIN, 2)
    assert counts.sum(1).tolist() == [6400, 6400]
    share = counts[:, 1] / counts.sum(1)
    # four standard deviations of a binomial share of 1/4 in 6,400 draws
    assert np.abs(share - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 6400)


def test_random_batches_sometimes_lack_balance_within_a_step() -> None:
    smaller = [np.sum(DOMAIN[np.concatenate(step)] == 1) for step in drawn("random_batches")]
    assert min(smaller) < max(smaller)


def test_first_dataset_batches_never_draw_from_the_second() -> None:
    counts = samplers.histogram(drawn("first_dataset_batches"), DOMAIN, 2)
    assert counts.tolist() == [[800, 0], [800, 0]]


def test_the_first_dataset_is_the_one_that_the_setting_names_first() -> None:
    reversed_order = np.repeat([1, 0], [300, 900])
    plan = drawn("first_dataset_batches", domain=reversed_order)
    assert {int(value) for step in plan for group in step for value in reversed_order[group]} == {0}


@pytest.mark.parametrize("name", ["random_batches", "balanced_batches", "first_dataset_batches"])
def test_all_methods_see_the_same_number_of_images(name: str) -> None:
    plan = drawn(name)
    assert [tuple(len(group) for group in step) for step in plan] == [(16, 16)] * 50


@pytest.mark.parametrize("name", ["random_batches", "balanced_batches", "first_dataset_batches"])
@pytest.mark.parametrize("replacement", [True, False])
def test_no_image_comes_twice_in_a_group(name: str, replacement: bool) -> None:
    for step in drawn(name, replacement=replacement):
        for group in step:
            assert len(set(group.tolist())) == len(group)


def test_steps_are_independent_by_default_as_in_the_released_code() -> None:
    seen = np.concatenate([step[1] for step in drawn("balanced_batches", batch_size=30, steps=10)])
    # 300 draws of 300 images: without replacement all would differ, with it about 300 * (1 - 1/e) = 190 do
    assert 150 < len(set(seen.tolist())) < 230


def test_passes_bring_every_image_once_before_any_comes_again() -> None:
    plan = drawn("balanced_batches", batch_size=30, steps=20, replacement=False)
    second = np.concatenate([step[1] for step in plan])
    assert sorted(second[:300]) == sorted(second[300:]) == list(range(900, 1200))
    assert second[:300].tolist() != second[300:].tolist()


@pytest.mark.parametrize("replacement", [True, False])
def test_a_dataset_smaller_than_a_batch_fills_it_evenly(replacement: bool) -> None:
    domain = np.repeat([0, 1], [40, 5])
    for step in drawn("balanced_batches", domain=domain, batch_size=12, steps=6, replacement=replacement):
        times = np.bincount(step[1], minlength=45)[40:]
        assert times.sum() == 12
        assert times.max() - times.min() <= 1 or not replacement


def test_the_same_stream_draws_the_same_epoch() -> None:
    one, two = drawn("random_batches"), drawn("random_batches")
    assert all(np.array_equal(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True))


def test_an_epoch_of_no_given_length_passes_once_over_the_larger_dataset() -> None:
    assert samplers.steps_in_epoch(DOMAIN, batch_size=64, steps_per_epoch=0) == 15  # 900 / 64 = 14.06
    assert samplers.steps_in_epoch(DOMAIN, batch_size=64, steps_per_epoch=430) == 430


def test_groups_of_a_given_number_pass_once_over_all_images() -> None:
    steps = samplers.steps_in_epoch(DOMAIN, batch_size=64, steps_per_epoch=0, groups=1)
    assert steps == 19  # 1,200 / 64 = 18.75
    plan = drawn("random_batches", batch_size=64, steps=steps, groups=1, replacement=False)
    assert {len(step) for step in plan} == {1}
    images = np.concatenate([step[0] for step in plan])
    assert sorted(images[: len(DOMAIN)]) == list(range(len(DOMAIN)))

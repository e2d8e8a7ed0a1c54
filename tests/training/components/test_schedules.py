from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from torch.optim import lr_scheduler  # noqa: E402

from xrbench.training.components import schedules  # noqa: E402

EPOCHS, STEPS = 6, 5


def torchs(make: Callable[[Any], Any], *, per_epoch: bool = False) -> list[float]:
    """List the rates of one of torch's schedulers, whose optimiser has the rate 1."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimiser)
    rates = []
    for number in range(EPOCHS * STEPS):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if not per_epoch or (number + 1) % STEPS == 0:
            scheduler.step()
    return rates


def ours(schedule: Callable[..., float], **options: Any) -> list[float]:
    return [schedule(n, epochs=EPOCHS, steps_per_epoch=STEPS, **options) for n in range(EPOCHS * STEPS)]


def test_step_is_torchs() -> None:
    expected = torchs(lambda o: lr_scheduler.StepLR(o, step_size=2, gamma=0.3), per_epoch=True)
    assert ours(schedules.step, every=2, gamma=0.3) == pytest.approx(expected)


def test_cosine_is_torchs() -> None:
    expected = torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS * STEPS, eta_min=0.1))
    assert ours(schedules.cosine, floor=0.1) == pytest.approx(expected)


def test_cosine_after_a_rise_is_torchs_two_schedulers_in_sequence() -> None:
    def make(optimiser: Any) -> Any:
        rise = lr_scheduler.LinearLR(optimiser, start_factor=1 / 11, total_iters=10)
        fall = lr_scheduler.CosineAnnealingLR(optimiser, T_max=EPOCHS * STEPS - 10)
        return lr_scheduler.SequentialLR(optimiser, [rise, fall], milestones=[10])

    assert ours(schedules.cosine, warmup=2) == pytest.approx(torchs(make))


def test_one_cycle_is_torchs() -> None:
    expected = torchs(lambda o: lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=EPOCHS * STEPS, pct_start=0.3))
    assert ours(schedules.one_cycle) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_time_based_is_keras_formula() -> None:
    assert ours(schedules.time_based, decay=0.5)[:4] == pytest.approx([1, 1 / 1.5, 1 / 2, 1 / 2.5])


def test_constant_stays() -> None:
    assert set(ours(schedules.constant)) == {1.0}


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "one_cycle", "time_based"])
def test_a_training_of_one_step_has_a_rate(name: str) -> None:
    assert 0 < getattr(schedules, name)(0, epochs=1, steps_per_epoch=1) <= 1

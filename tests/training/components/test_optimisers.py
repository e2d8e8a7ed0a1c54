from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.components import optimisers  # noqa: E402

TORCHS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


def run(make: Any, options: dict[str, Any]) -> Any:
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, 7))
    optimiser = make([parameter], **options)
    for number in range(5):
        optimiser.zero_grad()
        ((parameter - number) ** 2 * torch.arange(7)).sum().backward()
        optimiser.step()
    return parameter.detach()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adam", {"lr": 0.1, "amsgrad": True}),
        ("adam", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}),
        ("adamw", {"lr": 0.1, "weight_decay": 0.2}),
        ("sgd", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ],
)
def test_options_mean_what_they_mean_in_torch(name: str, options: dict[str, Any]) -> None:
    expected = run(getattr(torch.optim, TORCHS[name]), {**options, "foreach": False})
    assert torch.allclose(run(getattr(optimisers, name), options), expected, atol=1e-6)


def test_betas_may_come_as_the_list_that_a_card_holds() -> None:
    assert torch.allclose(
        run(optimisers.adam, {"betas": [0.8, 0.9]}), run(torch.optim.Adam, {"betas": (0.8, 0.9), "foreach": False})
    )

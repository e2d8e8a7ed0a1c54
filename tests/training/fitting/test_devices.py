from __future__ import annotations

import pytest

from xrbench.errors import UsageError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train

from xrbench.training.fitting import devices  # noqa: E402


def test_the_processor_is_always_there() -> None:
    assert devices.find("cpu").type == "cpu"


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert devices.find("auto").type == "cuda"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", r"--device gpu: expected cpu, cuda, cuda:0, mps or auto"),
        ("cuda:7", r"--device cuda:7: PyTorch sees 1 CUDA device on this machine"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match=message):
        devices.find(name)


def test_switches_and_generators_are_put_back() -> None:
    state = torch.get_rng_state()
    with devices.deterministic(torch.device("cpu")):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.deterministic
        torch.manual_seed(5)
        torch.rand(3)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic
    assert torch.utils.deterministic.fill_uninitialized_memory
    assert torch.equal(torch.get_rng_state(), state)


def test_apples_device_is_refused_where_it_is_not_and_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match="mps"):
        devices.find("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert str(devices.find("mps")) == "mps"

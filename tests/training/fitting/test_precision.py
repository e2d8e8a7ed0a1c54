from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from xrbench.training.fitting import precision  # noqa: E402

CPU = torch.device("cpu")


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="asks the system for the processor's instructions")
def test_native_formats_are_those_that_the_processor_names() -> None:
    flags = Path("/proc/cpuinfo").read_text()
    if "flags" in flags:
        assert precision.bfloat16_is_native(CPU) == ("avx512_bf16" in flags or "amx_bf16" in flags)


def test_only_an_emulated_format_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bfloat16_is_native", lambda device: False)
    monkeypatch.setattr(precision, "bfloat16_cost", lambda device: 3.14)
    assert precision.warning("float32", CPU) == ""
    assert "cpu has no instructions for it, a convolution takes 3.1 times as long" in precision.warning("bfloat16", CPU)
    monkeypatch.setattr(precision, "bfloat16_is_native", lambda device: True)
    assert precision.warning("bfloat16", CPU) == ""


def test_the_cost_is_a_ratio_of_times() -> None:
    assert 0.05 < precision.bfloat16_cost(CPU) < 50

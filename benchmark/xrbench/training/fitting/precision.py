"""What a number format costs on a device, measured where the device has no instructions for it."""

from __future__ import annotations

import time

import torch
from torch.nn import functional

ROUNDS = 3
"""Timed rounds; the fastest counts, since other work can only slow a round down."""


def bfloat16_is_native(device: torch.device) -> bool:
    """Say whether a device computes in bfloat16 itself; elsewhere it is emulated, which is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return True
    # the public test of oneDNN also holds where it emulates
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def bfloat16_cost(device: torch.device) -> float:
    """Measure how many times as long as in float32 a convolution and its gradient take in bfloat16; half a second on a CPU."""
    images = torch.rand(8, 64, 28, 28, device=device).to(memory_format=torch.channels_last)
    filters = torch.rand(64, 64, 3, 3, device=device, requires_grad=True)

    def seconds(*, bfloat16: bool) -> float:
        started = time.perf_counter()
        for _ in range(4):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                loss = functional.conv2d(images, filters, padding=1).float().square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    for bfloat16 in (False, True):
        seconds(bfloat16=bfloat16)  # the first round also chooses kernels
    rounds = [(seconds(bfloat16=True), seconds(bfloat16=False)) for _ in range(ROUNDS)]
    return min(slow for slow, _ in rounds) / min(fast for _, fast in rounds)


def warning(precision: str, device: torch.device) -> str:
    """Return one line where bfloat16 is emulated, with its measured cost; empty elsewhere."""
    if precision != "bfloat16" or bfloat16_is_native(device):
        return ""
    return (
        f"bfloat16: {device} has no instructions for it, a convolution takes {bfloat16_cost(device):.1f} times as long as in float32 "
        "(measured now); --precision float32 trains faster here"
    )

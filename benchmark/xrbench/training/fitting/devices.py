"""Choice of the device, and reproducible computation on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from xrbench.errors import UsageError


def find(name: str) -> torch.device:
    """Choose a device by name.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto`` for the fastest one available.

    Raises:
        UsageError: The name is unknown, or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: expected cpu, cuda, cuda:0, mps or auto") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(
            f"--device {name}: PyTorch sees {count} CUDA device{'' if count == 1 else 's'} on this machine"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"--device {name}: PyTorch sees no such device on this machine")
    return device


@contextmanager
def deterministic(device: torch.device, *, threads: int = 0) -> Iterator[None]:
    """Use deterministic algorithms inside the block, and restore torch's generators and settings afterwards.

    An operation without a deterministic algorithm still runs; PyTorch warns of it by name.

    Args:
        device: The device of the computation.
        threads: CPU threads of one operation; 0 keeps PyTorch's own choice.
    """
    before = torch.get_num_threads()
    if device.type == "cuda":
        # cuBLAS is deterministic only with a fixed workspace, which it reads before its first call
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn, filling = torch.backends.cudnn, torch.utils.deterministic
    switches = cudnn.deterministic, cudnn.benchmark, filling.fill_uninitialized_memory  # type: ignore[attr-defined]
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.use_deterministic_algorithms(True, warn_only=True)
            cudnn.deterministic, cudnn.benchmark = True, False
            # with deterministic algorithms torch fills every new tensor with NaN: a debugging aid that costs time in each step
            filling.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            torch.set_num_threads(threads or before)
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])
        cudnn.deterministic, cudnn.benchmark, filling.fill_uninitialized_memory = switches  # type: ignore[attr-defined]

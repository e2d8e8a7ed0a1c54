"""What a fit takes: wall time, peak memory, device and threads."""

from __future__ import annotations

import sys
import time

import torch

MIB = 2**20


class Usage:
    """Wall time and peak memory since it was made.

    Args:
        device: The device of the fit.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self._started = device, time.monotonic()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def wall_seconds(self) -> float:
        """Seconds on the clock, with validation and checkpoints."""
        return time.monotonic() - self._started

    @property
    def peak_memory(self) -> float:
        """Peak memory in MiB: on a GPU that of its tensors, else that of the process since its start; NaN where it is not known."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / MIB
        if sys.platform == "win32":
            return float("nan")
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # in KiB, and in bytes on macOS
        return largest / MIB if sys.platform == "darwin" else largest / 1024


def device_name(device: torch.device) -> str:
    """Return the name of a device, with its model where it is a GPU.

    >>> device_name(torch.device("cpu"))
    'cpu'
    """
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)

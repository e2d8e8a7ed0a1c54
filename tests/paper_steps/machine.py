"""The machine in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

GIB = 2**30


def machine(device: torch.device) -> str:
    """Describe processor or GPU, cores, memory and the version of PyTorch."""
    version = f"PyTorch {torch.__version__.partition('+')[0]}"
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / GIB:.0f} GiB, {version}"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {version}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def load() -> float:
    """Return the load average of the last minute; NaN on Windows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")

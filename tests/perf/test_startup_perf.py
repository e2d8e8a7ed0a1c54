"""How long a user waits for `xrbench --help`, beside benchopt's where it is installed."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.perf
LIMIT = 0.25


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def test_help_starts_at_once(benchmark: Any) -> None:
    command = [str(Path(sys.executable).with_name("xrbench")), "--help"]
    benchmark.pedantic(lambda: seconds(command), rounds=15, warmup_rounds=2)
    median = benchmark.stats.stats.median
    peer = shutil.which("benchopt")
    if peer:
        theirs = statistics.median(seconds([peer, "--help"]) for _ in range(7))
        print(f"\nxrbench --help {median:.2f} s, benchopt --help {theirs:.2f} s, {theirs / median:.1f} times as long")
    assert median < LIMIT

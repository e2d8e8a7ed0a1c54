from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "torch", "statsmodels", "sklearn", "matplotlib")


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = f"import sys, xrbench.metrics, xrbench.statistics; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

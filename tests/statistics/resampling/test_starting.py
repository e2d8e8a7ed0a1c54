from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "torch", "statsmodels", "sklearn", "matplotlib")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, xrbench.metrics, xrbench.statistics; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_second_start_compiles_nothing() -> None:
    """Every kernel is read from the cache that the first process left: no compilation, which would be a miss."""
    code = """
import numpy as np
from xrbench import statistics
from xrbench.statistics.resampling import bootstrap_counts, kernels, logistic_kernel
names = ["auc", "average-precision", "brier", "calibration-slope", "calibration-intercept", "recall@threshold=0.5"]
truth, score = np.tile([0.0, 1.0, 0.0, 1.0, 1.0], 20), np.tile([0.2, 0.4, 0.6, 0.8, 0.3], 20)
for kind in ("default", "bootstrap", "stratified"):
    statistics.estimate(truth, score, np.arange(100) // 2, labels=["a"], metrics=names, kind=kind, replicates=64)
modules = (bootstrap_counts, kernels, logistic_kernel)
compiled = [value for module in modules for value in vars(module).values() if hasattr(value, "stats")]
print(len(compiled), sum(sum(function.stats.cache_misses.values()) for function in compiled))
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert int(runs[1][0]) >= 8
    assert runs[1][1] == "0"

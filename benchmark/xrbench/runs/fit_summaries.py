"""What a finished fit took, as its folder tells it: epochs, wall time, peak memory, device. Read without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DONE = "done.json"
"""File that training writes last into the folder of a fit."""
NUMBERS = ("epochs", "best_epoch", "seconds", "images_per_second", "wall_seconds", "peak_memory", "threads")
TEXTS = ("stopped", "device")


def read_summary(folder: Path) -> dict[str, Any]:
    """Read what a finished fit took.

    Args:
        folder: Folder of the fit.

    Returns:
        ``epochs``, ``best_epoch`` (from 1), ``seconds`` (training alone), ``wall_seconds``, ``images_per_second``, ``peak_memory`` (MiB),
        ``threads``, ``stopped`` and ``device``, as far as they are known; empty for a fit that is not finished or has a broken file.
    """
    try:
        done = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    result = done.get("result") if isinstance(done, Mapping) else None
    if not isinstance(result, Mapping):
        return {}
    numbers = {name: result[name] for name in NUMBERS if _is_number(result.get(name))}
    texts = {name: result[name] for name in TEXTS if isinstance(result.get(name), str) and result[name]}
    return {**numbers, **texts}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""Compile a function to machine code once and keep it on disk for the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use, without the global lock; where no folder can be written, compile anew in each process.

    Divisions follow IEEE 754 (NumPy's rules): a check for zero before each would keep loops from working on several lanes.
    """
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]
    except RuntimeError:
        return njit(nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]

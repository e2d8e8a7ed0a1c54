from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xrbench.statistics.resampling import numba_jit


def test_without_a_folder_for_the_cache_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def njit(**options: object) -> Callable[..., Any]:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(numba_jit, "njit", njit)
    assert numba_jit.compiled(abs)(-3) == 3
    assert asked == [{"cache": True, "nogil": True, "error_model": "numpy"}, {"nogil": True, "error_model": "numpy"}]

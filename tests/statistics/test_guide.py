"""The room's face: whatever it offers is listed in its head and shown by an example."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from xrbench import metrics, statistics

ROOMS = [metrics, statistics]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_function_has_an_example(room: ModuleType) -> None:
    functions = [getattr(room, name) for name in room.__all__]
    bare = [one.__name__ for one in functions if inspect.isfunction(one) and ">>> " not in (one.__doc__ or "")]
    assert bare == []


def test_the_head_lists_every_function() -> None:
    head = statistics.__doc__ or ""
    functions = [name for name in statistics.__all__ if inspect.isfunction(getattr(statistics, name))]
    assert [name for name in functions if f"``{name}``" not in head] == []
    listed = re.findall(r"``(\w+)``", head[head.index("One model:") : head.index("A figure with")])
    assert sorted(listed) == sorted(functions)

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from xrbench.training.input.prefetch import ahead


def test_items_come_in_order() -> None:
    assert list(ahead(iter(range(50)))) == list(range(50))


def test_the_next_item_is_prepared_while_one_is_used() -> None:
    prepared: list[int] = []

    def slowly() -> Iterator[int]:
        for number in range(5):
            prepared.append(number)
            yield number

    items = ahead(slowly())
    next(items)
    deadline = time.monotonic() + 5
    while len(prepared) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(prepared) >= 3
    items.close()  # type: ignore[attr-defined]


def test_an_error_is_raised_where_the_items_are_used() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    items = ahead(failing())
    assert next(items) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(items)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    for item in ahead(iter(range(1000))):
        if item == 3:
            break
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before

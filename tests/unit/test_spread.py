"""Work on several images at once keeps their order and loses no error."""

from __future__ import annotations

import threading

import pytest

from ai.spread import spread


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    assert spread(lambda item: item * 2, range(7), threads) == [0, 2, 4, 6, 8, 10, 12]
    assert spread(lambda item: item, [], threads) == []


def test_items_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)
    assert sorted(spread(lambda _: together.wait(), range(3), 3)) == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_and_not_lost(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        spread(lambda item: 1 // item, [1, 0, 2], threads)

"""The same work on several images at once, on threads: decoders, numpy and torch let other threads run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def spread(function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int) -> list[_Result]:
    """`function` of each item, in their order. Raises the first error there was, in their order."""
    waiting = list(items)
    if threads <= 1 or len(waiting) <= 1:
        return [function(item) for item in waiting]
    with ThreadPoolExecutor(min(threads, len(waiting)), thread_name_prefix="image") as pool:
        return list(pool.map(function, waiting))

"""A thread for each view, instead of all threads on one view after the other, where they wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from ai.spread import spread

_Input = TypeVar("_Input")
_Output = TypeVar("_Output")


def each_view(answer: Callable[[_Input], _Output], inputs: Sequence[_Input]) -> list[_Output]:
    """`answer` to each view, as many at a time as torch has threads. It must enter inference mode by itself."""
    with threads_shared(len(inputs)) as workers:
        return spread(answer, inputs, workers)


@contextmanager
def threads_shared(views: int) -> Iterator[int]:
    """As many workers as there are threads and views; torch's own threads are divided among them meanwhile."""
    threads = torch.get_num_threads()
    workers = max(1, min(threads, views))
    torch.set_num_threads(threads // workers)
    try:
        yield workers
    finally:
        torch.set_num_threads(threads)

"""A thread for each view, instead of all threads on one view after the other, where they wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from ai.exam import StandardView
from ai.models import ViewOutput
from ai.pixels import BreastImage
from ai.spread import spread

OneView = Callable[[tuple[StandardView, BreastImage]], ViewOutput]


def each_view(detect: OneView, views: Mapping[StandardView, BreastImage]) -> dict[StandardView, ViewOutput]:
    """`detect` of each view, as many at a time as torch has threads. It must enter inference mode by itself."""
    with threads_shared(len(views)) as workers:
        return dict(zip(views, spread(detect, views.items(), workers), strict=True))


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

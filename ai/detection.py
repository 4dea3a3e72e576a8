"""The detection model at work on the views of several exams at once: none of them fails because another one does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ai.device import out_of_memory, relieve
from ai.exam import StandardView
from ai.models import DetectionModel
from ai.pixels import BreastImage
from ai.reading import ReadView
from ai.request import OutOfMemory
from ai.spread import spread

_log = logging.getLogger(__name__)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

ReadViews = dict[StandardView, ReadView]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedViews:
    """The views of one exam, and what the model made of each before it is asked."""

    images: Mapping[StandardView, BreastImage]
    inputs: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Detector:
    """A model on its device. threads: for preparing one exam."""

    model: DetectionModel
    device: torch.device
    threads: int

    def prepare(self, images: Mapping[StandardView, BreastImage]) -> PreparedViews:
        """Ready for `read`; on any thread. Raises whatever the model does."""
        return PreparedViews(images, spread(self.model.prepare, images.values(), self.threads))

    def read(self, exams: Sequence[PreparedViews]) -> list[ReadViews | Exception]:
        """The model's answers to each exam, or why it has none: OutOfMemory, or what the model raised on it alone."""
        return in_parts(self._read_together, exams, lambda: relieve(self.device))

    def _read_together(self, exams: Sequence[PreparedViews]) -> list[ReadViews]:
        inputs = [each for exam in exams for each in exam.inputs]
        outputs = self.model.answer(inputs)
        if len(outputs) != len(inputs):
            raise ValueError("the model left a view unanswered")
        following = iter(outputs)
        return [
            {standard: ReadView(image, next(following)) for standard, image in exam.images.items()} for exam in exams
        ]


def in_parts(
    compute: Callable[[Sequence[_Item]], list[_Result]], items: Sequence[_Item], relieve: Callable[[], None]
) -> list[_Result | Exception]:
    """What `compute` gives of all items at once; where it fails, of each half of them, until one item fails alone.

    relieve: called before a second try.
    """
    if not items:
        return []
    try:
        return list(compute(items))
    except Exception as error:  # noqa: BLE001 whatever a model does, the others of the batch get their answer
        _log.log(logging.ERROR if len(items) == 1 else logging.WARNING, "failed on %d", len(items), exc_info=True)
        if len(items) == 1:
            return [as_told(error)]
    # only here, where the error is gone, is what it held of memory free again
    relieve()
    middle = len(items) // 2
    return [*in_parts(compute, items[:middle], relieve), *in_parts(compute, items[middle:], relieve)]


def as_told(error: Exception) -> Exception:
    """The error without what it holds on to; OutOfMemory for every way in which memory is said to be out."""
    if isinstance(error, OutOfMemory):
        return error
    if out_of_memory(error):
        return OutOfMemory(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no memory'}")
    return error.with_traceback(None)

"""The demonstration's network with untrained weights, made to fail in chosen ways: really, not by a stand-in's word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ai.models import ViewOutput, demo_net
from ai.models.demo_net import DemoView
from ai.pixels import BreastImage

MODEL = demo_net.build(demo_net.CARD, demo_net.fresh(1))


@dataclass(frozen=True)
class Told:
    """A prepared view, and of which study it is."""

    study_instance_uid: str
    view: DemoView


class Whimsical:
    """Asks `before` of the studies of a batch, which may raise; then answers. `batches` are those it was asked."""

    def __init__(self, before: Callable[[Sequence[str]], object]) -> None:
        self._before = before
        self.batches: list[list[str]] = []

    def prepare(self, view: BreastImage) -> Told:
        return Told(view.view.study_instance_uid, MODEL.prepare(view))

    def answer(self, inputs: Sequence[Any]) -> list[ViewOutput]:
        studies = list(dict.fromkeys(each.study_instance_uid for each in inputs))
        self.batches.append(studies)
        held = self._before(studies)
        answers = MODEL.answer([each.view for each in inputs])
        del held
        return answers


class Broken:
    """Answers as `how` does."""

    def __init__(self, how: Callable[[Sequence[Any]], list[ViewOutput]]) -> None:
        self.answer = how
        self.prepare = MODEL.prepare

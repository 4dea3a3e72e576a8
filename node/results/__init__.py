"""Result objects: one module each, named as in config.yaml. A module offers

    OPTIONS: a frozen pydantic model of its options (unknown keys refused)
    build(report: Report, options: OPTIONS) -> part → pydicom Dataset with file_meta, ready to be written
    EVERY_EXAM = True, where each exam gets an object, whatever became of it
    SENT_LAST = True, where a destination must have everything else of the revision before it

and must be a pure function: the same report and options give the same bytes. A kind that is one object has one part,
""; one that has an object per view or breast names them ("R CC", "L"); one that has nothing to say gives none.
Files that begin with "_" are shared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast

from pydantic import BaseModel
from pydicom.dataset import Dataset

from ai import extensions
from ai.findings import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """This node as Contributing Equipment (PS3.3 C.12.1.1.5) and device observer (TID 1004)."""

    manufacturer: str
    manufacturer_model_name: str
    software_version: str
    station_name: str
    institution_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """An object of an earlier revision. kind: the module that made it, "" where that is not known."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a result object is made from.

    sources: headers (no pixel data) of all instances of the study that the reading names, inputs first in
        `reading.inputs` order, then left-out ones; never empty. Identity is copied from the first.
    previews: SOP Instance UID → PNG (8-bit grey, whole stored image scaled down, as displayed: MONOCHROME1 inverted).
    prior: the woman's previous reading, where there is one, with its exam's study date (YYYYMMDD).
    prior_sources: headers of the prior's images, where they are at hand: pertinent other evidence.
    predecessors: part → the object of the same kind and options that the last earlier revision with it had.
    superseded: every result object of the study's earlier revisions, oldest first.
    created_at: when the report was made, timezone-aware; saved with it, so that a rerun gives the same bytes.
    """

    reading: Reading
    sources: tuple[Dataset, ...]
    device: Device
    created_at: datetime
    previews: Mapping[str, bytes]
    predecessors: Mapping[str, Predecessor] = field(default_factory=dict)
    superseded: tuple[Predecessor, ...] = ()
    prior: tuple[Reading, str] | None = None
    prior_sources: tuple[Dataset, ...] = ()


class ResultObject(Protocol):
    """What a module of this package offers."""

    OPTIONS: type[BaseModel]

    def build(self, report: Report, options: Any) -> Mapping[str, Dataset]: ...


def offered() -> tuple[str, ...]:
    """The result objects that config.yaml may name."""
    return extensions.offered(sys.modules[__name__])


def load(name: str) -> ResultObject:
    """The result object `name`. Raises NoSuchExtension, naming what there is."""
    return cast("ResultObject", extensions.load(sys.modules[__name__], name))


def is_sent_last(kind: str) -> bool:
    """Whether the kind waits at each destination for all else of its revision. Raises NoSuchExtension."""
    return bool(getattr(load(kind), "SENT_LAST", False))


def is_for_every_exam(kind: str) -> bool:
    """Whether the kind has an object for each exam, also negative and unread ones. Raises NoSuchExtension."""
    return bool(getattr(load(kind), "EVERY_EXAM", False))

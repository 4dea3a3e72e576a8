"""A saved reading → result objects, stored like everything else, and one delivery per object and destination."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset

from ai.findings import Reading
from node import logs, results
from node.config import Config
from node.exams import header
from node.identity import device
from node.priors import PriorResult
from node.results import Predecessor, Report
from node.results._uids import derived_uid
from node.settings_destinations import ResultChoice
from storage.objects import AlteredObject, ObjectStore
from storage.records import Delivery, DeliveryState, Instance, ResultObject, StoredReading

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Reported:
    """The objects of one reading and where they go. An object that could not be made has `error` and no delivery."""

    results: tuple[ResultObject, ...]
    deliveries: tuple[Delivery, ...]


class NoSource(RuntimeError):
    """Not one of the exam's files can be read any more, so there is no identity to copy."""


class Reporting:
    """Makes the result objects that the destinations ask for."""

    def __init__(self, config: Config, store: ObjectStore) -> None:
        self._config = config
        self._store = store

    def report(
        self,
        stored: StoredReading,
        instances: Sequence[Instance],
        earlier: Sequence[ResultObject],
        destinations: Sequence[str],
        prior: PriorResult | None = None,
    ) -> Reported:
        """Make and store every object that `destinations` ask for; each kind with the same options once.

        earlier: result objects of the study's earlier revisions. prior: the woman's earlier exam. Raises NoSource.
        """
        reading = Reading.from_json(stored.reading_json)
        report = Report(
            reading=reading,
            sources=self._sources(reading, instances),
            device=device(self._config),
            created_at=stored.saved_at,
            previews=self._previews(stored.previews),
        )
        report = _beside(report, prior)
        wanted = self._wanted(destinations)
        made = {key: self._make(report, *key, stored.saved_at, earlier) for key in dict.fromkeys(wanted.values())}
        deliveries = [
            _delivery(result, destination, stored.saved_at)
            for (destination, _), key in wanted.items()
            for result in made[key]
            if not result.error
        ]
        return Reported(tuple(chain.from_iterable(made.values())), tuple(deliveries))

    def _wanted(self, destinations: Sequence[str]) -> dict[tuple[str, int], tuple[str, str]]:
        """(destination, position) → (kind, its options as canonical JSON)."""
        return {
            (name, position): (
                choice.kind,
                _canonical(choice),
            )
            for name in destinations
            for position, choice in enumerate(self._config.destinations[name].results)
        }

    def _sources(self, reading: Reading, instances: Sequence[Instance]) -> tuple[Dataset, ...]:
        order = {uid: position for position, uid in enumerate(item.sop_instance_uid for item in reading.inputs)}
        chosen = sorted(
            (instance for instance in instances if instance.to_read),
            key=lambda instance: order.get(instance.sop_instance_uid, len(order)),
        )
        found = []
        for instance in chosen:
            try:
                self._store.verify(instance.path, instance.sha256)
            except AlteredObject as error:
                log.error("source not usable", sop=instance.sop_instance_uid, problem=str(error))
            else:
                found.append(header(self._store.path(instance.path)))
        if not found:
            raise NoSource("none of the exam's image files is as it was received")
        return tuple(found)

    def _previews(self, files: Mapping[str, str]) -> dict[str, bytes]:
        return {uid: self._store.path(path).read_bytes() for uid, path in files.items()}

    def _make(
        self, report: Report, kind: str, options: str, created_at: datetime, earlier: Sequence[ResultObject]
    ) -> list[ResultObject]:
        """Every object of a kind, or the one row that says why there is none."""
        study, revision = report.reading.study_instance_uid, report.reading.revision
        common = {"study_instance_uid": study, "revision": revision, "kind": kind, "options": options}
        module = results.load(kind)
        try:
            following = _following(report, kind, options, earlier)
            made = module.build(following, module.OPTIONS(**json.loads(options)))
            contents = {part: _encoded(dataset) for part, dataset in made.items()}
        except Exception as error:
            log.exception("result object not made", study=study, kind=kind)
            return [_not_made(f"{type(error).__name__}: {error}"[:500], created_at, common)]
        return [self._put(part, made[part], contents[part], created_at, common) for part in made]

    def _put(
        self, part: str, dataset: Dataset, content: bytes, created_at: datetime, common: Mapping[str, Any]
    ) -> ResultObject:
        written = self._store.put(
            [content],
            study_instance_uid=common["study_instance_uid"],
            name=dataset.SOPInstanceUID,
            suffix=".result.dcm",
        )
        return ResultObject(
            sop_instance_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            series_instance_uid=str(dataset.SeriesInstanceUID),
            part=part,
            path=written.path,
            sha256=written.sha256,
            size_bytes=written.size_bytes,
            created_at=created_at,
            **common,
        )


def _beside(report: Report, prior: PriorResult | None) -> Report:
    """The report with the woman's earlier exam. What the reading itself compared with needs no second reading."""
    if prior is None:
        return report
    shown = prior.reading if report.reading.prior is None else None
    return replace(
        report,
        prior=(shown, prior.study.study.study_date) if shown is not None else None,
        prior_sources=prior.study.headers,
    )


def _not_made(error: str, created_at: datetime, common: Mapping[str, Any]) -> ResultObject:
    return ResultObject(
        sop_instance_uid=derived_uid("not made", *(str(value) for value in common.values())),
        sop_class_uid="",
        series_instance_uid="",
        part="",
        path="",
        sha256="",
        size_bytes=0,
        created_at=created_at,
        error=error,
        **common,
    )


def _following(report: Report, kind: str, options: str, earlier: Sequence[ResultObject]) -> Report:
    """The report with what it replaces."""
    made = [result for result in earlier if not result.error]
    same = [result for result in made if (result.kind, result.options) == (kind, options)]
    return replace(
        report,
        predecessors={result.part: _predecessor(result) for result in same},
        superseded=tuple(_predecessor(result) for result in made),
    )


def _predecessor(result: ResultObject) -> Predecessor:
    return Predecessor(
        study_instance_uid=result.study_instance_uid,
        series_instance_uid=result.series_instance_uid,
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        kind=result.kind,
    )


def _encoded(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _canonical(choice: ResultChoice) -> str:
    options = results.load(choice.kind).OPTIONS(**choice.options)
    return json.dumps(options.model_dump(mode="json"), sort_keys=True)


def _delivery(result: ResultObject, destination: str, due_at: datetime) -> Delivery:
    return Delivery(
        sop_instance_uid=result.sop_instance_uid,
        study_instance_uid=result.study_instance_uid,
        revision=result.revision,
        kind=result.kind,
        destination=destination,
        state=DeliveryState.PENDING,
        attempts=0,
        due_at=due_at,
    )

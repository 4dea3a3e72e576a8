"""A woman's earlier exams, as far as the node holds them: who counts as the same woman, and what was read then.

The index offers studies of the same Patient ID and issuer; the images' headers then have to agree as well. In doubt
an exam has no prior: a change that is shown between two women does more harm than one that is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pydicom.dataset import Dataset

from ai import elements
from ai.exam import View
from ai.findings import Category, Reading
from node import completeness, logs
from node.exams import StoredExam, header, stored_exam
from storage.index import Index
from storage.objects import AlteredObject, ObjectStore
from storage.outbox import Outbox
from storage.records import Instance, Study

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class PriorStudy:
    """An earlier study of the same woman: its instances that are to be read, and their headers."""

    study: Study
    instances: tuple[Instance, ...]
    headers: tuple[Dataset, ...]


@dataclass(frozen=True, slots=True)
class PriorResult:
    """An earlier exam as a report shows it. reading: its latest one, or None where there is none."""

    study: PriorStudy
    reading: Reading | None


class Priors:
    """Finds them. Stateless: everything is in the tables and the files."""

    def __init__(self, index: Index, outbox: Outbox, store: ObjectStore) -> None:
        self._index = index
        self._outbox = outbox
        self._store = store

    def studies(
        self,
        study: Study,
        instances: Sequence[Instance],
        worth: Callable[[Study, Sequence[Instance]], bool] = lambda _study, _instances: True,
    ) -> Iterator[PriorStudy]:
        """Earlier studies of the woman of `study`, whose instances are given; the newest first.

        worth: judges each by its rows, before its files are read and checked against their hashes.
        """
        now: tuple[Dataset, ...] = ()
        for each in self._index.earlier_studies(study):
            held = tuple(item for item in self._index.instances(each.study_instance_uid) if item.to_read)
            if not worth(each, held):
                continue
            now = now or self._headers(instances)
            headers = self._headers(held)
            if now and headers and same_woman([*now, *headers]):
                yield PriorStudy(each, held, headers)

    def beside(self, stored: StoredExam, study: Study, instances: Sequence[Instance], most: int) -> StoredExam:
        """A stored exam with at most that many priors that hold all four standard views, and their images' files."""
        found = list(islice(self.studies(study, instances, _is_whole), most)) if most else []
        priors = [stored_exam(each.study, each.instances, self._store) for each in found]
        files = {uid: path for each in (*priors, stored) for uid, path in each.files.items()}
        exam = replace(stored.exam, priors=tuple(each.exam for each in priors))
        return replace(stored, exam=exam, files=files)

    def count(self, study: Study, instances: Sequence[Instance], most: int) -> int:
        """How many priors that hold all four standard views there are, at most so many."""
        return sum(1 for _ in islice(self.studies(study, instances, _is_whole), most))

    def result(self, reading: Reading, study: Study, instances: Sequence[Instance]) -> PriorResult | None:
        """The earlier exam that a report of `reading` shows the change from.

        It is the one that the reading itself compares with; without one the latest that was read, else the latest
        that was answered as not read.
        """
        if reading.prior is not None:
            wanted = reading.prior.study_instance_uid
            compared = self.studies(study, instances, lambda each, _: each.study_instance_uid == wanted)
        else:
            compared = self.studies(study, instances, lambda each, _: self._reading(each) is not None)
        unread: PriorResult | None = None
        for each in compared:
            result = PriorResult(each, self._reading(each.study))
            if reading.prior is not None or (result.reading and result.reading.category is not Category.NOT_READ):
                return result
            unread = unread or result
        return unread

    def _reading(self, study: Study) -> Reading | None:
        stored = self._outbox.reading(study.study_instance_uid)
        return None if stored is None else Reading.from_json(stored.reading_json)

    def _headers(self, instances: Sequence[Instance]) -> tuple[Dataset, ...]:
        """Of the instances to be read whose files are as they were stored."""
        found = []
        for instance in instances:
            if not instance.to_read:
                continue
            try:
                self._store.verify(instance.path, instance.sha256)
            except AlteredObject as error:
                log.warning("image not usable for a prior", sop=instance.sop_instance_uid, problem=str(error))
            else:
                found.append(header(self._store.path(instance.path)))
        return tuple(found)


def _is_whole(_study: Study, instances: Sequence[Instance]) -> bool:
    return completeness.is_complete(frozenset(each.standard_view for each in instances if each.standard_view))


def same_woman(headers: Sequence[Dataset]) -> bool:
    """Whether all these images name one woman: the same Patient ID and issuer, nothing that contradicts it.

    Birth dates and sexes that are given must agree. Where no issuer is given, an ID may be another hospital's: then
    every image must give the birth date too.
    """
    views = [View.from_dataset(each) for each in headers]
    identities = {(view.patient_id, view.issuer_of_patient_id) for view in views}
    if len(identities) != 1 or not views[0].patient_id:
        return False
    born, sexes = {view.patient_birth_date for view in views}, {view.patient_sex for view in views}
    if len(born - {""}) > 1 or len(sexes - {""}) > 1:
        return False
    return bool(views[0].issuer_of_patient_id) or "" not in born


def earlier_exams(headers: Sequence[Dataset], others: Iterable[Sequence[Dataset]]) -> list[Sequence[Dataset]]:
    """Of other exams' headers, those of the same woman and an earlier study date; the newest first."""
    date = _study_date(headers)
    found = [other for other in others if _study_date(other) and _study_date(other) < date]
    same = [other for other in found if same_woman([*headers, *other])]
    return sorted(same, key=_study_date, reverse=True)


def _study_date(headers: Sequence[Dataset]) -> str:
    return next((date for each in headers if (date := elements.date(each, "StudyDate"))), "")

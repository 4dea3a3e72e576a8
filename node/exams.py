"""A stored study → `ai.exam.Exam`, with the files of its images; what is missing or altered is told, not passed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from ai import deflated
from ai.exam import Exam, View
from ai.reasons import Reason, ReasonCode
from storage.objects import AlteredObject, ObjectStore
from storage.records import Instance, Study


@dataclass(frozen=True, slots=True)
class StoredExam:
    """An exam, its images' files by SOP Instance UID, and the instances whose files are not what was stored."""

    exam: Exam
    files: dict[str, Path]
    unreadable: tuple[Reason, ...]


def stored_exam(study: Study, instances: Sequence[Instance], store: ObjectStore) -> StoredExam:
    """The exam made of a study's instances that are to be read. Every file is checked against its sha256."""
    views, files, unreadable = [], {}, []
    for instance in instances:
        if not instance.to_read:
            continue
        try:
            store.verify(instance.path, instance.sha256)
        except AlteredObject as error:
            unreadable.append(Reason(ReasonCode.INSTANCE_UNREADABLE, instance.sop_instance_uid, str(error)))
            continue
        path = store.path(instance.path)
        views.append(View.from_dataset(header(path)))
        files[instance.sop_instance_uid] = path
    exam = Exam(
        study_instance_uid=study.study_instance_uid,
        patient_id=study.patient_id,
        issuer_of_patient_id=study.issuer_of_patient_id,
        accession_number=study.accession_number,
        study_date=study.study_date,
        views=tuple(views),
    )
    return StoredExam(exam, files, tuple(unreadable))


def header(path: Path) -> Dataset:
    """A stored file's data set without its pixel data."""
    return deflated.read_header(path)

"""Was every exam of the demonstration answered, once, and with the right woman's name? Told from the PACS's side.

What the PACS gave out decides; the node's own records are asked only for what an answer says (score, band, reasons),
and that the category in the structured report is the recorded one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from ai.exam import ImageLaterality
from ai.findings import Category, Reading
from node import holdings
from node.config import Config
from node.holdings import Holdings
from node.simulator.hospital import Course, Hospital
from node.simulator.pacs import Arrival, Pacs
from storage.records import StudyState

#: Elements of a result that must be, byte for byte, those of the images.
IDENTITY = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
)  # fmt: skip
_TRIAGE = "TRIAGE"  # concept of the triage category in the private coding scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamAnswer:
    """One exam's row. turnaround_s: from the answer to its last image's C-STORE to its last result in the PACS."""

    name: str
    truth: str
    study_instance_uid: str
    room: str
    category: str
    reasons: tuple[str, ...]
    band: int | None
    right: float | None
    left: float | None
    composition: str
    revision: int
    turnaround_s: float | None
    objects: int
    objects_expected: int
    doubled: int
    problems: tuple[str, ...]

    @property
    def lost(self) -> int:
        """Result objects that did not come."""
        return max(0, self.objects_expected - (self.objects - self.doubled))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The demonstration's outcome. problems: of no exam in particular."""

    pacs: str
    how: str
    exams: tuple[ExamAnswer, ...]
    images_sent: int
    images_kept: int
    problems: tuple[str, ...]
    arrivals: tuple[Arrival, ...]
    timings_s: dict[str, float] = field(default_factory=dict)
    bundles: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every exam was answered exactly once per revision, under its own name."""
        return not self.problems and not any(exam.problems for exam in self.exams)

    @property
    def counts(self) -> dict[str, int]:
        """Exams sent, read and not read; objects delivered, lost and doubled."""
        unread = sum(exam.category == Category.NOT_READ for exam in self.exams)
        return {
            "sent": len(self.exams),
            "read": sum(bool(exam.category) for exam in self.exams) - unread,
            "not_read": unread,
            "delivered": sum(exam.objects for exam in self.exams),
            "lost": sum(exam.lost for exam in self.exams),
            "doubled": sum(exam.doubled for exam in self.exams),
            "images_sent": self.images_sent,
            "images_kept": self.images_kept,
        }


def judge(hospital: Hospital, pacs: Pacs, config: Config, exit_code: int) -> Verdict:
    """Judge what happened. exit_code: the node's, after it was asked to stop."""
    kinds = len(config.destinations["pacs"].results)
    known = {course.exam.study_instance_uid for course in hospital.courses}
    strays = [each for each in hospital.arrivals if each.header.StudyInstanceUID not in known]
    problems = [f"the PACS has an object of no exam that was sent: {each.header.SOPInstanceUID}" for each in strays]
    problems += [f"the PACS received {uid} more than once" for uid in pacs.doubled()]
    if exit_code:
        problems.append(f"the node ended with {exit_code} when it was asked to stop")
    with holdings.opened(config) as held:
        answers = tuple(_answer(course, hospital, held, kinds) for course in hospital.courses)
        kept = sum(len(held.index.instances(uid)) for uid in known)
    return Verdict(
        pacs=pacs.name,
        how=pacs.how,
        exams=answers,
        images_sent=sum(len(course.exam.images) for course in hospital.courses),
        images_kept=kept,
        problems=tuple(problems),
        arrivals=tuple(hospital.arrivals),
    )


def _answer(course: Course, hospital: Hospital, held: Holdings, kinds: int) -> ExamAnswer:
    uid, revision = course.exam.study_instance_uid, course.revisions
    mine = [arrival for arrival in hospital.arrivals if arrival.header.StudyInstanceUID == uid]
    stored = held.outbox.reading(uid, revision)
    reading = Reading.from_json(stored.reading_json) if stored is not None else None
    seen_at, sent_at = hospital.answered_at(course, revision), course.sent.get(revision)
    doubled = sum(count - 1 for count in _per_answer(mine).values())
    row = ExamAnswer(
        name=course.exam.name,
        truth=course.exam.truth,
        study_instance_uid=uid,
        room=course.room,
        category=str(reading.category) if reading else "",
        reasons=tuple(dict.fromkeys(reason.sentence for reason in reading.reasons)) if reading else (),
        band=reading.band if reading else None,
        right=_score(reading, ImageLaterality.RIGHT),
        left=_score(reading, ImageLaterality.LEFT),
        composition=str(reading.composition.composition) if reading and reading.composition else "",
        revision=revision,
        turnaround_s=seen_at - sent_at if seen_at is not None and sent_at is not None else None,
        objects=len(mine),
        objects_expected=kinds * revision,
        doubled=doubled,
        problems=(),
    )
    return replace(row, problems=tuple(_problems(row, course, held, mine, reading)))


def _problems(
    row: ExamAnswer, course: Course, held: Holdings, mine: Sequence[Arrival], reading: Reading | None
) -> Iterator[str]:
    if course.problem:
        yield course.problem
    kinds = row.objects_expected // row.revision
    found = Counter(revision for revision, _ in _per_answer(mine))
    for revision in range(1, row.revision + 1):
        if found[revision] != kinds:
            yield f"revision {revision} has {found[revision]} of {kinds} results in the PACS"
    if set(found) - set(range(1, row.revision + 1)):
        yield f"results of revisions {sorted(found)} came; {row.revision} was the last expected"
    if row.doubled:
        yield f"{row.doubled} results are there twice"
    study = held.index.study(row.study_instance_uid)
    if study is None or (study.state, study.revision) != (StudyState.ANSWERED, row.revision):
        yield f"the node's record is {study.state if study else 'missing'}, not ANSWERED at revision {row.revision}"
    kept = len(held.index.instances(row.study_instance_uid))
    if kept != len(course.exam.images):
        yield f"{kept} of {len(course.exam.images)} images are kept"
    sent = dcmread(course.exam.images[0].path, stop_before_pixels=True)
    for arrival in mine:
        yield from identity_problems(sent, arrival)
        told = told_category(arrival.header)
        if reading and told and arrival.header.InstanceNumber == reading.revision and told != reading.category:
            yield f"a result in the PACS says {told}, the node's record {reading.category}"


def identity_problems(sent: Dataset, arrival: Arrival) -> Iterator[str]:
    """What of a result does not name the woman of the images. sent: the header of one."""
    received = dcmread(arrival.path, stop_before_pixels=True)
    for keyword in IDENTITY:
        if _bytes(received, keyword) != _bytes(sent, keyword):
            yield f"{keyword} of a result is not that of the images ({arrival.header.SOPInstanceUID})"


def _bytes(dataset: Dataset, keyword: str) -> bytes:
    """The element as it stands in the file, without padding; b"" when it is absent."""
    element: Any = dataset.get_item(keyword)
    if element is None:
        return b""
    value = element.value
    raw = value if isinstance(element, RawDataElement) and isinstance(value, bytes) else str(value or "").encode()
    return raw.rstrip(b" \0")


def _per_answer(arrivals: Sequence[Arrival]) -> Counter[tuple[int, str]]:
    """Objects per revision and SOP class: each must be there once."""
    return Counter((int(each.header.InstanceNumber), str(each.header.SOPClassUID)) for each in arrivals)


def told_category(item: Dataset) -> str:
    """The triage category that a structured report states, or ""."""
    for child in item.get("ContentSequence") or []:
        concepts = child.get("ConceptNameCodeSequence") or []
        if concepts and concepts[0].get("CodeValue") == _TRIAGE and child.get("ConceptCodeSequence"):
            return str(child.ConceptCodeSequence[0].CodeValue)
        found = told_category(child)
        if found:
            return found
    return ""


def _score(reading: Reading | None, side: ImageLaterality) -> float | None:
    breasts = reading.breasts if reading else ()
    return next((each.probability for each in breasts if each.image_laterality is side), None)

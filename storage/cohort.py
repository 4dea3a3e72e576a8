"""What the readers decided and what became of each woman, as it is told to the node; and the exams it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import func, select

from storage.database import Database
from storage.schema import ReadingRow, StudyRow
from storage.schema_cohort import CohortImportRow, ExamFactsRow

_AT_ONCE = 500  # values in one statement's list


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamFacts:
    """The columns of a cohort table that others than the node fill; None: not told."""

    study_instance_uid: str
    r1: int | None = None
    r2: int | None = None
    r1_right: int | None = None
    r1_left: int | None = None
    r2_right: int | None = None
    r2_left: int | None = None
    consensus_held: bool | None = None
    recalled: bool | None = None
    ai_visible: bool | None = None
    outcome: str | None = None
    cancer_side: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortImport:
    """A file that was taken in. rows: of the file; added, changed: exams; skipped: rows of exams not held here."""

    at: datetime
    file: str
    sha256: str
    rows: int
    added: int
    changed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file that is taken in now. rows, skipped: see `CohortImport`."""

    name: str
    sha256: str
    rows: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadExam:
    """An exam with its latest reading, as JSON."""

    study_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    study_date: str
    reading_json: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredExam:
    """An exam that has an answer, and whose it is."""

    study_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    study_date: str


class CohortFacts:
    """Facts by exam. What is told later replaces what was told before; what is not told stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def facts(self, study_instance_uids: Iterable[str] | None = None) -> dict[str, ExamFacts]:
        """Study → its facts: of these studies, or all there are."""
        if study_instance_uids is None:
            with self._database.transaction() as session:
                return {row.study_instance_uid: _facts(row) for row in session.scalars(select(ExamFactsRow))}
        found: dict[str, ExamFacts] = {}
        for some in _parts(list(study_instance_uids)):
            query = select(ExamFactsRow).where(ExamFactsRow.study_instance_uid.in_(some))
            with self._database.transaction() as session:
                found |= {row.study_instance_uid: _facts(row) for row in session.scalars(query)}
        return found

    def save(self, facts: Sequence[ExamFacts], taken: CohortImport) -> None:
        """Keep these facts, whole, and that the file was taken in: all of it or nothing."""
        with self._database.transaction() as session:
            session.add(CohortImportRow(**asdict(taken)))
            for each in facts:
                session.merge(ExamFactsRow(**asdict(each), changed_at=taken.at))

    def take(self, file: TakenFile, before: Mapping[str, ExamFacts], after: Sequence[ExamFacts]) -> CohortImport:
        """Keep those of `after` that are new or not as `before` (by Study Instance UID), and tell how many."""
        new = [each for each in after if each.study_instance_uid not in before]
        changed = [each for each in after if before.get(each.study_instance_uid, each) != each]
        done = CohortImport(
            at=datetime.now(UTC),
            file=file.name,
            sha256=file.sha256,
            rows=file.rows,
            added=len(new),
            changed=len(changed),
            skipped=file.skipped,
        )
        self.save([*new, *changed], done)
        return done

    def imports(self) -> list[CohortImport]:
        """Every file that was taken in, the first first."""
        names = [each.name for each in fields(CohortImport)]
        with self._database.transaction() as session:
            rows = session.scalars(select(CohortImportRow).order_by(CohortImportRow.id))
            return [CohortImport(**{name: getattr(row, name) for name in names}) for row in rows]

    def held(self, study_instance_uids: Iterable[str]) -> set[str]:
        """Those of the studies that the node holds."""
        found: set[str] = set()
        for some in _parts(list(study_instance_uids)):
            query = select(StudyRow.study_instance_uid).where(StudyRow.study_instance_uid.in_(some))
            with self._database.transaction() as session:
                found |= set(session.scalars(query))
        return found

    def by_accession(self, accession_numbers: Iterable[str]) -> Mapping[str, list[str]]:
        """Accession number → the studies that have it."""
        found: dict[str, list[str]] = {}
        for some in _parts(list(accession_numbers)):
            query = select(StudyRow.accession_number, StudyRow.study_instance_uid).where(
                StudyRow.accession_number.in_(some)
            )
            with self._database.transaction() as session:
                for number, study in session.execute(query):
                    found.setdefault(number, []).append(study)
        return found

    def answered_exams(self) -> list[AnsweredExam]:
        """Every exam that has an answer, by patient and date."""
        names = [each.name for each in fields(AnsweredExam)]
        query = (
            select(*(getattr(StudyRow, name) for name in names))
            .where(StudyRow.study_instance_uid.in_(select(ReadingRow.study_instance_uid)))
            .order_by(StudyRow.patient_id, StudyRow.issuer_of_patient_id, StudyRow.study_date)
        )
        with self._database.transaction() as session:
            return [AnsweredExam(**row._mapping) for row in session.execute(query)]

    def read_exams(self) -> Iterator[ReadExam]:
        """Every exam that has an answer, with its latest, by patient and date."""
        revision = func.max(ReadingRow.revision).label("revision")
        latest = select(ReadingRow.study_instance_uid.label("study"), revision).group_by("study").subquery()
        query = (
            select(
                StudyRow.study_instance_uid,
                StudyRow.patient_id,
                StudyRow.issuer_of_patient_id,
                StudyRow.study_date,
                ReadingRow.reading_json,
            )
            .join(ReadingRow, ReadingRow.study_instance_uid == StudyRow.study_instance_uid)
            .join(
                latest, (latest.c.study == ReadingRow.study_instance_uid) & (latest.c.revision == ReadingRow.revision)
            )
            .order_by(
                StudyRow.patient_id, StudyRow.issuer_of_patient_id, StudyRow.study_date, StudyRow.first_received_at
            )
            .execution_options(yield_per=200)
        )
        with self._database.transaction() as session:
            for row in session.execute(query):
                yield ReadExam(**row._mapping)


def _facts(row: ExamFactsRow) -> ExamFacts:
    return ExamFacts(**{each.name: getattr(row, each.name) for each in fields(ExamFacts)})


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]

"""A node's data in a folder, without a node that runs: for what is asked of its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml
from typer.testing import CliRunner

from ai import cohort
from ai.findings import BreastAssessment, Reading
from ai.reasons import Reason, ReasonCode
from node import cli, cohort_export, cohort_import
from node.cohort_export import Exported
from node.holdings import Holdings
from node.pseudonyms import Pseudonyms
from storage.cohort import ExamFacts
from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import StoredReading
from storage.schema import make_engine
from tests.support_index import received
from tests.support_readings import L, R, read_exam, unread_exam

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Node:
    """A node's data in a folder, without a node that runs."""

    folder: Path
    database: Database

    @property
    def held(self) -> Holdings:
        return Holdings.of(self.database)

    def exam(
        self, study: str, reading: Reading | None, *, patient: str, date: str, accession: str = "", issuer: str = "NIN"
    ) -> None:
        instance = received(
            study,
            NOW,
            patient_id=patient,
            issuer_of_patient_id=issuer,
            accession_number=accession,
            study_date=date,
        )
        Index(self.database).add_instance(instance, lambda _views: NOW)
        if reading is not None:
            stored = StoredReading(
                study_instance_uid=study,
                revision=reading.revision,
                reading_json=replace(reading, study_instance_uid=study).to_json(),
                category=str(reading.category),
                previews={},
                saved_at=NOW,
            )
            assert Outbox(self.database).save_reading(stored)

    def file(self, *lines: str, name: str = "decisions.csv") -> Path:
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def take(self, *lines: str, skip_unknown: bool = False) -> dict[str, int]:
        done = cohort_import.taken(self.held, self.file(*lines), skip_unknown=skip_unknown)
        return {"rows": done.rows, "added": done.added, "changed": done.changed, "skipped": done.skipped}

    def facts(self, study: str) -> ExamFacts:
        return self.held.cohort.facts()[study]

    def export(self, name: str = "cohort.csv") -> Exported:
        found = cohort_export.exported(self.held, Pseudonyms(self.folder / "objects" / ".pseudonym-key"))
        cohort.write(found.table, self.folder / name)
        return found

    def run(self, *arguments: object) -> str:
        """The output of `mammo-node cohort`; what it ends with other than 0 is raised."""
        words = ["cohort", *map(str, arguments), "--config", str(self.folder / "config.yaml")]
        done = CliRunner().invoke(cli.make_app(words), words)
        if done.exception is not None:
            raise done.exception
        return done.output


def reading(score: float | None, **changes: object) -> Reading:
    """An answer; a score of None: not read."""
    if score is None:
        return unread_exam(Reason(ReasonCode.BREAST_IMPLANT), started_at=NOW)
    sides = {R: score, L: score / 2}
    breasts = tuple(BreastAssessment(image_laterality=side, probability=value) for side, value in sides.items())
    return replace(read_exam(), score=score, breasts=breasts, **{"started_at": NOW, **changes})  # type: ignore[arg-type]


@contextmanager
def kept(folder: Path) -> Iterator[Node]:
    """An empty database in this folder, and a config.yaml that names it."""
    storage = {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0}
    (folder / "config.yaml").write_text(yaml.safe_dump({"storage": storage}))
    database = Database(make_engine(f"sqlite:///{folder / 'node.sqlite'}"))
    database.create_schema()
    yield Node(folder, database)
    database.engine.dispose()

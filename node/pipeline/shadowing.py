"""Reading in the shadow: what another model, or another calibration, says of the exams that the live one has read.

It comes after the live reading, gives way while exams wait to be read, and ends in a row of a table: no result object,
no delivery, nothing in searches, nothing in the exam's own history. When it fails, nobody waits for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ai.calibration import Calibration
from ai.findings import Category, Reading
from ai.placing import SEVERAL_SYSTEMS, Scale
from node import logs
from node.calibrations import Calibrations
from node.decisions import read
from node.exams import stored_exam
from node.in_force import InForce, in_force
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms
from node.priors import Priors
from node.reader import Reader
from node.settings import ReadingSettings
from node.settings_shadow import ShadowSettings
from storage.index import Index
from storage.outbox import Outbox
from storage.records import Study, StudyState
from storage.shadows import Answers, ShadowReading, Shadows

log = logs.get(__name__)

_GIVES_WAY_S = 2.0
_NICENESS = 10


class Shadowing:
    """One more reader, for the shadow's bundles where it has any."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._settings = shadow_settings(rooms.config.reading, rooms.config.shadow)
        self._index, self._outbox = Index(rooms.database), Outbox(rooms.database)
        self._priors = Priors(self._index, self._outbox, rooms.store)
        self._reader = Reader(self._settings, niceness=_NICENESS)

    def read(self, job: Job) -> None:
        """Read one exam in the shadow, or later when exams wait for the live model."""
        study = self._index.study(job.study_instance_uid)
        stored = self._outbox.reading(job.study_instance_uid, job.revision)
        if not self._rooms.config.shadow.is_on or study is None or stored is None or study.revision != job.revision:
            return
        if self._index.studies([StudyState.READING], 1):
            with self._rooms.database.transaction() as session:
                self._rooms.enqueue(session, Stage.SHADOW, *_exam(job), delay_s=_GIVES_WAY_S)
            return
        live = Reading.from_json(stored.reading_json)
        counts = in_force(self._settings)
        found = self._by_its_calibration(self._read(study, job) if self._has_its_own_model else live, counts)
        if found is not None:
            self._save(live, found)

    def stop(self) -> None:
        """End the shadow's reader."""
        self._reader.stop()

    @property
    def _has_its_own_model(self) -> bool:
        return bool(self._rooms.config.shadow.bundles)

    def _read(self, study: Study, job: Job) -> Reading:
        instances = self._index.instances(study.study_instance_uid)
        stored = stored_exam(study, instances, self._rooms.store)
        given = self._priors.beside(stored, study, instances, self._reader.wanted_priors())
        return self._reader.read(given.exam, given.files, job.revision).reading

    def _by_its_calibration(self, reading: Reading, counts: InForce) -> Reading | None:
        """The reading placed by the shadow's calibration, where it has one; None where that cannot be told."""
        wanted = self._rooms.config.shadow.calibration
        if wanted is None or reading.category is Category.NOT_READ:
            return reading
        if reading.stratum is None or any(each.detail == SEVERAL_SYSTEMS for each in reading.cautions):
            return None
        lenient = self._settings.negative_without_reference_population
        scale = Scale(
            calibration(wanted, counts, self._settings),
            counts.points,
            scores=reading.score_scale,
            negative_without_reference_population=lenient,
        )
        placed = scale.place(reading.score or 0.0, [reading.stratum])
        return replace(
            reading,
            category=placed.category,
            percentile=placed.percentile,
            band=placed.band,
            cautions=placed.cautions,
            calibration_version=scale.version,
        )

    def _save(self, live: Reading, shadow: Reading) -> None:
        model = shadow.algorithm
        answers = Answers(
            study_instance_uid=live.study_instance_uid,
            revision=live.revision,
            shadow=f"{model.name} {model.version} {model.weights_sha256[:12]}, {shadow.calibration_version}",
            saved_at=datetime.now(UTC),
            live_category=live.category,
            live_band=live.band,
            live_percentile=live.percentile,
            category=shadow.category,
            band=shadow.band,
            percentile=shadow.percentile,
        )
        kept = replace(shadow, heat_maps=(), details=())
        Shadows(self._rooms.database).save(ShadowReading(answers=answers, reading_json=kept.to_json()))


def shadow_settings(reading: ReadingSettings, shadow: ShadowSettings) -> ReadingSettings:
    """How the shadow reads: as the live model, with its own bundles where it has any."""
    return reading.model_copy(update={"bundles": shadow.bundles}) if shadow.bundles else reading


def calibration(wanted: str, counts: InForce, settings: ReadingSettings) -> Calibration:
    """The calibration that a version or a proposal's file names. Raises ConfigError."""
    kept = Calibrations(settings.calibration_folder)
    if not wanted.endswith(".json"):
        return kept.version(counts.model, wanted)
    path = Path(wanted)
    content = read(path)
    made, found = kept.adopted(path, content, counts.model)
    return made.model_copy(update={"version": f"proposal {found.data_sha256[:12]}"})


def _exam(job: Job) -> tuple[str, int]:
    return job.study_instance_uid, job.revision

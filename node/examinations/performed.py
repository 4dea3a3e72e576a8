"""What a modality says of an exam under way: completed, it is whole when its images are here; discontinued, it is told.

The statuses are those of PS3.7 C.5 and PS3.4 F.7.2: a final step may not be changed any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pydicom.dataset import Dataset

from node import logs
from node.errors import NodeError
from storage.index import Index
from storage.objects import is_valid_uid
from storage.records import Event
from storage.worklist import PerformedStep, StepState, Worklist

log = logs.get(__name__)


class InvalidStep(NodeError):
    """An attribute's value is not allowed (0x0106)."""

    dimse_status = 0x0106
    http_status = 400


class DuplicateStep(NodeError):
    """There is a step of this UID (0x0111)."""

    dimse_status = 0x0111
    http_status = 409


class NoSuchStep(NodeError):
    """No step of this UID (0x0112)."""

    dimse_status = 0x0112
    http_status = 404


class FinalStep(NodeError):
    """The step is completed or discontinued and may no longer be updated (0x0110)."""

    dimse_status = 0x0110
    http_status = 409


class Performed:
    """Keeps what is said, and acts on it."""

    def __init__(self, index: Index, worklist: Worklist) -> None:
        self._index = index
        self._worklist = worklist

    def create(self, uid: str, attributes: Dataset) -> None:
        """N-CREATE: an exam has begun. Raises InvalidStep, DuplicateStep."""
        if not is_valid_uid(uid):
            raise InvalidStep("Affected SOP Instance UID is missing or no UID")
        if _state(attributes) is not StepState.IN_PROGRESS:
            raise InvalidStep("PerformedProcedureStepStatus must be IN PROGRESS")
        scheduled = attributes.get("ScheduledStepAttributesSequence") or [Dataset()]
        study = str(scheduled[0].get("StudyInstanceUID") or "")
        if not is_valid_uid(study):
            raise InvalidStep("ScheduledStepAttributesSequence: StudyInstanceUID")
        step = PerformedStep(
            sop_instance_uid=uid,
            study_instance_uid=study,
            state=StepState.IN_PROGRESS,
            station_ae_title=str(attributes.get("PerformedStationAETitle") or ""),
            changed_at=datetime.now(UTC),
        )
        if not self._worklist.begin(step):
            raise DuplicateStep("there is a step of this UID already")
        self._tell(step)

    def set(self, uid: str, attributes: Dataset) -> None:
        """N-SET: the exam goes on, or has ended. Raises NoSuchStep, FinalStep, InvalidStep."""
        step = self._worklist.step(uid)
        if step is None:
            raise NoSuchStep("no step of this UID; create it first")
        after = PerformedStep(
            sop_instance_uid=uid,
            study_instance_uid=step.study_instance_uid,
            state=_state(attributes) if "PerformedProcedureStepStatus" in attributes else step.state,
            station_ae_title=step.station_ae_title,
            changed_at=datetime.now(UTC),
            images=tuple(dict.fromkeys(_images(attributes))) or step.images,
            why=_why(attributes),
        )
        if not self._worklist.change(after):
            raise FinalStep("Performed Procedure Step Object may no longer be updated")
        if after.state is not step.state:
            self._tell(after)

    def signal(self, now: datetime) -> None:
        """Exams whose modality says completed, with all its images here, are whole."""
        for step in self._worklist.whole():
            self._index.hasten(step.study_instance_uid, now)
            self._worklist.signalled(step.sop_instance_uid)
            log.info("whole: the modality has completed it", study=step.study_instance_uid)

    def _tell(self, step: PerformedStep) -> None:
        made = f", {len(step.images)} images" if step.state is StepState.COMPLETED else ""
        why = f": {step.why}" if step.why else ""
        text = f"the modality says {step.state.lower()}{made}{why}"
        log.info("performed procedure step", study=step.study_instance_uid, state=str(step.state))
        study, at = step.study_instance_uid, step.changed_at
        self._index.add_event(Event(study_instance_uid=study, revision=0, at=at, stage="modality", text=text))


def _state(attributes: Dataset) -> StepState:
    said = str(attributes.get("PerformedProcedureStepStatus") or "").strip().upper()
    try:
        return StepState(said)
    except ValueError as error:
        allowed = ", ".join(StepState)
        raise InvalidStep(f"PerformedProcedureStepStatus '{said[:16]}'; allowed: {allowed}") from error


def _images(attributes: Dataset) -> Iterator[str]:
    """Images of interest alone: a modality may also name reports that it keeps to itself."""
    for series in attributes.get("PerformedSeriesSequence") or []:
        for image in series.get("ReferencedImageSequence") or []:
            uid = str(image.get("ReferencedSOPInstanceUID") or "")
            if is_valid_uid(uid):
                yield uid


def _why(attributes: Dataset) -> str:
    """The coded reason; free text may hold what a log may not."""
    codes = attributes.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or []
    return str(codes[0].get("CodeMeaning") or "")[:64] if codes else ""

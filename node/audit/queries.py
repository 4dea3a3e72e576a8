"""Queries of others, as the trail keeps them: what was asked for, but of a patient only what `audit.patients` allows.

What may name or describe a patient is left out, and that it was asked by is told: the key stays, without its value.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from urllib.parse import urlencode

from pydicom import dcmwrite
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

from node import logs
from node.audit import events
from node.audit.auditor import Auditor
from node.audit.events import Other

log = logs.get(__name__)

#: Keys whose values are kept: they tell of exams and objects, not of people.
_KEPT = frozenset(
    keyword
    for line in (
        "SpecificCharacterSet QueryRetrieveLevel StudyDate StudyTime SeriesDate SeriesTime Modality ModalitiesInStudy",
        "SOPClassUID SOPClassesInStudy StudyInstanceUID SeriesInstanceUID SOPInstanceUID SeriesNumber InstanceNumber",
        "Laterality ImageLaterality ViewPosition Manufacturer ManufacturerModelName NumberOfFrames Rows Columns",
        "ScheduledStationAETitle ProcedureStepState InputReadinessState limit offset includefield",
    )
    for keyword in line.split()
)
_PATIENT_ID = "PatientID"
_LONGEST = 16_384  # bytes of a query; messages of 32,768 must pass (PS3.15 A.6), and this is encoded in base64


class Queries:
    """Tells the trail what was asked. Without an auditor nothing is."""

    def __init__(self, auditor: Auditor | None = None) -> None:
        self._auditor = auditor

    def asked(self, by: Other, sop_class_uid: str, identifier: Dataset) -> None:
        """A C-FIND."""
        if self._auditor is not None:
            query = self._query(identifier)
            here, syntax = self._auditor.here, str(ImplicitVRLittleEndian)
            self._auditor.tell(events.queried(here, by, sop_class_uid, query, syntax))

    def searched(self, by: Other, path: str, parameters: Iterable[tuple[str, str]]) -> None:
        """A search of the web side: its path and its query parameters."""
        if self._auditor is not None:
            kept = urlencode([(key[:128], self._value(_keyword(key), value)) for key, value in parameters])
            self._auditor.tell(events.queried_by_uri(self._auditor.here, by, path, kept[:_LONGEST]))

    def _query(self, identifier: Dataset) -> bytes:
        """Encoded; empty where a peer asked what cannot be, which is answered elsewhere, or at too great length."""
        buffer = io.BytesIO()
        try:
            dcmwrite(buffer, self._without_patient(identifier), implicit_vr=True, little_endian=True)
        except Exception:
            log.exception("the audit trail does not tell what was asked")
            return b""
        content = buffer.getvalue()
        return content if len(content) <= _LONGEST else b""

    def _without_patient(self, identifier: Dataset) -> Dataset:
        made = Dataset()
        for element in identifier:
            if element.keyword in _KEPT:
                made.add(element)
            elif element.keyword == _PATIENT_ID and element.value:
                made.PatientID = self._value(_PATIENT_ID, str(element.value))
            else:
                made.add_new(element.tag, element.VR, None if element.VR != "SQ" else [])
        return made

    def _value(self, keyword: str, value: str) -> str:
        if keyword in _KEPT:
            return value
        if keyword == _PATIENT_ID and value and self._auditor is not None and not set(value) & set("*?\\"):
            return self._auditor.patient(value)
        return ""


def _keyword(key: str) -> str:
    """A query parameter may name an element by keyword or by tag (PS3.18 8.3.4)."""
    try:
        return keyword_for_tag(Tag(key)) or key if len(key) == 8 and key.isalnum() else key
    except ValueError:
        return key

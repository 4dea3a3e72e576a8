"""A woman's earlier exams at a PACS: asking for them (C-FIND) and having them sent (C-MOVE to this node, or C-GET)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

from node import logs
from node.config import Config
from node.dimse import query_scu
from node.dimse.scp import TRANSFER_SYNTAXES
from node.errors import DeliveryError, NodeError
from node.intake import Incoming, Intake
from node.settings import Peer, PriorSource
from storage.index import Index
from storage.objects import is_valid_uid

log = logs.get(__name__)

_CLASSES = (DigitalMammographyXRayImageStorageForPresentation, DigitalMammographyXRayImageStorageForProcessing)
_STORAGE = tuple((str(each), str(syntax)) for each in _CLASSES for syntax in TRANSFER_SYNTAXES)
_MOST_MATCHES = 100


class Examined(Protocol):
    """The exam that others are earlier than. study_date: ISO 8601."""

    @property
    def study_instance_uid(self) -> str: ...

    @property
    def patient_id(self) -> str: ...

    @property
    def issuer_of_patient_id(self) -> str: ...

    @property
    def study_date(self) -> str: ...


@dataclass(frozen=True, slots=True)
class EarlierExams:
    """What peers have of a woman. Stateless but for the index."""

    config: Config
    index: Index
    intake: Intake

    def found(self, exam: Examined, peer: Peer, source: PriorSource) -> Sequence[str]:
        """Study Instance UIDs of her earlier exams there, the latest first. Raises DeliveryError."""
        matches = query_scu.find(peer, self.config.node.ae_title, _query(exam, source), _MOST_MATCHES)
        earlier = [each for each in matches if _may_be_prior(each, exam)]
        earlier.sort(key=lambda each: str(each.StudyDate), reverse=True)
        return [str(each.StudyInstanceUID) for each in earlier]

    def is_held(self, uid: str) -> bool:
        """Whether there is anything of that study here."""
        return bool(self.index.instances(uid))

    def fetched(self, exam: Examined, uid: str, name: str) -> str:
        """Have the peer of that name send one, which is then no exam to be read; what came of it, in words."""
        peer = self.config.peers[name]
        assert peer.priors is not None
        self.index.expect_prior(uid, exam.study_instance_uid, name, datetime.now(UTC))
        try:
            Retrieval(self.config, self.intake).fetch(uid, peer, peer.priors)
        except DeliveryError as error:
            return f"earlier exam {uid} not to be had: {error}"
        return f"earlier exam {uid}: {len(self.index.instances(uid))} images came"


class Retrieval:
    """Has a PACS send a study to this node (C-MOVE), or takes it from there (C-GET)."""

    def __init__(self, config: Config, intake: Intake) -> None:
        self._own = config.node.ae_title
        self._intake = intake

    def fetch(self, study_instance_uid: str, peer: Peer, source: PriorSource) -> None:
        """The whole study, through the node's one door. Raises DeliveryError."""
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = study_instance_uid
        patient = peer.model_copy(update={"dimse_timeout_s": source.timeout_s, "network_timeout_s": source.timeout_s})
        if source.retrieve == "move":
            query_scu.move(patient, self._own, identifier, source.timeout_s)
        else:
            query_scu.get(patient, self._own, identifier, self._taker(peer), _STORAGE)

    def _taker(self, peer: Peer) -> query_scu.Taken:
        def take(encoded: memoryview, syntax: str, sop_class_uid: str, sop_instance_uid: str) -> int:
            try:
                self._intake.accept(
                    Incoming(
                        encoded=encoded,
                        transfer_syntax_uid=syntax,
                        sop_class_uid=sop_class_uid,
                        sop_instance_uid=sop_instance_uid,
                        calling_ae_title=peer.ae_title,
                    )
                )
            except NodeError as error:
                log.warning("fetched image not accepted", sop=sop_instance_uid, why=str(error))
                return error.dimse_status
            return 0x0000

        return take


def _query(exam: Examined, source: PriorSource) -> Dataset:
    day = date.fromisoformat(exam.study_date)
    begin = day - timedelta(days=round(365.25 * source.years))
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientID = exam.patient_id
    dataset.StudyDate = f"{begin:%Y%m%d}-{day - timedelta(days=1):%Y%m%d}"
    dataset.ModalitiesInStudy = "MG"
    for keyword in ("IssuerOfPatientID", "StudyInstanceUID"):
        setattr(dataset, keyword, None)
    return dataset


def _may_be_prior(match: Dataset, exam: Examined) -> bool:
    """Whether it is worth fetching: hers by ID and issuer, earlier, with mammograms. Its headers decide in the end."""
    issuer, modalities = str(match.get("IssuerOfPatientID") or ""), match.get("ModalitiesInStudy") or "MG"
    several = [modalities] if isinstance(modalities, str) else list(modalities)
    return (
        is_valid_uid(str(match.get("StudyInstanceUID") or ""))
        and str(match.get("PatientID") or "").strip() == exam.patient_id
        and issuer in ("", exam.issuer_of_patient_id)
        and "" < str(match.get("StudyDate") or "") < exam.study_date
        and "MG" in several
    )

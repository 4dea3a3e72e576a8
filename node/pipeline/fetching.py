"""Before an exam is read: its woman's earlier exams, where none is held and the strategy wants them.

A PACS is asked (C-FIND), and sends (C-MOVE to this node, or C-GET). What cannot be had costs a line in the exam's
history; the exam is read all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

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
from node.pipeline.jobs import Job, Stage
from node.pipeline.rooms import Rooms, tell
from node.priors import Priors
from node.settings import Peer, PriorSource
from storage.index import Index
from storage.objects import is_valid_uid
from storage.outbox import Outbox
from storage.records import Study, StudyState

log = logs.get(__name__)

_CLASSES = (DigitalMammographyXRayImageStorageForPresentation, DigitalMammographyXRayImageStorageForProcessing)
_STORAGE = tuple((str(each), str(syntax)) for each in _CLASSES for syntax in TRANSFER_SYNTAXES)
_MOST_MATCHES = 100


def sources(config: Config) -> tuple[str, ...]:
    """Names of the peers that are asked for priors, in the order of the configuration."""
    return tuple(name for name, peer in config.peers.items() if peer.priors is not None)


def first_job(config: Config) -> tuple[Stage, str]:
    """What a complete exam waits for first, and at which peer."""
    return next(((Stage.FETCH, name) for name in sources(config)), (Stage.READ, ""))


class Fetching:
    """Stateless: everything is in the tables."""

    def __init__(self, rooms: Rooms, intake: Intake) -> None:
        self._rooms = rooms
        self._retrieval = Retrieval(rooms.config, intake)
        self._index = Index(rooms.database)
        self._priors = Priors(self._index, Outbox(rooms.database), rooms.store)

    def run(self, job: Job) -> None:
        """Ask one peer, then the next one, or read."""
        study = self._index.study(job.study_instance_uid)
        if study is None or (study.revision, study.state) != (job.revision, StudyState.READING):
            return
        notes = self._notes(study, job.destination)
        self._rooms.passed("fetch: done")
        names = sources(self._rooms.config)
        following = names[names.index(job.destination) + 1 :] if job.destination in names else ()
        with self._rooms.database.transaction() as session:
            index = Index(self._rooms.database.joining(session))
            for note in notes:
                tell(index, job.study_instance_uid, job.revision, "priors", f"{job.destination}: {note}")
            stage, name = (Stage.FETCH, following[0]) if following else (Stage.READ, "")
            self._rooms.enqueue(session, stage, job.study_instance_uid, job.revision, name)

    def _notes(self, study: Study, name: str) -> list[str]:
        """What came of it. Whatever a PACS does, the exam is read."""
        notes = []
        try:
            for note in self._fetched(study, name):
                notes.append(note)  # those before an error are kept
        except Exception as error:
            log.exception("priors not fetched", peer=name)
            notes.append(f"failed while it was asked for earlier exams: {type(error).__name__}")
        return notes

    def _fetched(self, study: Study, name: str) -> Iterator[str]:
        """Fetch what is missing from a peer, with a note on each thing done or not to be had."""
        peer = self._rooms.config.peers.get(name)
        source = peer.priors if peer is not None else None
        missing = self._missing(study)
        if peer is None or source is None or not missing:
            return
        if not source.is_open(datetime.now().astimezone().time()):
            yield f"not asked for an earlier exam: only at {source.hours}"
            return
        try:
            found = self._found(study, peer, source)
        except DeliveryError as error:
            yield f"cannot be asked for earlier exams: {error}"
            return
        if not found:
            yield "has no earlier exam of her"
        for uid in found[: min(missing, source.most)]:
            yield self._retrieved(study, uid, name, peer)

    def _missing(self, study: Study) -> int:
        """How many priors the reader takes beyond those that are held."""
        instances = self._index.instances(study.study_instance_uid)
        wanted = self._rooms.readers.of(instance.rule for instance in instances if instance.to_read).priors
        if not wanted or not study.patient_id or not study.study_date:
            return 0
        return wanted - self._priors.count(study, instances, wanted)

    def _found(self, study: Study, peer: Peer, source: PriorSource) -> Sequence[str]:
        """Study Instance UIDs of her earlier exams there, the latest first. Raises DeliveryError."""
        matches = query_scu.find(peer, self._rooms.config.node.ae_title, _query(study, source), _MOST_MATCHES)
        earlier = [each for each in matches if _may_be_prior(each, study)]
        earlier.sort(key=lambda each: str(each.StudyDate), reverse=True)
        uids = [str(each.StudyInstanceUID) for each in earlier]
        return [uid for uid in uids if not self._index.instances(uid)]

    def _retrieved(self, study: Study, uid: str, name: str, peer: Peer) -> str:
        assert peer.priors is not None
        self._index.expect_prior(uid, study.study_instance_uid, name, datetime.now(UTC))
        try:
            self._retrieval.fetch(uid, peer, peer.priors)
        except DeliveryError as error:
            return f"earlier exam {uid} not to be had: {error}"
        return f"earlier exam {uid}: {len(self._index.instances(uid))} images came"


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


def _query(study: Study, source: PriorSource) -> Dataset:
    day = date.fromisoformat(study.study_date)
    begin = day - timedelta(days=round(365.25 * source.years))
    dataset = Dataset()
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientID = study.patient_id
    dataset.StudyDate = f"{begin:%Y%m%d}-{day - timedelta(days=1):%Y%m%d}"
    dataset.ModalitiesInStudy = "MG"
    for keyword in ("IssuerOfPatientID", "StudyInstanceUID"):
        setattr(dataset, keyword, None)
    return dataset


def _may_be_prior(match: Dataset, study: Study) -> bool:
    """Whether it is worth fetching: hers by ID and issuer, earlier, with mammograms. Its headers decide in the end."""
    issuer, modalities = str(match.get("IssuerOfPatientID") or ""), match.get("ModalitiesInStudy") or "MG"
    several = [modalities] if isinstance(modalities, str) else list(modalities)
    return (
        is_valid_uid(str(match.get("StudyInstanceUID") or ""))
        and str(match.get("PatientID") or "").strip() == study.patient_id
        and issuer in ("", study.issuer_of_patient_id)
        and "" < str(match.get("StudyDate") or "") < study.study_date
        and "MG" in several
    )

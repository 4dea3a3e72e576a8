"""A PACS that gives its commitment as it is told to, and a node's sending half without a reader."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt

from node.audit.auditor import Auditor
from node.config import Config
from node.dimse import commitment
from node.dimse.scp import Receiver
from node.intake import Intake
from node.pipeline.committing import Committing
from node.pipeline.durable import DurableJobs
from node.pipeline.orders import Orders
from node.pipeline.rooms import Rooms
from node.pipeline.shadowing import Shadowing
from node.pipeline.stages import Stages
from node.readers import Readers
from node.routing import Router
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.records import Delivery, DeliveryState, ResultObject, StudyState
from storage.schema import make_engine
from tests.support_index import received

COMMITMENT = "1.2.840.10008.1.20.1"
WELL_KNOWN = "1.2.840.10008.1.20.1.1"


@dataclass
class CommittingPacs:
    """Takes everything, under any AE title; what it does when asked for commitment is the next word of its script.

    "same", "later": all kept, told on the asking association or on one of its own; "silent"; "wrong": an answer to
    another transaction; "partial": the first is not kept; "refuse": the request itself fails.
    """

    node_port: int = 0
    port: int = 0
    script: list[str] = field(default_factory=list)
    stored: Counter[str] = field(default_factory=Counter)
    asked: list[Dataset] = field(default_factory=list)
    told: list[int | None] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def store(self, event: evt.Event) -> int:
        self.stored[str(event.request.AffectedSOPInstanceUID)] += 1
        return 0x0000

    def action(self, event: evt.Event) -> tuple[int, None]:
        asked, way = event.action_information, self.script.pop(0) if self.script else "later"
        self.asked.append(asked)
        if way == "refuse":
            return 0x0110, None
        if way != "silent":
            on = event.assoc if way in ("same", "wrong") else None
            thread = threading.Thread(target=self.tell, args=(answer_to(asked, way), on), daemon=True)
            thread.start()
            self.threads.append(thread)
        return 0x0000, None

    def tell(self, answer: Dataset, on: Any = None) -> int | None:
        """N-EVENT-REPORT, on an association that is open or a new one; returns and notes the node's status."""
        association = on
        if association is None:
            ae = AE("PACS")
            ae.add_requested_context(COMMITMENT)
            association = ae.associate("127.0.0.1", self.node_port, ae_title="MAMMO_NODE")
            assert association.is_established
        event_type = 2 if "FailedSOPSequence" in answer else 1
        status, _ = association.send_n_event_report(answer, event_type, COMMITMENT, WELL_KNOWN)
        self.told.append(status.get("Status"))
        if on is None:
            association.release()
        return self.told[-1]

    def times(self, uid: str) -> int:
        """How often commitment of this instance was asked for."""
        return sum(uid in uids_of(each.ReferencedSOPSequence) for each in self.asked)


def answer_to(asked: Dataset, way: str = "later") -> Dataset:
    """What a provider says of a request."""
    answer = Dataset()
    answer.TransactionUID = "2.25.4711" if way == "wrong" else asked.TransactionUID
    items = list(asked.ReferencedSOPSequence)
    if way == "partial":
        failed = items.pop(0)
        failed.FailureReason = 0x0112
        answer.FailedSOPSequence = [failed]
    if items:
        answer.ReferencedSOPSequence = items
    return answer


def uids_of(sequence: Any) -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in sequence]


@contextmanager
def committing_pacs() -> Iterator[CommittingPacs]:
    made, ae = CommittingPacs(), AE("PACS")
    ae.add_supported_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    ae.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_C_STORE, made.store), (evt.EVT_N_ACTION, made.action)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    made.port = int(server.server_address[1])
    try:
        yield made
    finally:
        for thread in made.threads:
            thread.join(20)
        server.shutdown()
        server.server_close()


class SendingNode:
    """Jobs, stages and the receiver of a node; it reads nothing."""

    def __init__(self, config: Config) -> None:
        self.config = config
        engine = make_engine(config.storage.database_url)
        self.database = Database(engine)
        self.database.create_schema()
        self.index, self.outbox = Index(self.database), Outbox(self.database)
        self.store = ObjectStore(config.storage.object_folder)
        queues = {f"{stage}-{name}": 1 for name in config.destinations for stage in ("deliver", "commit")}
        self.jobs = DurableJobs(engine, queues)
        router = Router(config)
        rooms = Rooms(
            config=config,
            database=self.database,
            store=self.store,
            router=router,
            readers=Readers(router),
            jobs=self.jobs,
            audit=Auditor(config, self.index),
        )
        self.orders = Orders(rooms)
        self.intake = Intake(config, self.index, self.outbox, self.store)
        self._stages = Stages(rooms, self.intake, Shadowing(rooms))
        self.roles = commitment.listening(Committing(rooms).answered)
        self.receiver = Receiver(config, self.intake, self.roles)

    def start(self) -> None:
        self.receiver.start()
        self.jobs.start(self._stages.run, "test")
        self.orders.reconcile()

    def stop(self) -> None:
        self.receiver.stop()
        self.jobs.stop(1)
        self.database.engine.dispose()

    def deliver(self, study: str, destination: str, count: int = 2) -> list[str]:
        """A study with so many small results, on their way to a destination; returns their UIDs."""
        now, uids = datetime.now(UTC), [f"{study}.{number}" for number in range(1, count + 1)]
        self.index.add_instance(received(study, now, 99), lambda _views: None)
        self.index.close_study(study, now, anyway=True)
        self.index.advance(study, 1, {StudyState.READING: StudyState.DELIVERING})
        results = [self._result(study, uid, now) for uid in uids]
        deliveries = [_delivery(each, destination, now) for each in results]
        self.outbox.add_results(results, deliveries)
        self.orders.reconcile()
        return uids

    def ask_again(self, delivery: Delivery) -> None:
        """Ask for the commitment of something delivered once more."""
        self.outbox.save_delivery(replace(delivery, state=DeliveryState.UNCOMMITTED, due_at=datetime.now(UTC), asks=0))
        self.orders.reconcile()

    def states(self, study: str) -> list[DeliveryState]:
        return [each.state for each in self.outbox.deliveries(study)]

    def _result(self, study: str, uid: str, now: datetime) -> ResultObject:
        content = small_object(study, uid)
        written = self.store.put([content], study_instance_uid=study, name=uid, suffix=".dcm")
        return ResultObject(
            sop_instance_uid=uid,
            sop_class_uid=SecondaryCaptureImageStorage,
            study_instance_uid=study,
            series_instance_uid=f"{study}.0",
            revision=1,
            kind="summary_sc",
            options="",
            part=uid,
            path=written.path,
            sha256=written.sha256,
            size_bytes=written.size_bytes,
            created_at=now,
        )


def small_object(study: str, uid: str) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.0"
    dataset.PatientName, dataset.PatientID = "Test^Anna", "1"
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _delivery(result: ResultObject, destination: str, now: datetime) -> Delivery:
    return Delivery(
        sop_instance_uid=result.sop_instance_uid,
        study_instance_uid=result.study_instance_uid,
        revision=result.revision,
        kind=result.kind,
        destination=destination,
        state=DeliveryState.PENDING,
        attempts=0,
        due_at=now,
    )


def peer_settings(port: int, ae_title: str = "PACS") -> dict[str, object]:
    return {"ae_title": ae_title, "host": "127.0.0.1", "port": port}


def sending_config(folder: Path, pacs_port: int, **destination: object) -> dict[str, Any]:
    """Sections of a node that delivers to a PACS with commitment, by two destinations; `hasty` soon gives up."""
    pacs = {
        "peer": "PACS",
        "results": ["summary_sc"],
        "commitment": True,
        "first_retry_s": 0.1,
        "max_retry_s": 0.2,
        "commitment_wait_s": 0.3,
        "commitment_silence_s": 0.5,
        **destination,
    }
    hasty = {**pacs, "commitment_asks": 2, "commitment_wait_s": 0.1}
    return {"peers": {"PACS": peer_settings(pacs_port)}, "destinations": {"pacs": pacs, "hasty": hasty}}

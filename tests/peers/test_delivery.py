"""Delivery by C-STORE: to Orthanc and dcmtk, and to a peer that misbehaves by order."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt

from node import delivery
from node.destinations import Outgoing
from node.dimse import scu
from node.errors import PermanentDelivery, RetriableDelivery
from node.settings import Peer
from node.settings_destinations import Destination
from node.simulator.pacs import free_port
from storage.records import Delivery, DeliveryState
from tests.support import listens, require_tool, running, wait_until
from tests.support_exams import as_file
from tests.support_peers import orthanc

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def outgoing(folder: Path, count: int = 3, sop_class: str = SecondaryCaptureImageStorage) -> list[Outgoing]:
    """Small objects of their own, as files."""
    made = []
    for number in range(1, count + 1):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"1.2.3.{number}"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.0"
        dataset.PatientName, dataset.PatientID = "Ødegård^Åse Čáđŋ", "1"
        path = folder / f"{number}.dcm"
        path.write_bytes(as_file(dataset))
        made.append(Outgoing(sop_instance_uid=dataset.SOPInstanceUID, sop_class_uid=sop_class, path=path))
    return made


def peer(port: int, ae_title: str = "ANY", **more: object) -> Peer:
    return Peer(
        ae_title=ae_title, host="127.0.0.1", port=port, **{"connection_timeout_s": 2, "dimse_timeout_s": 2, **more}
    )


@dataclass
class Scripted:
    """A C-STORE SCP that answers with the next status of its script; an exception in it is raised in the handler."""

    script: list[object] = field(default_factory=list)
    received: list[Dataset] = field(default_factory=list)
    associations: int = 0
    port: int = 0

    def store(self, event: evt.Event) -> int:
        answer = self.script.pop(0) if self.script else 0x0000
        if answer == "abort":
            event.assoc.abort()
            return 0x0000
        if answer == "hang":
            time.sleep(4)
            return 0x0000
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.received.append(dataset)
        return int(answer)  # type: ignore[call-overload]

    def accepted(self, _event: evt.Event) -> None:
        self.associations += 1


@contextmanager
def scripted(
    *script: object, sop_classes: tuple[str, ...] = (SecondaryCaptureImageStorage,), **options: object
) -> Iterator[Scripted]:
    made = Scripted(list(script))
    ae = AE("ANY")
    for sop_class in sop_classes:
        ae.add_supported_context(sop_class, options.get("syntaxes") or [ExplicitVRLittleEndian])
    if options.get("require_calling"):
        ae.require_calling_aet = [str(options["require_calling"])]
    handlers = [(evt.EVT_C_STORE, made.store), (evt.EVT_ESTABLISHED, made.accepted)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    made.port = server.server_address[1]
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def test_several_objects_go_on_one_association(tmp_path: Path) -> None:
    with scripted() as pacs:
        sent = list(scu.store(outgoing(tmp_path), peer(pacs.port), "MAMMO_NODE"))
    assert [(item.status, item.error) for item in sent] == [(0, None)] * 3
    assert pacs.associations == 1
    assert [str(dataset.SOPInstanceUID) for dataset in pacs.received] == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]


def test_a_peer_without_explicit_vr_gets_the_same_elements_in_implicit_vr(tmp_path: Path) -> None:
    with scripted(syntaxes=[ImplicitVRLittleEndian]) as pacs:
        (sent,) = scu.store(outgoing(tmp_path, 1), peer(pacs.port), "MAMMO_NODE")
    assert sent.error is None
    assert pacs.received[0].PatientName == "Ødegård^Åse Čáđŋ"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0x0000, None),
        (0xB000, None),
        (0xB007, None),
        (0xA700, RetriableDelivery),
        (0xA701, RetriableDelivery),
        (0xA900, PermanentDelivery),
        (0xC000, PermanentDelivery),
        (0x0122, PermanentDelivery),
        ("abort", RetriableDelivery),
        ("hang", RetriableDelivery),
    ],
)
def test_each_status_is_judged(tmp_path: Path, status: object, error: type[Exception] | None) -> None:
    with scripted(status) as pacs:
        (sent,) = scu.store(
            outgoing(tmp_path, 1), peer(pacs.port, dimse_timeout_s=2 if status == "hang" else 20), "MAMMO_NODE"
        )
    assert type(sent.error) is (error or type(None)), sent.error


def test_one_refused_object_does_not_keep_the_others_back(tmp_path: Path) -> None:
    with scripted(0x0000, 0xC123, 0x0000) as pacs:
        sent = list(scu.store(outgoing(tmp_path), peer(pacs.port), "MAMMO_NODE"))
    assert [type(item.error) for item in sent] == [type(None), PermanentDelivery, type(None)]
    assert "0xC123" in str(sent[1].error)


def test_an_abort_in_the_middle_leaves_the_rest_for_later(tmp_path: Path) -> None:
    with scripted(0x0000, "abort") as pacs:
        sent = list(scu.store(outgoing(tmp_path), peer(pacs.port), "MAMMO_NODE"))
    assert [type(item.error) for item in sent] == [type(None), RetriableDelivery, RetriableDelivery]


def test_an_object_whose_context_is_not_accepted_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "sr").mkdir()
    objects = outgoing(tmp_path, 1) + outgoing(tmp_path / "sr", 1, ComprehensiveSRStorage)
    with scripted() as pacs:
        sent = list(scu.store(objects, peer(pacs.port), "MAMMO_NODE"))
    assert [type(item.error) for item in sent] == [type(None), PermanentDelivery]
    assert "presentation context" in str(sent[1].error)


def test_no_context_at_all_is_permanent_and_no_peer_is_retriable(tmp_path: Path) -> None:
    with scripted(sop_classes=(ComprehensiveSRStorage,)) as pacs:
        (sent,) = scu.store(outgoing(tmp_path, 1), peer(pacs.port), "MAMMO_NODE")
    assert type(sent.error) is PermanentDelivery, sent.error
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        (sent,) = scu.store(outgoing(tmp_path, 1), peer(nobody.getsockname()[1]), "MAMMO_NODE")
    assert type(sent.error) is RetriableDelivery
    assert "cannot be reached" in str(sent.error)


def test_a_rejected_association_is_retriable_and_says_why(tmp_path: Path) -> None:
    with scripted(require_calling="SOMEONE_ELSE") as pacs:
        (sent,) = scu.store(outgoing(tmp_path, 1), peer(pacs.port), "MAMMO_NODE")
    assert type(sent.error) is RetriableDelivery
    assert "alling AE title not recogni" in str(sent.error)


def test_a_peer_that_accepts_tcp_and_says_nothing_does_not_hold_us_for_ever(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        target = peer(silent.getsockname()[1], association_timeout_s=1)
        (sent,) = scu.store(outgoing(tmp_path, 1), target, "MAMMO_NODE")
    assert type(sent.error) is RetriableDelivery
    assert time.monotonic() - begun < 10


def test_no_delay_is_set_on_our_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[tuple[int, int, int]] = []
    original = socket.socket.setsockopt

    def noted(self: socket.socket, *arguments: int) -> None:
        options.append(arguments)  # type: ignore[arg-type]
        original(self, *arguments)

    monkeypatch.setattr(socket.socket, "setsockopt", noted)
    with scripted() as pacs:
        list(scu.store(outgoing(tmp_path, 1), peer(pacs.port), "MAMMO_NODE"))
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in options


def test_orthanc_takes_them_with_names_whole(tmp_path: Path) -> None:
    with orthanc(tmp_path) as pacs:
        sent = list(scu.store(outgoing(tmp_path), peer(pacs.port, "ORTHANC", dimse_timeout_s=10), "MAMMO_NODE"))
        again = list(scu.store(outgoing(tmp_path), peer(pacs.port, "ORTHANC", dimse_timeout_s=10), "MAMMO_NODE"))
        assert [item.error for item in sent + again] == [None] * 6
        assert len(pacs.instances()) == 3, "the same objects sent again are the same objects"
        assert pacs.instances()[0]["PatientName"] == "Ødegård^Åse Čáđŋ"
        scu.echo(peer(pacs.port, "ORTHANC"), "MAMMO_NODE")


def test_dcmtk_storescp_takes_them(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "received"
    folder.mkdir()
    with running(require_tool("storescp"), "-v", "-od", folder, str(port)) as storescp:
        wait_until(lambda: listens(port), 30, f"storescp to listen\n{storescp.output}")
        sent = list(scu.store(outgoing(tmp_path), peer(port), "MAMMO_NODE"))
        assert [item.error for item in sent] == [None] * 3, storescp.output
        wait_until(lambda: len(list(folder.iterdir())) == 3, 10, "three files")
    names = {str(dcmread(path).PatientName) for path in folder.iterdir()}
    assert names == {"Ødegård^Åse Čáđŋ"}


DESTINATION = Destination(peer="PACS", results=("summary_sc",), first_retry_s=5, max_retry_s=60, max_attempts=3)


def pending(attempts: int = 0) -> Delivery:
    return Delivery(
        sop_instance_uid="1.2.3.1",
        study_instance_uid="1.2.3",
        revision=1,
        kind="summary_sc",
        destination="pacs",
        state=DeliveryState.PENDING,
        attempts=attempts,
        due_at=NOW,
    )


def test_the_wait_doubles_up_to_its_limit() -> None:
    assert [delivery.retry_after_s(DESTINATION, attempts) for attempts in range(1, 7)] == [5, 10, 20, 40, 60, 60]


def test_a_retriable_failure_is_due_later_and_the_last_one_gives_up_visibly() -> None:
    failed = scu.Sent(sop_instance_uid="1.2.3.1", error=RetriableDelivery("busy", 0xA700), status=0xA700)
    first = delivery.judged(pending(), failed, DESTINATION, NOW)
    assert (first.state, first.attempts, (first.due_at - NOW).total_seconds()) == (DeliveryState.PENDING, 1, 5)
    last = delivery.judged(pending(2), failed, DESTINATION, NOW)
    assert (last.state, last.attempts) == (DeliveryState.FAILED, 3)
    assert "given up" in last.last_error


def test_a_permanent_failure_gives_up_at_once_and_a_success_keeps_its_time() -> None:
    refused = scu.Sent(sop_instance_uid="1.2.3.1", error=PermanentDelivery("no", 0xC000), status=0xC000)
    assert delivery.judged(pending(), refused, DESTINATION, NOW).state is DeliveryState.FAILED
    sent = scu.Sent(sop_instance_uid="1.2.3.1", status=0)
    done = delivery.judged(pending(4), sent, DESTINATION, NOW)
    assert (done.state, done.delivered_at, done.last_error) == (DeliveryState.DELIVERED, NOW, "")

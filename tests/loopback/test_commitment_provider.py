"""Storage commitment asked of the node: stored first, then answered for what it durably holds."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association

from node import overview
from node.dimse.commitment_scp import CommitmentProvider
from node.dimse.scp import Receiver
from node.intake import Intake
from storage.commitments import Commitments, RequestState
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.records import DeliveryState
from storage.schema import make_engine
from tests.support import wait_until
from tests.support_commitment import (
    COMMITMENT,
    WELL_KNOWN,
    SendingNode,
    answer_to,
    committing_pacs,
    peer_settings,
    sending_config,
)
from tests.support_exams import STUDY, exam, settings, view
from tests.support_web import Web


@dataclass
class Modality:
    """Asks for commitment, and hears answers on its own port too."""

    node_port: int = 0
    port: int = 0
    heard: queue.Queue[tuple[int, Dataset, bool]] = field(default_factory=queue.Queue)
    refuses: int = 0

    def answered(self, event: evt.Event) -> tuple[int, None]:
        if self.refuses:
            self.refuses -= 1
            return 0x0110, None
        self.heard.put((event.request.EventTypeID, event.event_information, event.assoc.is_acceptor))
        return 0x0000, None

    def associate(self) -> Association:
        ae = AE("MODALITY")
        ae.add_requested_context(COMMITMENT)
        association = ae.associate(
            "127.0.0.1",
            self.node_port,
            ae_title="MAMMO_NODE",
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.answered)],
        )
        assert association.is_established
        return association

    def ask(self, asked: Dataset, action: int = 1, instance: str = WELL_KNOWN) -> Dataset:
        """On an association that ends at once; returns the status."""
        association = self.associate()
        status, _ = association.send_n_action(asked, action, COMMITMENT, instance)
        association.release()
        return status

    def told(self) -> tuple[int, Dataset, bool]:
        """The next answer: event type, what it says, and whether it came on an association of the node's own."""
        return self.heard.get(timeout=40)


def asking(transaction: str, *datasets: Dataset) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction
    asked.ReferencedSOPSequence = []
    for dataset in datasets:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
        asked.ReferencedSOPSequence.append(item)
    return asked


@pytest.fixture(scope="module")
def modality() -> Iterator[Modality]:
    made, ae = Modality(), AE("MODALITY")
    ae.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, made.answered)])
    made.port = int(server.server_address[1])
    yield made
    server.shutdown()
    server.server_close()


class Keeping:
    """A node's receiver and provider."""

    def __init__(self, folder: Path, modality: Modality, **sections: Any) -> None:
        peers = {"MODALITY": peer_settings(modality.port, "MODALITY")}
        retry = {"first_retry_s": 0.2, "max_retry_s": 0.2, "max_attempts": 3}
        self.config = settings(folder, peers=peers, commitment=retry, **sections)
        self.database = Database(make_engine(self.config.storage.database_url))
        self.database.create_schema()
        self.store = ObjectStore(self.config.storage.object_folder)
        self.commitments = Commitments(self.database)
        self.provider = CommitmentProvider(self.config, self.database, self.store)
        self.intake = Intake(self.config, Index(self.database), Outbox(self.database), self.store)
        self.receiver = Receiver(self.config, self.intake, self.provider.handlers())

    def start(self, modality: Modality, *, answering: bool = True) -> None:
        self.receiver.start()
        modality.node_port = self.receiver.port
        if answering:
            self.provider.start()

    def stop(self) -> None:
        self.provider.stop()
        self.receiver.stop()
        self.database.engine.dispose()

    def state(self, transaction: str) -> RequestState | None:
        return next((each.state for each in self.commitments.requests() if each.transaction_uid == transaction), None)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, modality: Modality) -> Iterator[Keeping]:
    made = Keeping(tmp_path_factory.mktemp("keeping"), modality)
    made.start(modality)
    Web(made, Path()).put(*exam())  # type: ignore[arg-type]
    yield made
    made.stop()


def test_a_peer_that_waits_is_answered_on_its_association(node: Keeping, modality: Modality) -> None:
    association = modality.associate()
    status, _ = association.send_n_action(asking("2.25.1", *exam()), 1, COMMITMENT, WELL_KNOWN)
    assert status.Status == 0x0000
    event_type, answer, anew = modality.told()
    association.release()
    assert (event_type, anew) == (1, False)
    assert answer.TransactionUID == "2.25.1"
    assert len(answer.ReferencedSOPSequence) == 4
    assert answer.RetrieveAETitle == "MAMMO_NODE"
    assert "FailedSOPSequence" not in answer
    wait_until(lambda: node.state("2.25.1") is RequestState.REPORTED, 20, "the request to be done with")


def test_one_that_has_gone_is_called_and_told_what_is_not_held_and_why(node: Keeping, modality: Modality) -> None:
    held, absent, other = view(), view(77), view(2, "L")
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    assert modality.ask(asking("2.25.2", held, absent, other)).Status == 0x0000
    event_type, answer, anew = modality.told()
    assert (event_type, anew) == (2, True)
    assert [str(each.ReferencedSOPInstanceUID) for each in answer.ReferencedSOPSequence] == [held.SOPInstanceUID]
    failed = {str(each.ReferencedSOPInstanceUID): each.FailureReason for each in answer.FailedSOPSequence}
    assert failed == {absent.SOPInstanceUID: 0x0112, other.SOPInstanceUID: 0x0119}


def test_a_file_that_is_not_what_was_stored_is_not_kept(node: Keeping, modality: Modality) -> None:
    damaged = view(55, SOPInstanceUID=f"{STUDY}.55")
    Web(node, Path()).put(damaged)  # type: ignore[arg-type]
    held = Index(node.database).instance(damaged.SOPInstanceUID)
    path = node.store.path(held.path)
    path.write_bytes(path.read_bytes()[:-2] + b"\1\1")
    modality.ask(asking("2.25.3", damaged))
    event_type, answer, _ = modality.told()
    assert (event_type, answer.FailedSOPSequence[0].FailureReason) == (2, 0x0110)
    assert "ReferencedSOPSequence" not in answer


def test_an_answer_that_is_not_taken_is_sent_again(node: Keeping, modality: Modality) -> None:
    modality.refuses = 1
    modality.ask(asking("2.25.4", view()))
    assert modality.told()[1].TransactionUID == "2.25.4"
    wait_until(lambda: node.state("2.25.4") is RequestState.REPORTED, 20, "the request to be done with")


def test_one_who_cannot_be_called_is_given_up_visibly(node: Keeping, modality: Modality) -> None:
    ae = AE("NOBODY")
    ae.add_requested_context(COMMITMENT)
    association = ae.associate("127.0.0.1", node.receiver.port, ae_title="MAMMO_NODE")
    association.send_n_action(asking("2.25.5", view()), 1, COMMITMENT, WELL_KNOWN)
    association.release()
    wait_until(lambda: node.state("2.25.5") is RequestState.FAILED, 30, "the answer to be given up")
    given_up = next(each for each in node.commitments.requests() if each.transaction_uid == "2.25.5")
    assert "no peer under peers has the AE title NOBODY" in given_up.last_error
    assert any("storage commitment could not be sent" in each for each in overview.status(node.config).attention)


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"action": 2}, 0x0123, "ActionTypeID 2"),
        ({"instance": "1.2.3"}, 0x0112, "RequestedSOPInstanceUID"),
        ({"transaction": ""}, 0x0115, "TransactionUID"),
        ({"datasets": []}, 0x0115, "ReferencedSOPSequence"),
    ],
)
def test_a_request_that_cannot_be_understood_gets_its_status(
    node: Keeping, modality: Modality, change: dict[str, Any], status: int, told: str
) -> None:
    asked = asking(change.get("transaction", "2.25.6"), *change.get("datasets", [view()]))
    answer = modality.ask(asked, change.get("action", 1), change.get("instance", WELL_KNOWN))
    assert answer.Status == status
    assert told in answer.ErrorComment
    assert node.state("2.25.6") is None


def test_a_transaction_uid_stands_for_one_request_only(node: Keeping, modality: Modality) -> None:
    for expected in (0x0000, 0x0000):
        assert modality.ask(asking("2.25.7", view())).Status == expected
        assert modality.told()[0] == 1
    assert modality.ask(asking("2.25.7", view(2, "L"))).Status == 0x0115


def test_a_request_survives_a_restart(tmp_path: Path, modality: Modality) -> None:
    before = Keeping(tmp_path, modality)
    before.start(modality, answering=False)
    Web(before, Path()).put(view())  # type: ignore[arg-type]
    assert modality.ask(asking("2.25.8", view())).Status == 0x0000
    before.stop()
    after = Keeping(tmp_path, modality)
    after.start(modality)
    try:
        event_type, answer, anew = modality.told()
        assert (event_type, answer.TransactionUID, anew) == (1, "2.25.8", True)
    finally:
        after.stop()


def test_an_answer_to_us_may_come_after_a_restart_of_ours(tmp_path: Path) -> None:
    with committing_pacs() as pacs:
        pacs.script[:] = ["silent"]
        sections = sending_config(tmp_path, pacs.port, commitment_wait_s=0.1, commitment_silence_s=3600)
        node = SendingNode(settings(tmp_path, **sections))
        node.start()
        node.deliver("1.2.30", "pacs")
        wait_until(lambda: [each.asks for each in node.outbox.deliveries("1.2.30")] == [1, 1], 30, "the request")
        node.stop()
        again = SendingNode(settings(tmp_path, **sections))
        again.receiver.start()
        pacs.node_port = again.receiver.port
        try:
            again.jobs.connect()
            assert again.states("1.2.30") == [DeliveryState.UNCOMMITTED] * 2
            assert pacs.tell(answer_to(pacs.asked[0])) == 0x0000
            assert again.states("1.2.30") == [DeliveryState.COMMITTED] * 2
        finally:
            again.stop()


def test_a_caller_that_may_not_ask_for_it_is_told_so(tmp_path: Path) -> None:
    caller = Modality(port=1)
    node = Keeping(tmp_path, caller, callers=[{"ae_title": "MODALITY", "may": ["store"]}])
    node.start(caller, answering=False)
    try:
        assert caller.ask(asking("2.25.9", view())).Status == 0x0124
        assert node.state("2.25.9") is None
    finally:
        node.stop()

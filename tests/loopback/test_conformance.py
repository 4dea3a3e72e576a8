"""What the conformance statement claims of associations, negotiated for real: with the receiver, and by the sender."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
)
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from node import delivery
from node.config import Config
from node.conformance import facts
from node.conformance.facts import VERIFICATION, Facts
from node.destinations import Outgoing
from node.dimse import commitment, query_scu, scp, scu, ups, ups_scu, worklist
from node.dimse.scp import Receiver
from node.errors import NodeError
from node.intake import Intake
from node.settings import Peer
from scripts.conformance_statement import PAGE
from storage.commitments import Reference
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.schema import make_engine
from storage.ups import WorkitemEvent
from tests.support import wait_until
from tests.support_exams import settings
from tests.support_receiving import tried

MG = DigitalMammographyXRayImageStorageForPresentation
BY_NAME = {facts.uid_name(uid): uid for uid in (VERIFICATION, *scp.SERVICES)}
SERVICES = {VERIFICATION, *scp.SERVICES, worklist.MODALITY_WORKLIST}
MOST_CONTEXTS = 128  # of one association (PS3.8 9.3.2.2)


def table(caption: str) -> list[list[str]]:
    """The cells of a table of the page that is shipped, without its head."""
    lines = PAGE.read_text(encoding="utf-8").split(f"{caption}*\n\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def claimed() -> dict[str, list[str]]:
    """Abstract syntax → transfer syntaxes in order, as the page tells them."""
    stored = [row[1] for row in table("SOP classes accepted for storage, by the routing rules that may take them")]
    found: dict[str, list[str]] = {}
    for first, _, uid in table("Presentation contexts accepted"):
        if not uid:
            named = [each for each in stored if each]
            if " storage SOP classes: " not in first:
                named = [BY_NAME[name] for name in first.strip("*").split(", ")]
            found.update({each: [] for each in named})
        else:
            for each in named:
                found[each].append(uid)
    return found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    config = settings(
        tmp_path_factory.mktemp("node"),
        network={"maximum_associations": 4, "maximum_associations_per_caller": 2, "reserved_associations": 0},
        callers=[{"ae_title": each, "address": "127.0.0.1"} for each in ("PACS", "A", "B", "C")],
    )
    database = Database(make_engine(config.storage.database_url))
    database.create_schema()
    intake = Intake(config, Index(database), Outbox(database), ObjectStore(config.storage.object_folder))
    receiver = Receiver(config, intake)
    receiver.start()
    yield receiver
    receiver.stop()
    database.engine.dispose()


def associate(
    node: Receiver, contexts: Sequence[PresentationContext], called: str = "MAMMO_NODE", calling: str = "PACS"
) -> Association:
    ae = AE(calling)
    ae.acse_timeout = ae.network_timeout = 60
    return tried(lambda: ae.associate("127.0.0.1", node.port, contexts=list(contexts), ae_title=called))


def answered(node: Receiver, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of these pairs, each proposed in a context of its own, those that the receiver accepts."""
    found = set()
    for start in range(0, len(pairs), MOST_CONTEXTS):
        part = pairs[start : start + MOST_CONTEXTS]
        association = associate(node, [build_context(abstract, syntax) for abstract, syntax in part])
        found |= {(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in association.accepted_contexts}
        if association.is_established:
            association.release()
    return found


def test_every_claimed_context_is_accepted(node: Receiver) -> None:
    pairs = [(uid, syntax) for uid, syntaxes in claimed().items() for syntax in syntaxes]
    assert len(pairs) > 1000, "every storage class in every lossless syntax"
    assert sorted(set(pairs) - answered(node, pairs)) == []


@pytest.mark.parametrize(
    ("abstract", "syntax"),
    [
        (MG, JPEGBaseline8Bit),
        (MG, JPEG2000),
        (VERIFICATION, JPEGLosslessSV1),
        ("1.2.840.10008.5.1.4.31", ExplicitVRLittleEndian),  # Modality Worklist
        ("1.2.840.10008.5.1.4.1.2.1.1", ExplicitVRLittleEndian),  # Patient Root Query/Retrieve, FIND
        ("1.2.840.10008.5.1.4.34.6.4", JPEGLosslessSV1),  # Unified Procedure Step, Event
        ("1.2.826.0.1.3680043.8.498.7", ExplicitVRLittleEndian),  # private
    ],
)
def test_what_is_not_claimed_is_not_accepted(node: Receiver, abstract: str, syntax: str) -> None:
    assert syntax not in claimed().get(abstract, [])
    # beside one that is accepted, for the association to live
    assert answered(node, [(abstract, syntax), (VERIFICATION, ExplicitVRLittleEndian)]) == {
        (VERIFICATION, ExplicitVRLittleEndian)
    }


def test_the_first_syntax_of_the_claimed_order_is_taken(node: Receiver) -> None:
    order = claimed()[MG]
    for position in range(len(order) - 1):
        offered = list(reversed(order[position:]))
        association = associate(node, [build_context(MG, offered)])
        assert association.accepted_contexts[0].transfer_syntax == [order[position]]
        association.release()


def test_an_association_without_any_usable_context_is_accepted_as_told(node: Receiver) -> None:
    association = associate(node, [build_context(MG, JPEGBaseline8Bit)])
    assert not association.is_rejected
    assert association.accepted_contexts == []


def test_a_rejection_has_the_claimed_reason(node: Receiver) -> None:
    reasons = {why: code for code, _, why in table("Why an association is rejected")}
    another = associate(node, [build_context(VERIFICATION)], called="ANOTHER")
    stranger = associate(node, [build_context(VERIFICATION)], calling="STRANGER")
    assert told(another) == reasons["the called AE title is another one"]
    assert told(stranger) == reasons["the calling AE title, or the address it comes from, may not call"]


def test_too_many_associations_are_rejected_with_the_claimed_reason(node: Receiver) -> None:
    """First of one caller, then in all."""
    opened: list[Association] = []
    try:
        for caller in ("A", "A", "B", "B"):
            wait_until(partial(opens, node, caller, opened), 20, f"{caller} gets an association")
        for caller in ("A", "C"):
            refused = associate(node, [build_context(VERIFICATION)], calling=caller)
            assert refused.is_rejected, f"{caller} got one association too many"
            assert told(refused) == "2, 3, 2"
    finally:
        for each in opened:
            each.release()


def opens(node: Receiver, caller: str, opened: list[Association]) -> bool:
    """One more association; what others have released may still count for a moment."""
    association = associate(node, [build_context(VERIFICATION)], calling=caller)
    if association.is_established:
        opened.append(association)
    return association.is_established


def told(association: Association) -> str:
    assert association.is_rejected
    answer = association.acceptor.primitive
    return f"{answer.result}, {answer.result_source}, {answer.diagnostic}"


# ---------------------------------------------------------------------- the sender


@dataclass
class Acceptor:
    """A peer that takes everything and remembers what was proposed to it."""

    proposed: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)

    def requested(self, event: evt.Event) -> None:
        for context in event.assoc.requestor.requested_contexts:
            self.proposed.append((str(context.abstract_syntax), tuple(map(str, context.transfer_syntax))))

    def store(self, event: evt.Event) -> int:
        self.stored.append(str(event.request.AffectedSOPClassUID))
        return 0x0000


@pytest.fixture
def peer() -> Iterator[tuple[Acceptor, int]]:
    acceptor, ae = Acceptor(), AE("PEER")
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), [ExplicitVRLittleEndian])
    handlers = [(evt.EVT_REQUESTED, acceptor.requested), (evt.EVT_C_STORE, acceptor.store)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    yield acceptor, int(server.server_address[1])
    server.shutdown()


def test_a_destination_is_proposed_what_is_claimed(peer: tuple[Acceptor, int], tmp_path: Path) -> None:
    acceptor, port = peer
    config = settings(
        tmp_path,
        peers={"PEER": {"ae_title": "PEER", "host": "127.0.0.1", "port": port}},
        destinations={
            "PACS": {
                "type": "dicom_store",
                "peer": "PEER",
                "results": ["mammography_cad_sr", "summary_sc", {"kind": "measurement_sr", "sop_class": "enhanced"}],
            }
        },
    )
    told_of = facts.gather(config)
    sent = list(delivery.send(config, "PACS", written(told_of, tmp_path)))
    assert [each.error for each in sent if each.error] == []
    expected = {(uid, (syntax,)) for uid, syntaxes in told_of.proposed("PACS").items() for syntax in syntaxes}
    assert sorted(acceptor.proposed) == sorted(expected)
    assert set(acceptor.stored) == set(told_of.proposed("PACS"))


def users(config: Config, peer: Peer) -> Iterator[Callable[[], object]]:
    """Everything that the product asks of a peer, beside storing."""
    ours, study, mammograms = config.node.ae_title, Dataset(), [(MG, ExplicitVRLittleEndian)]
    study.QueryRetrieveLevel, study.StudyInstanceUID = "STUDY", "1.2.3"
    question = commitment.Question("1.2.3.4", (Reference(MG, "1.2.3.5"),))
    event = WorkitemEvent(
        id=1,
        ae_title=peer.ae_title,
        sop_instance_uid="1.2.3",
        event_type=1,
        report={},
        made_at=datetime.now(UTC),
        attempts=0,
    )
    yield partial(scu.echo, peer, ours)
    yield partial(query_scu.find, peer, ours, study)
    yield partial(query_scu.move, peer, ours, study, 5.0)
    yield partial(query_scu.get, peer, ours, study, lambda *_: 0xA700, mammograms)
    yield partial(commitment.ask, question, peer, ours, lambda _: True, 0.1)
    yield partial(worklist.find, config.worklist, peer, ours, date(2026, 12, 1))
    yield lambda: ups_scu.manager(peer, ours).__enter__()
    yield partial(ups.tell, peer, ours, [event], lambda _: None)


def test_a_peer_is_asked_for_every_service_that_is_claimed_as_user_and_no_other(tmp_path: Path) -> None:
    claimed_as_user = {row[1] for row in table("Network services") if row[1] in SERVICES and row[2] != "no"}
    proposed: dict[str, set[str]] = {}

    def requested(event: evt.Event) -> None:
        for context in event.assoc.requestor.requested_contexts:
            proposed.setdefault(str(context.abstract_syntax), set()).update(map(str, context.transfer_syntax))

    ae = AE("PEER")
    for uid in SERVICES:
        ae.add_supported_context(uid, list(scu.UNCOMPRESSED), scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_REQUESTED, requested)])
    try:
        peer = Peer(ae_title="PEER", host="127.0.0.1", port=int(server.server_address[1]))
        for ask in users(settings(tmp_path), peer):
            with suppress(NodeError):  # what the peer answers is not at stake
                ask()
    finally:
        server.shutdown()
    asked = {uid: syntaxes for uid, syntaxes in proposed.items() if uid in SERVICES}
    assert set(asked) == claimed_as_user
    assert all(syntaxes == set(scu.UNCOMPRESSED) for syntaxes in asked.values()), asked


def written(told_of: Facts, folder: Path) -> list[Outgoing]:
    """The objects of the fullest sample that the destination gets, as files."""
    found = []
    for example in told_of.sent:
        for dataset in example.full.values():
            path = folder / f"{dataset.SOPInstanceUID}.dcm"
            dcmwrite(path, dataset, enforce_file_format=True)
            uid, sop_class_uid = str(dataset.SOPInstanceUID), str(dataset.SOPClassUID)
            found.append(Outgoing(sop_instance_uid=uid, sop_class_uid=sop_class_uid, path=path))
    return found

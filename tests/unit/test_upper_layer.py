"""The parts of pynetdicom that node/dimse/upper.py and listener.py lean on are those that were read."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import pynetdicom
import pytest
from pydicom.uid import UID
from pynetdicom import fsm
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.presentation import negotiate_as_acceptor
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler

from node.dimse.frames import HEADER_BYTES, BadPDU, Frames, values
from node.dimse.upper import c_store_response

READ_VERSION = "3.0.4"
LEANT_ON: dict[Any, str] = {
    DULServiceProvider.__init__: "c82dafa9438d",
    DULServiceProvider._decode_pdu: "fc71dd1bf853",
    DULServiceProvider._process_recv_primitive: "4c0ebbb3e646",
    DULServiceProvider.kill_dul: "5ceccf8dd01c",
    DULServiceProvider.receive_pdu: "fa67339834ca",
    DULServiceProvider.run_reactor: "e3a10eb3a093",
    DULServiceProvider.send_pdu: "7cbce5da8594",
    DULServiceProvider.stop_dul: "28a7e0be126e",
    Association.__init__: "eb07516b8009",
    Association._abort_blocking: "10b43ef8c63c",
    Association._run_reactor: "f28838c5559e",
    Association._serve_request: "2f24c1759cdf",
    Association.kill: "8f9713666a7f",
    Association.release: "c7d713502b77",
    Association.run_reactor: "ed8bbbe3b3d6",
    DIMSEServiceProvider.__init__: "bbecd186810e",
    DIMSEServiceProvider.get_msg: "890e3e04283f",
    DIMSEServiceProvider.receive_primitive: "5f99c86b14a1",
    DIMSEServiceProvider.send_msg: "a839cf2fb469",
    DIMSEMessage.decode_msg: "f51c777e841a",
    DIMSEMessage.message_to_primitive: "f8f43d34e434",
    AssociationSocket.__init__: "1f0325fdef2c",
    AssociationSocket._shutdown_socket: "e2b2628faa81",
    AssociationSocket.close: "c726c8db5381",
    AssociationSocket.send: "1ea8158c0b51",
    RequestHandler._create_association: "05c8d12b7986",
    RequestHandler.handle: "034823fb4df3",
    AssociationServer.__init__: "edacb98bdfb7",
    AssociationServer.active_associations.fget: "2dc018cb7d13",
    AssociationServer.get_request: "925a4f3a3042",
    AssociationServer.server_close: "3fa1b358badb",
    AssociationServer.shutdown: "e8e2c3a41009",
    ACSE.is_aborted: "ad2eb3f545a9",
    ACSE.is_release_requested: "894b33d21a8d",
    ACSE.negotiate_release: "e66977c72923",
    ACSE.send_abort: "6707ebd82b15",
    ACSE.send_reject: "700998293bbc",
    negotiate_as_acceptor: "d5413f08f0ac",
    fsm.StateMachine.do_action: "9a883f44c7f3",
    fsm.AA_2: "a58069d82991",
    fsm.AA_4: "de72d40c80b0",
    fsm.AA_8: "06c83317f088",
    fsm.AR_4: "33a12cf6208e",
    fsm.AR_5: "dc32d2343f42",
    fsm.DT_2: "9ec543394e0b",
}


def digest(part: Any) -> str:
    return hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:12]


def test_the_version_is_the_one_that_was_read() -> None:
    assert pynetdicom.__version__ == READ_VERSION, (
        "another pynetdicom: read what changed in dul.py, association.py, dimse.py, transport.py and fsm.py against "
        "node/dimse/upper.py and listener.py, run tests/loopback, then write the new version and digests here; "
        "until then network.upper_layer: stock works with any"
    )


@pytest.mark.parametrize("part", LEANT_ON, ids=lambda part: part.__qualname__)
def test_a_private_part_is_as_it_was_read(part: Any) -> None:
    assert digest(part) == LEANT_ON[part], (
        f"pynetdicom's {part.__module__}.{part.__qualname__} changed: see that node/dimse/upper.py and listener.py "
        f"still fit it, then write its digest, {digest(part)}"
    )


@pytest.mark.parametrize("comment", ["", "odd", "even"])
def test_the_answer_to_a_c_store_is_pynetdicoms_byte_for_byte(comment: str) -> None:
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo, answer.Status = 7, 0xA700
    answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID = UID("1.2.3"), UID("1.2.3.4.5.66")
    if comment:
        answer.ErrorComment = comment
    message = C_STORE_RSP()
    message.primitive_to_message(answer)
    (sent,) = message.encode_msg(1, 16382)
    assert sent.presentation_data_value_list == [(1, b"\x03" + c_store_response(answer))]


def test_pdus_are_found_wherever_the_reads_cut_them() -> None:
    pdus = [
        bytes([4, 0]) + (size).to_bytes(4, "big") + bytes([number]) * size
        for number, size in enumerate([1, 9000, 0, 131072, 70000])
    ] * 5
    stream = b"".join(pdus)
    for step in (1000, 65_536, 500_000):
        frames, found, at = Frames(131_072), [], 0
        while at < len(stream):
            room = frames.room()
            count = min(step, len(room), len(stream) - at)
            room[:count] = stream[at : at + count]
            frames.received(count)
            at += count
            while (pdu := frames.take()) is not None:
                found.append(bytes(pdu))
        assert found == pdus, f"read {step} bytes at a time"


def test_a_pdu_is_no_longer_than_was_agreed() -> None:
    frames = Frames(16_384)
    frames.room()[:HEADER_BYTES] = bytes([4, 0]) + (16_385).to_bytes(4, "big")
    frames.received(HEADER_BYTES)
    with pytest.raises(BadPDU, match="16385 bytes is longer than was agreed"):
        frames.take()


def test_values_fit_their_pdu() -> None:
    one = bytes([0, 0, 0, 4, 1, 3]) + b"ab"
    header = bytes(HEADER_BYTES)
    assert [(i, bytes(v)) for i, v in values(memoryview(header + one + one))] == [(1, b"\x03ab")] * 2
    for wrong in (one[:-1], one + b"\0", bytes([0, 0, 0, 0, 1, 3])):
        with pytest.raises(BadPDU):
            list(values(memoryview(header + wrong)))

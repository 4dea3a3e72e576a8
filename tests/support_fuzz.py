"""What takes bytes from strangers, and how their bytes are spoiled. A target raises nothing for any content."""

from __future__ import annotations

import io
import random
import resource
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import AE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from node import intake, stored_file
from node.arriving import Arriving
from node.dimse.frames import P_DATA_TF, BadPDU, Frames, values
from node.dimse.upper import UpperAssociation
from node.errors import NodeError
from node.part10 import envelope
from node.web.multipart_in import Parts
from storage.objects import ObjectStore
from tests import support_network as network
from tests.support_exams import as_file, view

Target = Callable[[bytes], None]
MOST_CPU_S = 5.0  # for one input, however busy the machine is
MOST_MEMORY_BYTES = 400e6  # more than before, after any number of inputs
_EXTREMES = (b"\0", b"\xff", b"\x7f", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xfe\xff\0\xe0", b"SQ")


@dataclass(frozen=True)
class Edit:
    """One spoiling: what is done, where (0 to 1), and with which bytes."""

    kind: str
    at: float
    content: bytes


KINDS = ("overwrite", "insert", "delete", "cut", "repeat")


def spoiled(content: bytes, edits: Sequence[Edit]) -> bytes:
    """The content after all edits."""
    made = bytearray(content)
    for edit in edits:
        at = int(edit.at * len(made))
        if edit.kind == "overwrite":
            made[at : at + len(edit.content)] = edit.content
        elif edit.kind == "insert":
            made[at:at] = edit.content
        elif edit.kind == "delete":
            del made[at : at + 8 * len(edit.content)]
        elif edit.kind == "cut":
            del made[at:]
        else:
            made[at:at] = made[at : at + 64] * len(edit.content)
    return bytes(made)


def random_edits(source: random.Random) -> list[Edit]:
    """One to six of them."""
    made = []
    for _ in range(source.randint(1, 6)):
        some = source.choice(_EXTREMES) if source.random() < 0.5 else source.randbytes(source.randint(1, 8))
        made.append(Edit(source.choice(KINDS), source.random(), some))
    return made


@contextmanager
def bounded() -> Iterator[Callable[[Target, bytes], None]]:
    """Runs a target on an input, and sees that it neither raises nor takes too long; and memory at the end."""
    before = _peak_bytes()

    def run(target: Target, content: bytes) -> None:
        begun = time.thread_time()
        target(content)
        took_s = time.thread_time() - begun
        assert took_s < MOST_CPU_S, f"{took_s:.1f} s of CPU for one input"

    yield run
    grown = _peak_bytes() - before
    assert grown < MOST_MEMORY_BYTES, f"memory grew by {grown / 1e6:.0f} MB"


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# ---------------------------------------------------------------- associations


class Wire:
    """The reader of associations, from bytes to DIMSE messages, without a peer."""

    def __init__(self, folder: Path) -> None:
        self._store = ObjectStore(folder)
        ae = AE("MAMMO_NODE")
        ae.maximum_pdu_size = 131072
        self._association: Any = UpperAssociation(ae, "acceptor", self._arrives, 1000.0)
        context = build_context(network.MG, network.EXPLICIT)
        context.context_id, context.result = 1, 0
        self._association._accepted_cx = {1: context}

    def __call__(self, content: bytes) -> None:
        frames, at = Frames(131072), 0
        try:
            while at < len(content):
                room = frames.room()
                count = min(len(room), 5000, len(content) - at)
                room[:count] = content[at : at + count]
                frames.received(count)
                at += count
                while (pdu := frames.take()) is not None:
                    self._handle(pdu)
        except BadPDU:
            pass
        self._reset()

    def _handle(self, pdu: memoryview) -> None:
        if pdu[0] == P_DATA_TF:
            for context_id, value in values(pdu):
                self._association.received_value(context_id, value)
            return
        try:
            self._association.dul._decode_pdu(bytearray(pdu))
        except Exception as error:  # as the node does
            raise BadPDU(str(error)) from error

    def _arrives(self, _class: str, _instance: str, _syntax: str) -> Arriving:
        return Arriving(self._store, b"", lambda _size: None)

    def _reset(self) -> None:
        association = self._association
        association.dimse.message = None
        association.dimse.msg_queue.queue.clear()
        association.dul.event_queue.queue.clear()
        if association._arriving is not None:
            association._arriving.discard()


def wire_seeds() -> list[bytes]:
    dataset = encode(view(Rows=4, Columns=4), False, True) or b""
    command = network.data(network.value(network.LAST_OF_COMMAND, network.c_store("1.2.3.4")))
    whole = command + network.data(network.value(network.LAST_OF_DATA, dataset))
    together = network.data(
        network.value(network.LAST_OF_COMMAND, network.c_store("1.2.3.4")), network.value(network.DATA, dataset)
    )
    return [network.associate(), whole, together, network.pdu(7, bytes(4)) + network.pdu(5, bytes(4))]


# ---------------------------------------------------------------- files


class Files:
    """A file as it comes by STOW-RS or C-STORE: its envelope, its header as intake reads it, and as it is served."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "spoiled.dcm"

    def __call__(self, content: bytes) -> None:
        try:
            found = envelope(memoryview(content))
            intake.understood(
                intake.Incoming(
                    encoded=memoryview(content)[found.offset :],
                    transfer_syntax_uid=found.transfer_syntax_uid,
                    sop_class_uid=found.sop_class_uid,
                    sop_instance_uid=found.sop_instance_uid,
                    calling_ae_title="PACS",
                )
            )
        except NodeError:
            pass
        self._path.write_bytes(content)
        try:
            stored = stored_file.opened(self._path)
            stored.check_frame(1)
            _frame(stored)
        except NodeError:
            pass


def _frame(stored: stored_file.StoredFile) -> None:
    if stored.encapsulated:
        stored.encapsulated_frame(1)
    elif stored.pixels is not None:
        stored.native_frame(1)


def file_seeds() -> list[bytes]:
    plain = view(Rows=8, Columns=8)
    compressed = view(Rows=8, Columns=8)
    compressed.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    compressed.PixelData = encapsulate([b"\xff\xd8 no picture \xff\xd9"])
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    deflated = view(Rows=8, Columns=8)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return [as_file(plain), _written(compressed), _written(deflated), _written(_nested())]


def _nested() -> Dataset:
    dataset = view(Rows=8, Columns=8)
    item = Dataset()
    item.CodeMeaning = "deepest"
    for _ in range(20):
        outer = Dataset()
        outer.ConceptNameCodeSequence = [item]
        outer["ConceptNameCodeSequence"].is_undefined_length = True
        item = outer
    dataset.ContentSequence = [item, item]
    return dataset


def _written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


# ---------------------------------------------------------------- STOW-RS


class Multipart:
    """A request body, in pieces."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def __call__(self, content: bytes) -> None:
        parts = Parts("edge", self._folder, 5000, lambda file: file.close())
        try:
            for start in range(0, len(content), 300):
                parts.feed(content[start : start + 300])
            parts.finish()
        except NodeError:
            pass
        finally:
            parts.close()


def multipart_seeds() -> list[bytes]:
    part = b"\r\n--edge\r\nContent-Type: application/dicom\r\nContent-Location: x\r\n\r\n" + bytes(700)
    return [part * 3 + b"\r\n--edge--\r\n", (part + b"\r\n--edge--")[2:], struct.pack("<L", 5) + part]


TARGETS: Mapping[str, tuple[Callable[[Path], Target], Callable[[], list[bytes]]]] = {
    "associations": (Wire, wire_seeds),
    "files": (Files, file_seeds),
    "multipart": (Multipart, multipart_seeds),
}


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)

"""pynetdicom's upper layer, served by the association's own thread: large reads, no sleeps, answers at once.

What it replaces is private to pynetdicom, so the version is pinned and tests/unit/test_upper_layer.py compares the
parts leant on with those that were read. `network.upper_layer: stock` does without all of this.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from node import logs
from node.arriving import Arriving
from node.dimse.frames import P_DATA_TF, BadPDU, Frames, values

log = logs.get(__name__)

_TICK_S = 0.1  # how late a time limit, or a word from another thread, may be noticed
_MOST_DRAINED = 4 * 1024 * 1024
_FAREWELL_S = 1.0  # for the last answer of an association that was ended from elsewhere
_MOST_IN_MEMORY = 16 * 1024 * 1024  # of a command, or of a data set that is not stored (an identifier)
_LAST_OF_COMMAND = b"\x03"  # PS3.8 E.2
_KIND, _MORE_OF_DATA_SET = 0x03, 0x00  # PS3.8 E.2
_DATA_TRANSFER, _ENDING = "Sta6", "Sta13"  # PS3.8 9.2.1


class Arrives(Protocol):
    """Opens the way in for the data set of a C-STORE."""

    def __call__(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> Arriving: ...


class Wire(AssociationSocket):
    """A connection that is closed when it is shut down, also when the peer was first."""

    def _shutdown_socket(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class Upper(DULServiceProvider):
    """The upper layer without a thread: whoever waits for something has it take a step. Its states are pynetdicom's."""

    def __init__(self, association: UpperAssociation, minimum_bytes_per_s: float) -> None:
        super().__init__(association)
        self._association = association
        self._frames = Frames(association.ae.maximum_pdu_size)
        self._poll = select.poll()
        self._minimum_bytes_per_s = minimum_bytes_per_s
        self._begun_at: float | None = None  # when the first bytes of what is not whole yet came
        self._came = 0
        self._drained = 0
        self._stepping = False

    # ---------------------------------------------------------------- what pynetdicom calls

    def start(self) -> None:
        """There is no thread to start."""
        self._poll.register(self._socket, select.POLLIN)
        self._idle_timer.start()
        self.assoc._dul_ready.set()

    def is_alive(self) -> bool:
        """Whether the connection is there, or should still be ended."""
        return not self._kill_thread

    def stop_dul(self) -> bool:
        """Take the steps that are left to the end; another thread may ask again."""
        if self._is_own_thread:
            self.step(_TICK_S)
        self._kill_thread = self._kill_thread or self.state_machine.current_state == "Sta1"
        return self._kill_thread

    def receive_pdu(self, wait: bool = False, timeout: float | None = None) -> Any:
        """The next primitive for the service user; None when there is none in time."""
        if wait and self._is_own_thread:
            end = time.monotonic() + (timeout if timeout is not None else float("inf"))
            while self.to_user_queue.empty() and self.is_alive() and time.monotonic() < end:
                self.step(_TICK_S)
            return super().receive_pdu(wait=False)
        return super().receive_pdu(wait, timeout)

    def send_pdu(self, primitive: Any) -> None:
        """Send at once, and look whether the peer has cancelled or gone."""
        super().send_pdu(primitive)
        if self._is_own_thread:
            self.step(0)

    # ---------------------------------------------------------------- steps

    def step(self, timeout_s: float) -> None:
        """Send what is to be sent; else act on what came, waiting for it at most `timeout_s`."""
        if self._stepping or self._kill_thread:
            return
        self._stepping = True
        try:
            if self.artim_timer.expired:
                self.event_queue.put("Evt18")
            self._act()
            sent = False
            while self._process_recv_primitive():
                self._act()
                sent = True
            if not self._kill_thread:
                self._receive(0 if sent else timeout_s)
                self._act()
        except Exception:  # whatever a peer made of it ends its association and no other
            log.exception("association given up", association=self.assoc.name)
            self._give_up()
        finally:
            self._stepping = False

    def served(self) -> None:
        """A request was answered; the time that took is not the peer's."""
        self._begun_at, self._came = None, 0
        self._idle_timer.restart()

    def _act(self) -> None:
        while not self._kill_thread and not self.event_queue.empty():
            self.state_machine.do_action(self.event_queue.get())

    def _receive(self, timeout_s: float) -> None:
        if self.state_machine.current_state == _ENDING:
            self._drain()
            return
        if not self.assoc.dimse.msg_queue.empty() or self._take():
            return
        if self._is_ready(timeout_s):
            self._read()
            self._take()
        if self._is_too_slow():
            log.warning("association aborted: the peer sends too slowly", association=self.assoc.name)
            self.event_queue.put("Evt19")

    def _drain(self) -> None:
        """The peer is to close now; what it still sends is wanted no more. If it does not, this side closes."""
        with contextlib.suppress(OSError):
            while self._drained < _MOST_DRAINED and self._is_ready(_TICK_S) and (more := self._socket.recv(64 * 1024)):
                self._drained += len(more)
        cast("Wire", self.socket).close()

    def _is_ready(self, timeout_s: float) -> bool:
        wire = self._socket
        if isinstance(wire, ssl.SSLSocket) and wire.pending():  # decrypted already: the kernel has nothing to report
            return True
        return bool(self._poll.poll(timeout_s * 1000))

    def _read(self) -> None:
        try:
            count = self._socket.recv_into(self._frames.room())
        except OSError:
            count = 0
        if not count:
            self.event_queue.put("Evt17")
            return
        self._idle_timer.restart()
        self._begun_at = self._begun_at or time.monotonic()
        self._came += count
        self._frames.received(count)

    def _take(self) -> bool:
        """Act on the PDUs that are whole, until one of them asks for something. Returns whether there was one."""
        found = False
        try:
            while self._asks_nothing() and (pdu := self._frames.take()) is not None:
                found = True
                self._handle(pdu)
        except BadPDU as error:
            log.warning("association aborted: not DICOM", association=self.assoc.name, problem=str(error))
            self.event_queue.put("Evt19")
        if not self._frames.waiting and self.assoc.dimse.message is None:
            self._begun_at, self._came = None, 0
        return found

    def _asks_nothing(self) -> bool:
        return self.event_queue.empty() and self.to_user_queue.empty() and self.assoc.dimse.msg_queue.empty()

    def _handle(self, pdu: memoryview) -> None:
        if pdu[0] == P_DATA_TF and self.state_machine.current_state == _DATA_TRANSFER:
            for context_id, value in values(pdu):
                self._association.received_value(context_id, value)
            return
        try:
            decoded, event = self._decode_pdu(bytearray(pdu))
        except Exception as error:  # the parser meets whatever a peer made
            raise BadPDU(f"a PDU of type 0x{pdu[0]:02X} cannot be parsed: {type(error).__name__}") from error
        self._recv_pdu.put(decoded)
        self.event_queue.put(event)
        self._act()

    def _is_too_slow(self) -> bool:
        """Something has begun and does not go on: the time for a message is up, with what its bytes may take."""
        if self._begun_at is None or self.state_machine.current_state != _DATA_TRANSFER:
            return False
        allowed_s = (self.assoc.dimse_timeout or float("inf")) + self._came / self._minimum_bytes_per_s
        return time.monotonic() - self._begun_at > allowed_s

    def _give_up(self) -> None:
        abort = A_ABORT_RQ()
        abort.source, abort.reason_diagnostic = 0x02, 0x00
        wire = cast("Wire", self.socket)
        if wire.socket is not None:
            wire.send(abort.encode())
        wire._shutdown_socket()
        self.assoc.is_aborted, self.assoc.is_established = True, False
        self.assoc._kill = self._kill_thread = True
        evt.trigger(self.assoc, evt.EVT_ABORTED, {})

    @property
    def _socket(self) -> socket.socket:
        wire = cast("Wire", self.socket).socket
        if wire is None:
            raise OSError("the connection is closed")
        return wire

    @property
    def _is_own_thread(self) -> bool:
        return threading.current_thread() is self.assoc


class Dimse(DIMSEServiceProvider):
    """Messages, waited for by letting the upper layer work."""

    def __init__(self, association: UpperAssociation) -> None:
        super().__init__(association)
        self._upper = association.upper

    def get_msg(self, block: bool = False) -> Any:
        """The next message, with its context; (None, None) when there is none in time."""
        end = time.monotonic() + (self.dimse_timeout or float("inf"))
        while block and self.msg_queue.empty() and self._upper.is_alive() and time.monotonic() < end:
            self._upper.step(_TICK_S)
        return super().get_msg(block=False)

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message; the answer to a C-STORE, sent for every image, without the work of a data set."""
        answers = isinstance(primitive, C_STORE) and primitive.MessageIDBeingRespondedTo is not None
        if not answers or self.assoc.get_handlers(evt.EVT_DIMSE_SENT):
            super().send_msg(primitive, context_id)
            return
        sent: Any = P_DATA()
        sent.presentation_data_value_list.append((context_id, _LAST_OF_COMMAND + c_store_response(primitive)))
        self._upper.send_pdu(sent)


def c_store_response(answer: C_STORE) -> bytes:
    """The command set of a C-STORE-RSP (PS3.7 9.3.1.2), by Implicit VR Little Endian."""
    elements = [
        _text(0x0002, answer.AffectedSOPClassUID, b"\0"),
        _number(0x0100, 0x8001),
        _number(0x0120, answer.MessageIDBeingRespondedTo),
        _number(0x0800, 0x0101),  # no data set
        _number(0x0900, answer.Status),
        _text(0x0902, answer.ErrorComment, b" "),
        _text(0x1000, answer.AffectedSOPInstanceUID, b"\0"),
    ]
    body = b"".join(elements)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _number(element: int, value: int | None) -> bytes:
    return struct.pack("<HHLH", 0, element, 2, value or 0)


def _text(element: int, value: str | None, padding: bytes) -> bytes:
    if not value:
        return b""
    encoded = value.encode("ascii", "replace")
    encoded += padding * (len(encoded) % 2)
    return struct.pack("<HHL", 0, element, len(encoded)) + encoded


class WatchedAssociation(Association):
    """An association that says when its thread ends, however it ended."""

    ended: Callable[[Association], None]

    def run(self) -> None:
        """The association's life."""
        try:
            super().run()
        finally:
            self.ended(self)


class UpperAssociation(WatchedAssociation):
    """An acceptor's association whose one thread reads, serves and answers."""

    def __init__(self, ae: ApplicationEntity, mode: str, arrives: Arrives, minimum_bytes_per_s: float) -> None:
        super().__init__(ae, mode)
        self._arrives = arrives
        self._arriving: Arriving | None = None
        self.dul = self.upper = Upper(self, minimum_bytes_per_s)
        self.dimse = Dimse(self)
        # pynetdicom keeps these limits in the upper layer too
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout

    def run(self) -> None:
        """The association's life. Whatever ends it, nothing is left open."""
        try:
            self.run_reactor()
            end = time.monotonic() + _FAREWELL_S
            while self.dul.is_alive() and time.monotonic() < end:
                self.dul.stop_dul()
        finally:
            self.dul.kill_dul()
            cast("Wire", self.dul.socket)._shutdown_socket()
            if self._arriving is not None:
                self._arriving.discard()
            self.ended(self)

    def received_value(self, context_id: int, value: memoryview) -> None:
        """Hand a value to DIMSE; the data set of a C-STORE goes where it arrives. Raises BadPDU."""
        arriving = self.dimse.message.data_set if self.dimse.message is not None else None
        if value[0] & _KIND == _MORE_OF_DATA_SET and isinstance(arriving, Arriving):
            arriving.write(value[1:])  # all that DIMSE would do; a mammogram has two hundred of these
            return
        primitive: Any = P_DATA()
        primitive.presentation_data_value_list.append((context_id, value))
        try:
            self.dimse.receive_primitive(primitive)
        except Exception as error:  # the parser meets whatever a peer made
            raise BadPDU(f"a command cannot be parsed: {type(error).__name__}") from error
        message: Any = self.dimse.message
        if message is None:
            return
        if isinstance(message, C_STORE_RQ) and not isinstance(message.data_set, Arriving):
            message.data_set = self._begin(context_id, message.command_set)
        if message.encoded_command_set.tell() + message.data_set.tell() > _MOST_IN_MEMORY:
            raise BadPDU("a message is larger than any that is asked for")

    def _begin(self, context_id: int, command: Any) -> Arriving:
        context = self._accepted_cx.get(context_id)
        if context is None:
            raise BadPDU(f"presentation context {context_id} was not accepted")
        if self._arriving is not None:
            self._arriving.discard()
        names = (command.get("AffectedSOPClassUID", ""), command.get("AffectedSOPInstanceUID", ""))
        self._arriving = self._arrives(str(names[0]), str(names[1]), str(context.transfer_syntax[0]))
        return self._arriving

    def _run_reactor(self) -> None:
        """Serve until it ends; each turn waits for one thing that came."""
        while not self._kill:
            self._is_paused = not self._reactor_checkpoint.is_set()
            if self._is_paused or (self.dimse.msg_queue.empty() and self.dul.peek_next_pdu() is None):
                self.upper.step(_TICK_S)
            if not self._is_paused:
                self._turn()

    def _turn(self) -> None:
        context_id, message = self.dimse.get_msg()
        if message is not None and not message.is_valid_request:
            log.warning("association aborted: a message is no request, or lacks what it needs", association=self.name)
            self.abort()
        elif message is not None:
            self._serve_request(message, cast("int", context_id))
            self.upper.served()
        elif self.is_established and self.acse.is_release_requested():
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})  # told before the answer: a peer that has it closes at once
            self.acse.send_release(is_response=True)
            self.kill()
        elif self.acse.is_aborted():
            self.dul.receive_pdu()
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            self.kill()
        elif not self.dul.is_alive():
            self.kill()
        elif self.dul.idle_timer_expired():
            log.warning("association aborted: idle", association=self.name)
            self.abort()

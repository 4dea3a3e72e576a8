"""Bytes as they come → whole PDUs (PS3.8 9.3) and the values in them, by offset in one buffer, without a copy."""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER_BYTES = 6
P_DATA_TF = 0x04
_TYPES = range(0x01, 0x08)
_LONGEST_OTHER = 256 * 1024  # an A-ASSOCIATE-RQ of 128 presentation contexts is well below
_SPARE = 128 * 1024  # what one large receive may bring beyond the PDU it completes


class BadPDU(ValueError):
    """What came is no PDU, or longer than was agreed."""


class Frames:
    """One connection's buffer: receive into `room`, say how much it was, take the PDUs that are whole.

    A PDU that was taken is valid until the next `room`.
    """

    def __init__(self, maximum_pdu_bytes: int) -> None:
        self._longest_data = maximum_pdu_bytes
        longest = HEADER_BYTES + max(maximum_pdu_bytes, _LONGEST_OTHER)
        self._buffer = memoryview(bytearray(longest + _SPARE))
        self._begin = self._end = 0

    @property
    def waiting(self) -> int:
        """Bytes that are there and not taken."""
        return self._end - self._begin

    def room(self) -> memoryview:
        """Where the next bytes go; never empty once the whole PDUs are taken."""
        if self._begin and len(self._buffer) - self._end < _SPARE:
            self._buffer[: self.waiting] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, self.waiting
        return self._buffer[self._end :]

    def received(self, count: int) -> None:
        """`count` bytes were written into `room`."""
        self._end += count

    def take(self) -> memoryview | None:
        """The next PDU that is whole, its header first; None without. Raises BadPDU."""
        if self.waiting < HEADER_BYTES:
            return None
        kind, length = struct.unpack_from(">BxL", self._buffer, self._begin)
        if kind not in _TYPES:
            raise BadPDU(f"0x{kind:02X} is no type of a PDU")
        if length > (self._longest_data if kind == P_DATA_TF else _LONGEST_OTHER):
            raise BadPDU(f"a PDU of {length} bytes is longer than was agreed")
        if self.waiting < HEADER_BYTES + length:
            return None
        pdu = self._buffer[self._begin : self._begin + HEADER_BYTES + length]
        self._begin += len(pdu)
        return pdu


def values(pdu: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The presentation data values of a P-DATA-TF: context ID, and control header with fragment. Raises BadPDU."""
    offset = HEADER_BYTES
    while offset < len(pdu):
        if offset + 6 > len(pdu):
            raise BadPDU("a presentation data value is cut off")
        length, context_id = struct.unpack_from(">LB", pdu, offset)
        if length < 2 or offset + 4 + length > len(pdu):
            raise BadPDU(f"a presentation data value of {length} bytes does not fit its PDU")
        yield context_id, pdu[offset + 5 : offset + 4 + length]
        offset += 4 + length

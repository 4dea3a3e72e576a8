"""Do the decoded values of a lossless JPEG account for its bytes?

Decoders fill what a damaged stream does not tell with grey and report success; half a grey breast would then be read
as a healthy one. The stream holds nothing but one code and its extra bits for each pixel's difference from its
prediction (ITU-T T.81 H.1), so the values tell how many bits it must have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ai.codestreams import Codestream, Cut, Malformed, Scan

_Values = NDArray[np.uint16]
_Predict = Callable[[_Values, _Values, _Values], _Values]

_EOI, _RESTARTS = 0xD9, (0xD0, 0xD7)
_ROWS_AT_A_TIME = 64  # what is compared stays in the cache
#: Bits left over at the end: less than a byte (T.81 F.1.2.3), and a byte that some encoder may add.
_MOST_SPARE_BITS = 15


def check(frame: bytes, codestream: Codestream, values: NDArray[np.unsignedinteger]) -> None:
    """Raises Cut where the stream ends before its image, Malformed where the values do not account for it.

    values: rows × columns as decoded. A stream with restart intervals is held to their number only.
    """
    scan = codestream.scan
    if scan is None:
        return
    bits, restarts = _entropy_coded(frame, scan.start)
    if scan.restart_interval:
        intervals = -(-values.size // scan.restart_interval)
        if restarts != intervals - 1:
            raise Malformed(f"{restarts + 1} of {intervals} restart intervals")
        return
    spare = bits - _needed_bits(values.astype(np.uint16, copy=False), scan, codestream.bits)
    if spare < 0:
        raise Cut(f"{-spare} bits are missing")
    if spare > _MOST_SPARE_BITS or restarts:
        raise Malformed(f"{spare} bits are left over")


def _entropy_coded(frame: bytes, start: int) -> tuple[int, int]:
    """The bits of the scan, stuffed zeros left out, and how many restart markers stand in it."""
    data = np.frombuffer(frame, np.uint8, offset=start)
    at = np.flatnonzero(data[:-1] == 0xFF)
    after = data[at + 1]
    stops = np.flatnonzero((after != 0) & ((after < _RESTARTS[0]) | (after > _RESTARTS[1])))
    if not len(stops):
        raise Cut("a JPEG stream without an end")
    end = int(at[stops[0]])
    marker = frame[start + end : start + end + 8].lstrip(b"\xff")[:1]
    if marker != bytes((_EOI,)):
        raise Malformed("a marker amid the JPEG data")
    restarts = int(np.count_nonzero(after[: stops[0]]))
    stuffed = int(stops[0]) - restarts
    return 8 * (end - stuffed - 2 * restarts), restarts


def _needed_bits(values: _Values, scan: Scan, bits: int) -> int:
    """What the codes and extra bits of all differences take. The edges have predictions of their own (T.81 H.1.2.1)."""
    lengths = _bits_of_difference(scan.code_lengths)
    first = np.uint16(1 << (bits - 1))
    edges = (values[:1, 0] - first, np.diff(values[0]), np.diff(values[:, 0]))
    needed = sum(int(lengths.take(edge).sum(dtype=np.int64)) for edge in edges)
    predict = _PREDICTORS[scan.predictor]
    for row in range(1, len(values), _ROWS_AT_A_TIME):
        block = values[row - 1 : row + _ROWS_AT_A_TIME]
        predicted = predict(block[1:, :-1], block[:-1, 1:], block[:-1, :-1])
        needed += int(lengths.take(block[1:, 1:] - predicted).sum(dtype=np.int64))
    return needed


def _bits_of_difference(code_lengths: tuple[int, ...]) -> NDArray[np.uint16]:
    """For each difference modulo 2^16: its category's code and extra bits; category 16 has none (T.81 table H.2)."""
    taken = [length + (category if category < 16 else 0) for category, length in enumerate(code_lengths)]
    bits: NDArray[np.uint16] = np.array(taken, np.uint16)[_CATEGORIES]
    return bits


def _wide(predict: Callable[[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]], NDArray[np.int32]]) -> _Predict:
    """A predictor whose halves need a sign."""
    return lambda *neighbours: predict(*(each.astype(np.int32) for each in neighbours)).astype(np.uint16)


_DIFFERENCES = np.arange(1 << 16)
#: Of each difference modulo 2^16: how many bits its size takes.
_CATEGORIES = np.ceil(np.log2(np.minimum(_DIFFERENCES, (1 << 16) - _DIFFERENCES) + 1)).astype(np.intp)
#: From the left, above and upper left neighbour (T.81 table H.1), modulo 2^16.
_PREDICTORS: Mapping[int, _Predict] = {
    1: lambda left, above, corner: left,
    2: lambda left, above, corner: above,
    3: lambda left, above, corner: corner,
    4: lambda left, above, corner: left + above - corner,
    5: _wide(lambda left, above, corner: left + ((above - corner) >> 1)),
    6: _wide(lambda left, above, corner: above + ((left - corner) >> 1)),
    7: _wide(lambda left, above, corner: (left + above) >> 1),
}

"""What a compressed image says of itself before it is decoded: size, components, bits, and whether it is lossless.

A stream that claims another size than the header is refused before any memory is asked for, and one that lost
something is known whatever its transfer syntax promises. Markers: JPEG, ITU-T T.81 B and H; JPEG-LS, ITU-T T.87 C;
JPEG 2000, ITU-T T.800 A.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SOI, _SOS, _DHT, _DRI = 0xD8, 0xDA, 0xC4, 0xDD
_EOI = b"\xff\xd9"  # cannot stand in coded data (T.81 B.1.1.5, T.87 A.1)
_SOF_LOSSLESS, _SOF_JPEG_LS = 0xC3, 0xF7
_SOF = frozenset((*range(0xC0, 0xD0), _SOF_JPEG_LS)) - {_DHT, 0xC8, 0xCC}
_RESTARTS = range(0xD0, 0xD8)
_SOC_SIZ, _SOT, _COD, _REVERSIBLE = b"\xff\x4f\xff\x51", 0x90, 0x52, 1

#: In place of a code's length where the table has no such code; no image then accounts for its stream.
CODE_MISSING = 255


class Malformed(ValueError):
    """The stream is not what its form demands."""


class Cut(Malformed):
    """The stream ends before its image does."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The one scan of a lossless JPEG. code_lengths: bits of the code of each difference category 0–16."""

    start: int
    predictor: int
    code_lengths: tuple[int, ...]
    restart_interval: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Codestream:
    """rows, columns: as coded. scan: of a lossless JPEG only."""

    rows: int
    columns: int
    components: int
    bits: int
    lossless: bool
    scan: Scan | None = None


# ---------------------------------------------------------------- JPEG and JPEG-LS


def read_jpeg(frame: bytes) -> Codestream:
    """The headers of a JPEG or JPEG-LS stream. Raises Malformed, or Cut where they are not whole."""
    if frame[:2] != bytes((0xFF, _SOI)):
        raise Malformed("no JPEG start")
    process, size, restart_interval = 0, tuple[int, ...](), 0
    tables: dict[int, tuple[int, ...]] = {}
    for marker, content, end in _segments(frame):
        if marker in _SOF:
            process, size = marker, _unpacked(">BHHB", content)
        elif marker == _DHT:
            tables |= _code_lengths(content)
        elif marker == _DRI:
            (restart_interval,) = _unpacked(">H", content)
        elif marker == _SOS:
            if not process:
                raise Malformed("a scan without a frame")
            if frame.find(_EOI, end) < 0:  # decoders fill in what is missing, or seek it for seconds
                raise Cut("a JPEG stream without an end")
            bits, rows, columns, components = size
            scan = _scan(content, tables, restart_interval, end) if process == _SOF_LOSSLESS else None
            return Codestream(
                rows=rows,
                columns=columns,
                components=components,
                bits=bits,
                lossless=_is_lossless(process, content),
                scan=scan,
            )
    raise Cut("no image in the JPEG stream")


def _segments(frame: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Marker, content and end of each segment, until the first scan begins."""
    at, marker = 2, 0
    while marker != _SOS:
        while frame[at : at + 2] == b"\xff\xff":
            at += 1
        if len(frame) < at + 4:
            raise Cut("the JPEG headers are cut")
        start, marker, length = struct.unpack_from(">BBH", frame, at)
        if start != 0xFF or length < 2:
            raise Malformed("no marker where one must be")
        content = frame[at + 4 : at + 2 + length]
        if len(content) != length - 2:
            raise Cut("the JPEG headers are cut")
        at += 2 + length
        yield marker, content, at


def _unpacked(form: str, content: bytes) -> tuple[int, ...]:
    if len(content) < struct.calcsize(form):
        raise Malformed("a marker segment is too short")
    return struct.unpack_from(form, content)


def _code_lengths(content: bytes) -> dict[int, tuple[int, ...]]:
    """Huffman tables for differences: destination → bits of the code of each category, T.81 B.2.4.2."""
    tables = {}
    while content:
        destination, counts = content[0], content[1:17]
        codes = [length for length, count in enumerate(counts, 1) for _ in range(count)]
        categories, content = content[17 : 17 + len(codes)], content[17 + len(codes) :]
        by_category = dict(zip(categories, codes, strict=False))
        tables[destination] = tuple(by_category.get(category, CODE_MISSING) for category in range(17))
    return tables


def _scan(content: bytes, tables: Mapping[int, tuple[int, ...]], restart_interval: int, start: int) -> Scan:
    """T.81 B.2.3 and H.1.2.1."""
    components, _, destinations, predictor = _unpacked(">BBBB", content)
    table = tables.get(destinations >> 4)
    if components != 1 or table is None or not 1 <= predictor <= 7:
        raise Malformed("no scan of one component with a table and a predictor")
    return Scan(start, predictor, table, restart_interval)


def _is_lossless(process: int, scan: bytes) -> bool:
    """A lossless process that drops no bits (point transform), or JPEG-LS that allows no error (NEAR)."""
    near_or_predictor, _, transform = scan[-3:].rjust(3, b"\xff")
    if process == _SOF_JPEG_LS:
        return near_or_predictor == 0 and transform & 0xF == 0
    return process == _SOF_LOSSLESS and transform & 0xF == 0


# ---------------------------------------------------------------- JPEG 2000


def read_jpeg_2000(frame: bytes) -> Codestream:
    """The headers of a JPEG 2000 or HTJ2K stream, also inside a JP2 file. Raises Malformed, or Cut."""
    at = frame.find(_SOC_SIZ)
    if at < 0:
        raise Malformed("no JPEG 2000 start")
    if len(frame) < at + 43:
        raise Cut("the JPEG 2000 headers are cut")
    right, bottom, left, top = struct.unpack_from(">4I", frame, at + 8)
    components, precision = struct.unpack_from(">HB", frame, at + 40)
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        components=components,
        bits=(precision & 0x7F) + 1,
        lossless=_transformation(frame, at + 2) == _REVERSIBLE,
    )


def _transformation(frame: bytes, at: int) -> int:
    """The wavelet of the coding style default: 0 irreversible, 1 reversible (T.800 A.6.1)."""
    while len(frame) >= at + 14:
        marker, length = struct.unpack_from(">xBH", frame, at)
        if marker == _COD:
            return frame[at + 13]
        if marker == _SOT or length < 2:
            break
        at += 2 + length
    raise Malformed("no coding style in the JPEG 2000 headers")

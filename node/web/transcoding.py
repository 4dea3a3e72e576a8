"""An instance in another transfer syntax: which can be made of it, and how it is written (PS3.18 8.7.3.5, PS3.5 A.4).

Only what gives the same values back, bit for bit, is made.
"""

from __future__ import annotations

import copy
import io
import struct
from collections.abc import Iterable, Iterator

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID, ImplicitVRLittleEndian, RLELossless

from ai.encoding import COLOUR, ENCODERS
from node.errors import NotAcceptable, NotUsable
from node.stored_file import StoredFile
from node.web import answers, media
from node.web.answers import Part
from node.web.decoders import Decoded, Decoders
from node.web.media import PLAIN

IMPLICIT = str(ImplicitVRLittleEndian)
PLAIN_BYTES = (PLAIN, IMPLICIT)  # frames are the same bytes in both
_LONGEST = 0xFFFFFFFE
_UNDEFINED = 0xFFFFFFFF
#: An item without a length is none; the Basic Offset Table may be empty.
_NO_TABLE = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def makeable(stored: StoredFile) -> tuple[str, ...]:
    """The transfer syntaxes that it can be had in: its own first."""
    own = stored.transfer_syntax_uid
    if stored.encapsulated and own not in media.OF_SYNTAX:
        return (own,)
    return tuple(dict.fromkeys((own, *PLAIN_BYTES, *_compressed(stored))))


def _compressed(stored: StoredFile) -> list[str]:
    header = stored.header
    if not stored.has_pixels or header.get("BitsAllocated") not in (8, 16):
        return []
    if header.get("PixelRepresentation"):
        return [str(RLELossless)]  # which alone takes values as they are; the others would have to know of the sign
    if int(header.get("SamplesPerPixel") or 1) == 1:
        return list(ENCODERS)
    is_rgb = stored.decoded_interpretation == "RGB" and header.BitsAllocated == 8
    return [each for each in ENCODERS if each in COLOUR] if is_rgb else []


class Transcoder:
    """Writes instances anew, a frame at a time, so that no more than one is in memory."""

    def __init__(self, decoders: Decoders) -> None:
        self._decoders = decoders

    def part(self, stored: StoredFile, syntax: str, *, alone: bool) -> Part:
        """The whole instance in one of those that are `makeable`.

        alone: nothing else is asked for, so its first frame is made now, and a failure is an error.
        Raises NotAcceptable, NotUsable, Unavailable.
        """
        if syntax not in makeable(stored):
            raise NotAcceptable(
                f"transfer-syntax: {syntax[:64]} cannot be given; allowed: *, {', '.join(makeable(stored))}"
            )
        start = _header(stored, syntax)
        content_type = f"{media.DICOM};transfer-syntax={syntax}"
        if not stored.has_pixels:
            return Part(content_type, lambda: [start], len(start))
        if syntax not in PLAIN_BYTES:
            return self._encapsulated(stored, syntax, content_type, start, alone=alone)
        length = stored.frames * stored.frame_bytes
        start += _pixel_element(stored, syntax, length)
        values = self.values(stored, eager=alone)

        def chunks() -> Iterator[bytes]:
            yield start
            yield from values.chunks()
            yield b"\0" * (length % 2)

        return Part(content_type, chunks, len(start) + length + length % 2)

    def values(self, stored: StoredFile, *, eager: bool) -> Part:
        """All frames uncompressed, one after the other. eager: the first is made now. Raises as `part`."""
        first = self._plain(stored, 1) if eager else None

        def chunks() -> Iterator[bytes]:
            yield from first or self._plain(stored, 1)
            for number in range(2, stored.frames + 1):
                yield from self._plain(stored, number)

        return Part(media.OCTETS, chunks, stored.frames * stored.frame_bytes)

    def frame(self, stored: StoredFile, number: int, syntax: str) -> Decoded:
        """One frame in a compressed transfer syntax. Raises NotUsable, Unavailable."""
        return self._decoders.frame(stored.path, number, syntax)

    def _plain(self, stored: StoredFile, number: int) -> Iterable[bytes]:
        if stored.transfer_syntax_uid in PLAIN_BYTES:
            return answers.of_file(stored.path, stored.native_frame(number))()
        frame = self._decoders.frame(stored.path, number)
        if frame.size != stored.frame_bytes:
            raise NotUsable("a frame decoded to another size than its header says")
        return frame

    def _encapsulated(self, stored: StoredFile, syntax: str, content_type: str, start: bytes, *, alone: bool) -> Part:
        """How long it is, is known only at its end."""
        start += struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, _UNDEFINED) + _NO_TABLE
        first = self.frame(stored, 1, syntax) if alone else None

        def chunks() -> Iterator[bytes]:
            yield start
            for number in range(1, stored.frames + 1):
                made = first if first is not None and number == 1 else self.frame(stored, number, syntax)
                yield struct.pack("<HHL", 0xFFFE, 0xE000, made.size)
                yield from made
            yield _END

        return Part(content_type, chunks)


def _header(stored: StoredFile, syntax: str) -> bytes:
    """Preamble, file meta information and data set up to the pixels."""
    header = copy.copy(stored.header)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in header:
            delattr(header, keyword)
    colours = stored.decoded_interpretation
    if colours != str(header.get("PhotometricInterpretation") or ""):
        header.PhotometricInterpretation, header.PlanarConfiguration = colours, 0
    if syntax not in PLAIN_BYTES and int(header.get("SamplesPerPixel") or 1) > 1:
        header.PlanarConfiguration = 0
    header.file_meta = copy.deepcopy(stored.header.file_meta)
    header.file_meta.TransferSyntaxUID = UID(syntax)
    return _written(header, implicit=syntax == IMPLICIT)


def _written(header: Dataset, *, implicit: bool) -> bytes:
    buffer = io.BytesIO()
    plain = FileDataset(buffer, header, b"\0" * 128, header.file_meta, implicit, True)
    try:
        dcmwrite(buffer, plain, enforce_file_format=True)
    except (ValueError, TypeError, AttributeError, struct.error) as error:
        raise NotUsable(f"the header cannot be written in another transfer syntax: {type(error).__name__}") from error
    return buffer.getvalue()


def _pixel_element(stored: StoredFile, syntax: str, length: int) -> bytes:
    """The tag, VR and length of Pixel Data (PS3.5 A.1, A.2: OB or OW by the bits allocated)."""
    if length > _LONGEST:
        raise NotAcceptable("the instance is too large to be uncompressed; ask for its frames")
    if syntax == IMPLICIT:
        return struct.pack("<HHL", 0x7FE0, 0x0010, length + length % 2)
    vr = b"OB" if int(stored.header.BitsAllocated) <= 8 else b"OW"
    return struct.pack("<HH2sHL", 0x7FE0, 0x0010, vr, 0, length + length % 2)

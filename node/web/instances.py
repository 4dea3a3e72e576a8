"""WADO-RS: whole instances, as they were stored or in Explicit VR Little Endian (PS3.18 10.4.1.1.1, 8.7.3.5.2)."""

from __future__ import annotations

import copy
import io
import struct
from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Request, Response
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.errors import NotAcceptable, NotUsable
from node.stored_file import Place, StoredFile, opened
from node.web import answers, media, routes
from node.web.answers import Part
from node.web.media import Accepted
from node.web.rooms import Rooms
from storage.records import Held

_PLAIN = str(ExplicitVRLittleEndian)
_PLAIN_BYTES = (_PLAIN, str(ImplicitVRLittleEndian))  # frames are the same bytes in both
_LONGEST = 0xFFFFFFFE


class Instances:
    """The retrieve transactions of studies, series and instances."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """The routes."""
        return routes.router(
            "WADO-RS",
            {
                routes.STUDY: self.study,
                routes.SERIES: self.series,
                routes.INSTANCE: self.instance,
            },
        )

    def study(self, request: Request, study: str) -> Response:
        """A study's instances."""
        return self._answer(request, study)

    def series(self, request: Request, study: str, series: str) -> Response:
        """A series' instances."""
        return self._answer(request, study, series)

    def instance(self, request: Request, study: str, series: str, instance: str) -> Response:
        """One instance."""
        return self._answer(request, study, series, instance)

    def _answer(self, request: Request, *uids: str) -> Response:
        """Every file is known to be what was stored before the first byte goes out."""
        held = self._rooms.holdings.held(*uids)
        refusal = media.refused(f'{media.MULTIPART}; type="{media.DICOM}"', *([media.DICOM] if len(held) == 1 else []))
        for accepted in media.accepted(request):
            if not (accepted.takes(media.DICOM) and (accepted.several or len(held) == 1)):
                continue
            try:
                parts = [self._part(each, accepted, alone=len(held) == 1) for each in held]
            except NotAcceptable as error:
                refusal = error  # what is accepted less gladly may do
                continue
            return answers.multipart(parts, media.DICOM) if accepted.several else answers.single(parts[0])
        raise refusal

    def _part(self, held: Held, accepted: Accepted, *, alone: bool) -> Part:
        path = self._rooms.holdings.whole(held)
        wanted = accepted.transfer_syntax
        anything = wanted == "*" or (not wanted and accepted.media_type == "*/*")
        stored = None if anything else opened(path)
        if stored is None or stored.transfer_syntax_uid == (wanted or _PLAIN):
            return Part(media.DICOM, answers.of_file(path, Place(0, held.size_bytes)), held.size_bytes)
        if wanted not in ("", _PLAIN):
            raise NotAcceptable(
                f"transfer-syntax: {wanted[:64]} cannot be given; allowed: *, {stored.transfer_syntax_uid}, {_PLAIN}"
            )
        return self._transcoded(stored, alone=alone)

    def _transcoded(self, stored: StoredFile, *, alone: bool) -> Part:
        """Header and then frame after frame, so that no more than one frame is in memory.

        alone: nothing else is asked for, so its first frame is decoded now, and a failure is an error.
        """
        if stored.encapsulated and stored.transfer_syntax_uid not in media.OF_SYNTAX:
            raise NotAcceptable(
                f"transfer-syntax: the instance is only to be had as {stored.transfer_syntax_uid}, or *"
            )
        start = _header(stored)
        if not stored.has_pixels:
            return Part(media.DICOM, lambda: [start], len(start))
        length = stored.frames * stored.frame_bytes
        start += _pixel_element(stored, length)
        content_type = f"{media.DICOM};transfer-syntax={_PLAIN}"

        first = self._frame(stored, 1) if alone else None

        def chunks() -> Iterator[bytes]:
            yield start
            yield from first or self._frame(stored, 1)
            for number in range(2, stored.frames + 1):
                yield from self._frame(stored, number)
            yield b"\0" * (length % 2)

        return Part(content_type, chunks, len(start) + length + length % 2)

    def _frame(self, stored: StoredFile, number: int) -> Iterable[bytes]:
        if stored.transfer_syntax_uid in _PLAIN_BYTES:
            return answers.of_file(stored.path, stored.native_frame(number))()
        frame = self._rooms.decoders.frame(stored.path, number)
        if frame.size != stored.frame_bytes:
            raise NotUsable("a frame decoded to another size than its header says")
        return frame


def _header(stored: StoredFile) -> bytes:
    """Preamble, file meta information and data set up to the pixels, in Explicit VR Little Endian."""
    header = copy.copy(stored.header)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in header:
            delattr(header, keyword)
    if stored.encapsulated and str(header.get("PhotometricInterpretation") or "").startswith("YBR"):
        header.PhotometricInterpretation, header.PlanarConfiguration = "RGB", 0  # as the decoders give colours
    header.file_meta = copy.deepcopy(stored.header.file_meta)
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return _written(header)


def _written(header: Dataset) -> bytes:
    buffer = io.BytesIO()
    plain = FileDataset(buffer, header, b"\0" * 128, header.file_meta, False, True)
    try:
        dcmwrite(buffer, plain, enforce_file_format=True)
    except (ValueError, TypeError, AttributeError, struct.error) as error:
        raise NotUsable(f"the header cannot be written in another transfer syntax: {type(error).__name__}") from error
    return buffer.getvalue()


def _pixel_element(stored: StoredFile, length: int) -> bytes:
    """The tag, VR and length of Pixel Data (PS3.5 A.2: OB or OW by the bits allocated)."""
    if length > _LONGEST:
        raise NotAcceptable("the instance is too large to be uncompressed; ask for its frames")
    vr = b"OB" if int(stored.header.BitsAllocated) <= 8 else b"OW"
    return struct.pack("<HH2sHL", 0x7FE0, 0x0010, vr, 0, length + length % 2)

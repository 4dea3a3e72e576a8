"""WADO-RS frames: in their own transfer syntax, or uncompressed (PS3.18 10.4.1.1.6, 8.7.3.5)."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.errors import NotAcceptable
from node.stored_file import StoredFile, frame_numbers
from node.web import answers, media, routes
from node.web.answers import Part
from node.web.media import Accepted
from node.web.rooms import Rooms

_PLAIN = str(ExplicitVRLittleEndian)
_ALSO_PLAIN = (str(ImplicitVRLittleEndian), _PLAIN)  # a frame's bytes are the same in both


class Frames:
    """Frames of one instance."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """The route."""
        return routes.router(
            "WADO-RS",
            {
                routes.INSTANCE + "/frames/{frames}": self.frames,
            },
        )

    def frames(self, request: Request, study: str, series: str, instance: str, frames: str) -> Response:
        """Frames by number, from 1, separated by commas."""
        numbers = frame_numbers(frames)
        (held,) = self._rooms.holdings.held(study, series, instance)
        stored = self._rooms.holdings.opened(held)
        for number in numbers:
            stored.check_frame(number)
        for accepted in media.accepted(request):
            offered = _offer(stored, accepted)
            if offered[0] and (accepted.multipart or len(numbers) == 1 or accepted.media_type == "*/*"):
                parts = [self._part(stored, number, offered, eager=number == numbers[0]) for number in numbers]
                if accepted.multipart or accepted.media_type == "*/*":
                    return answers.multipart(parts, offered[0])
                return answers.single(parts[0])
        raise _refused(stored)

    def _part(self, stored: StoredFile, number: int, offered: tuple[str, str], *, eager: bool) -> Part:
        """eager: decode it now, so that an image that cannot be decoded is an error and not a broken answer."""
        media_type, syntax = offered
        content_type = f"{media_type};transfer-syntax={syntax}"
        own = stored.transfer_syntax_uid
        if own in _ALSO_PLAIN and syntax in _ALSO_PLAIN:
            place = stored.native_frame(number)
            return Part(content_type, answers.of_file(stored.path, place), place.length)
        if syntax == own:
            return Part(content_type, lambda: [stored.encapsulated_frame(number)])
        if eager:
            made = self._rooms.decoders.frame(stored.path, number)
            return Part(content_type, lambda: made, made.size)
        return Part(content_type, lambda: self._rooms.decoders.frame(stored.path, number))


def _offer(stored: StoredFile, accepted: Accepted) -> tuple[str, str]:
    """Media type and transfer syntax that one acceptable type gets; ("", "") where it cannot be served."""
    own, wanted = stored.transfer_syntax_uid, accepted.transfer_syntax
    as_stored = own if stored.encapsulated else _PLAIN
    special = media.OF_SYNTAX.get(own, "")
    if accepted.media_type == "*/*" and wanted in ("", "*", own):
        return special or media.OCTETS, as_stored
    if accepted.takes(media.OCTETS) and wanted in ("", _PLAIN):
        return media.OCTETS, _PLAIN
    if accepted.takes(media.OCTETS) and wanted in ("*", own):
        return media.OCTETS, as_stored
    if special and accepted.takes(special) and wanted in ("", "*", own):
        return special, own
    return "", ""


def _refused(stored: StoredFile) -> NotAcceptable:
    special = media.OF_SYNTAX.get(stored.transfer_syntax_uid)
    types: Sequence[str] = [media.OCTETS, *([special] if special else [])]
    return media.refused(*(f'{media.MULTIPART}; type="{each}"' for each in types), *types)

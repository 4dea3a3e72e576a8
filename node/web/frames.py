"""WADO-RS frames: in their own transfer syntax, uncompressed, or in another (PS3.18 10.4.1.1.6, 8.7.3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request, Response

from node.errors import NotAcceptable
from node.stored_file import StoredFile, frame_numbers
from node.web import answers, media, routes, validators
from node.web.answers import Part
from node.web.media import PLAIN, Accepted
from node.web.rooms import Rooms
from node.web.transcoding import PLAIN_BYTES, makeable


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
        base = self._rooms.base_url(request)
        return validators.of_files(request, base, [held], lambda: self._made(media.accepted(request), stored, numbers))

    def _made(self, acceptable: Sequence[Accepted], stored: StoredFile, numbers: Sequence[int]) -> Response:
        for accepted in acceptable:
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
        if own in PLAIN_BYTES and syntax in PLAIN_BYTES:
            place = stored.native_frame(number)
            return Part(content_type, answers.of_file(stored.path, place), place.length)
        if syntax == own:
            return Part(content_type, lambda: [stored.encapsulated_frame(number)])
        making = partial(self._rooms.decoders.frame, stored.path, number, "" if syntax == PLAIN else syntax)
        if eager:
            made = making()
            return Part(content_type, lambda: made, made.size)
        return Part(content_type, making)


def _offer(stored: StoredFile, accepted: Accepted) -> tuple[str, str]:
    """Media type and transfer syntax that one acceptable type gets; ("", "") where it cannot be served."""
    own, wanted = stored.transfer_syntax_uid, accepted.transfer_syntax
    as_stored = own if stored.encapsulated else PLAIN
    special = media.OF_SYNTAX.get(own, "")
    if accepted.media_type == "*/*" and wanted in ("", "*", own):
        return special or media.OCTETS, as_stored
    if accepted.takes(media.OCTETS) and wanted in ("", PLAIN):
        return media.OCTETS, PLAIN
    if accepted.takes(media.OCTETS) and wanted in ("*", own):
        return media.OCTETS, as_stored
    if special and accepted.takes(special) and wanted in ("", "*", own):
        return special, own
    return _other(stored, accepted)


def _other(stored: StoredFile, accepted: Accepted) -> tuple[str, str]:
    """What has to be compressed anew: in the syntax asked for, or in the one that its media type means."""
    wanted = accepted.transfer_syntax
    for syntax in makeable(stored):
        media_type = media.OF_SYNTAX.get(syntax, "")
        named = syntax == wanted or (wanted in ("", "*") and media.MEANT.get(media_type) == syntax)
        if media_type and named and accepted.takes(media_type):
            return media_type, syntax
        if media_type and syntax == wanted and accepted.takes(media.OCTETS):
            return media.OCTETS, syntax
    return "", ""


def _refused(stored: StoredFile) -> NotAcceptable:
    special = dict.fromkeys(media.OF_SYNTAX[each] for each in makeable(stored) if each in media.OF_SYNTAX)
    types = (media.OCTETS, *special)
    return media.refused(*(f'{media.MULTIPART}; type="{each}"' for each in types), *types)

"""WADO-RS: whole instances, as they were stored or in another transfer syntax (PS3.18 10.4.1.1.1, 8.7.3.5.2)."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from node.errors import NotAcceptable
from node.stored_file import Place, opened
from node.web import answers, media, routes, validators
from node.web.answers import Part
from node.web.media import PLAIN, Accepted
from node.web.rooms import Rooms
from node.web.transcoding import Transcoder
from storage.records import Held


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
        held = self._rooms.holdings.held(*uids)
        base = self._rooms.base_url(request)
        return validators.of_files(request, base, held, lambda: self._made(media.accepted(request), held))

    def _made(self, acceptable: Sequence[Accepted], held: Sequence[Held]) -> Response:
        """Every file is known to be what was stored before the first byte goes out."""
        refusal = media.refused(f'{media.MULTIPART}; type="{media.DICOM}"', *([media.DICOM] if len(held) == 1 else []))
        for accepted in acceptable:
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
        if stored is None or stored.transfer_syntax_uid == (wanted or PLAIN):
            return Part(media.DICOM, answers.of_file(path, Place(0, held.size_bytes)), held.size_bytes)
        return Transcoder(self._rooms.decoders).part(stored, wanted or PLAIN, alone=alone)

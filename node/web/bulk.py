"""WADO-RS bulk data and pixel data: binary values by themselves (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from fastapi import APIRouter, Request, Response

from node import dicom_json
from node.errors import BadQuery, NotFound
from node.stored_file import PIXEL_DATA, StoredFile
from node.web import answers, media, routes, validators
from node.web.answers import Part
from node.web.rooms import Rooms, url_of
from node.web.transcoding import Transcoder
from storage.records import Held

#: Makes the parts of one instance. alone: nothing else is asked for.
_Parts = Callable[[Held, bool], Iterator[Part]]


class Bulk:
    """What metadata only names. Compressed pixel data comes uncompressed; as it is, it can be had as frames."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """The routes."""
        return routes.router(
            "WADO-RS",
            {
                routes.STUDY + "/bulkdata": self.of_study,
                routes.SERIES + "/bulkdata": self.of_series,
                routes.INSTANCE + "/bulkdata": self.of_instance,
                routes.INSTANCE + "/bulkdata/{path:path}": self.one,
                routes.STUDY + "/pixeldata": self.pixels_of_study,
                routes.SERIES + "/pixeldata": self.pixels_of_series,
                routes.INSTANCE + "/pixeldata": self.pixels_of_instance,
            },
        )

    def of_study(self, request: Request, study: str) -> Response:
        """All bulk data of a study."""
        return self._answer(request, (study,), self._all)

    def of_series(self, request: Request, study: str, series: str) -> Response:
        """All bulk data of a series."""
        return self._answer(request, (study, series), self._all)

    def of_instance(self, request: Request, study: str, series: str, instance: str) -> Response:
        """All bulk data of an instance."""
        return self._answer(request, (study, series, instance), self._all)

    def one(self, request: Request, study: str, series: str, instance: str, path: str) -> Response:
        """The value of one element, named by its path: tag, or tag/item/tag for one within a sequence."""
        return self._answer(request, (study, series, instance), partial(self._named, path))

    def pixels_of_study(self, request: Request, study: str) -> Response:
        """Pixel data of a study's images."""
        return self._answer(request, (study,), self._pixels)

    def pixels_of_series(self, request: Request, study: str, series: str) -> Response:
        """Pixel data of a series' images."""
        return self._answer(request, (study, series), self._pixels)

    def pixels_of_instance(self, request: Request, study: str, series: str, instance: str) -> Response:
        """Pixel data of an image."""
        return self._answer(request, (study, series, instance), self._pixels)

    # ---------------------------------------------------------------- inside

    def _answer(self, request: Request, uids: Sequence[str], parts: _Parts) -> Response:
        held = self._rooms.holdings.held(*uids)
        base = self._rooms.base_url(request)
        return validators.of_files(request, base, held, lambda: self._made(request, held, parts))

    def _made(self, request: Request, held: Sequence[Held], parts: _Parts) -> Response:
        found = [part for each in held for part in parts(each, len(held) == 1)]
        if not found:
            raise NotFound("there is no bulk data in it")
        base = self._rooms.base_url(request)
        placed = [Part(each.content_type, each.chunks, each.length, base + each.location) for each in found]
        single = [media.OCTETS] if len(placed) == 1 else []
        for accepted in media.accepted(request):
            if accepted.takes(media.OCTETS) and (accepted.multipart or single):
                return answers.multipart(placed, media.OCTETS) if accepted.multipart else answers.single(placed[0])
            if accepted.media_type == "*/*":
                return answers.multipart(placed, media.OCTETS)
        raise media.refused(*single, f'{media.MULTIPART}; type="{media.OCTETS}"')

    def _all(self, held: Held, alone: bool) -> Iterator[Part]:
        stored = self._rooms.holdings.opened(held)
        for path in dicom_json.linked(stored.header):
            yield self._value(held, stored, path)
        yield from self._pixels(held, alone)

    def _named(self, path: str, held: Held, alone: bool) -> Iterator[Part]:
        stored = self._rooms.holdings.opened(held)
        if path == PIXEL_DATA and stored.has_pixels:
            yield from self._pixels(held, alone)
        else:
            yield self._value(held, stored, path)

    def _pixels(self, held: Held, alone: bool) -> Iterator[Part]:
        stored = self._rooms.holdings.opened(held)
        if not stored.has_pixels:
            return
        location = _location(held, PIXEL_DATA)
        if stored.pixels is not None and not stored.encapsulated:
            self._rooms.holdings.whole(held)
            yield Part(media.OCTETS, answers.of_file(stored.path, stored.pixels), stored.pixels.length, location)
            return
        values = Transcoder(self._rooms.decoders).values(stored, eager=alone)
        yield Part(values.content_type, values.chunks, values.length, location)

    @staticmethod
    def _value(held: Held, stored: StoredFile, path: str) -> Part:
        """Read when it is sent, but for its length."""
        try:
            element = dicom_json.element_at(stored.header, path)
        except ValueError as error:
            raise BadQuery("bulkdata: this is no path; allowed: tag, or tag/item/tag and so on") from error
        if element is None or not isinstance(element.value, bytes):
            raise NotFound("the instance has no binary value there")
        value = element.value
        return Part(media.OCTETS, lambda: [value], len(value), _location(held, path))


def _location(held: Held, path: str) -> str:
    return f"{url_of('', held)}/bulkdata/{path}"

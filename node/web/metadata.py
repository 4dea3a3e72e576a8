"""WADO-RS metadata and bulk data (PS3.18 10.4.1.1.2, 10.4.1.1.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from node import dicom_json
from node.errors import BadQuery, NotFound
from node.stored_file import PIXEL_DATA, StoredFile
from node.web import answers, media, routes
from node.web.answers import Part
from node.web.rooms import Rooms
from storage.records import Held

_AT_ONCE = 200  # instances, of some 10 kB each
_TYPES = (media.DICOM_JSON, media.JSON)


class Metadata:
    """Everything about instances but their pixels."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """The routes."""
        return routes.router(
            "WADO-RS",
            {
                routes.STUDY + "/metadata": self.of_study,
                routes.SERIES + "/metadata": self.of_series,
                routes.INSTANCE + "/metadata": self.of_instance,
                routes.INSTANCE + "/bulkdata/{path:path}": self.bulk_data,
            },
        )

    def of_study(self, request: Request, study: str) -> Response:
        """Metadata of a study's instances."""
        return self._answer(request, study)

    def of_series(self, request: Request, study: str, series: str) -> Response:
        """Metadata of a series' instances."""
        return self._answer(request, study, series)

    def of_instance(self, request: Request, study: str, series: str, instance: str) -> Response:
        """Metadata of an instance."""
        return self._answer(request, study, series, instance)

    def bulk_data(self, request: Request, study: str, series: str, instance: str, path: str) -> Response:
        """The value of one element, named by its path: tag, or tag/item/tag for one within a sequence."""
        (held,) = self._rooms.holdings.held(study, series, instance)
        stored = self._rooms.holdings.opened(held)
        url = f"{_url(self._rooms.base_url(request), held)}/bulkdata/{path}"
        part = self._bulk_part(held, stored, path, url)
        for each in media.accepted(request):
            if each.takes(media.OCTETS):
                return answers.multipart([part], media.OCTETS) if each.multipart else answers.single(part)
        raise media.refused(media.OCTETS, f"{media.MULTIPART}; type={media.OCTETS}")

    def _bulk_part(self, held: Held, stored: StoredFile, path: str, url: str) -> Part:
        if path == PIXEL_DATA and stored.pixels is not None and not stored.encapsulated:
            self._rooms.holdings.whole(held)
            chunks = answers.of_file(stored.path, stored.pixels)
            return Part(media.OCTETS, chunks, stored.pixels.length, url)
        if path == PIXEL_DATA and stored.has_pixels:
            raise NotFound("the pixel data is compressed; ask for its frames, at …/frames/1")
        try:
            element = dicom_json.element_at(stored.header, path)
        except ValueError as error:
            raise BadQuery("bulkdata: this is no path; allowed: tag, or tag/item/tag and so on") from error
        if element is None or not isinstance(element.value, bytes):
            raise NotFound("the instance has no binary value there")
        value = element.value
        return Part(media.OCTETS, lambda: [value], len(value), url)

    def _answer(self, request: Request, *uids: str) -> Response:
        media_type = media.check(request, *_TYPES)
        held = self._rooms.holdings.held(*uids)
        base = self._rooms.base_url(request)
        # what is not usable is an error and not a broken answer, but for very long ones
        at_once = b",".join(self._metadata(each, base) for each in held[:_AT_ONCE])

        def body() -> Iterator[bytes]:
            yield b"[" + at_once
            for each in held[_AT_ONCE:]:
                yield b"," + self._metadata(each, base)
            yield b"]"

        return StreamingResponse(body(), media_type=media_type)

    def _metadata(self, held: Held, base: str) -> bytes:
        stored = self._rooms.holdings.opened(held)
        url = _url(base, held)
        found: dict[str, Any] = dicom_json.attributes(stored.header, lambda path: f"{url}/bulkdata/{path}")
        if stored.has_pixels:
            found[PIXEL_DATA] = {"vr": stored.vr, "BulkDataURI": f"{url}/bulkdata/{PIXEL_DATA}"}
        found["00083002"] = {"vr": "UI", "Value": [stored.transfer_syntax_uid]}  # Available Transfer Syntax UID
        return dicom_json.encoded(found)


def _url(base: str, held: Held) -> str:
    return (
        f"{base}/studies/{held.study_instance_uid}/series/{held.series_instance_uid}/instances/{held.sop_instance_uid}"
    )

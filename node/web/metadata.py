"""WADO-RS metadata (PS3.18 10.4.1.1.2); the bulk data that it names: `bulk`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from node import dicom_json
from node.stored_file import PIXEL_DATA
from node.web import media, routes, validators
from node.web.rooms import Rooms, url_of
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

    def _answer(self, request: Request, *uids: str) -> Response:
        media_type = media.check(request, *_TYPES)
        held = self._rooms.holdings.held(*uids)
        base = self._rooms.base_url(request)
        return validators.of_files(request, base, held, lambda: self._made(held, base, media_type))

    def _made(self, held: Sequence[Held], base: str, media_type: str) -> Response:
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
        url = url_of(base, held)
        found: dict[str, Any] = dicom_json.attributes(stored.header, lambda path: f"{url}/bulkdata/{path}")
        if stored.has_pixels:
            found[PIXEL_DATA] = {"vr": stored.vr, "BulkDataURI": f"{url}/bulkdata/{PIXEL_DATA}"}
        found["00083002"] = {"vr": "UI", "Value": [stored.transfer_syntax_uid]}  # Available Transfer Syntax UID
        return dicom_json.encoded(found)

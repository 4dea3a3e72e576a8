"""WADO-RS: instances and frames as pictures, and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from fastapi import APIRouter, Request, Response

from node.errors import BadQuery, NotFound
from node.stored_file import StoredFile, frame_numbers
from node.web import answers, media, routes, validators
from node.web.answers import Part
from node.web.media import Accepted
from node.web.rooms import Rooms, url_of
from node.web.wanted import PictureWanted
from storage.records import Held

#: Media types of pictures.
TYPES = ("image/jpeg", "image/png", "image/gif")
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_THUMBNAIL = (256, 256)
_LARGEST = 8192


class Rendered:
    """Pictures of what is stored."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """The routes."""
        return routes.router(
            "WADO-RS",
            {
                routes.STUDY + "/rendered": self.study,
                routes.SERIES + "/rendered": self.series,
                routes.INSTANCE + "/rendered": self.instance,
                routes.INSTANCE + "/frames/{frames}/rendered": self.frames,
                routes.STUDY + "/thumbnail": self.thumbnail_of_study,
                routes.SERIES + "/thumbnail": self.thumbnail_of_series,
                routes.INSTANCE + "/thumbnail": self.thumbnail_of_instance,
                routes.INSTANCE + "/frames/{frames}/thumbnail": self.thumbnail_of_frame,
            },
        )

    def study(self, request: Request, study: str) -> Response:
        """A study's images as pictures, frame by frame."""
        return self._pictures(request, (study,))

    def series(self, request: Request, study: str, series: str) -> Response:
        """A series' images as pictures, frame by frame."""
        return self._pictures(request, (study, series))

    def instance(self, request: Request, study: str, series: str, instance: str) -> Response:
        """The instance's first frame as a picture, or all of them as multipart."""
        return self._pictures(request, (study, series, instance))

    def frames(self, request: Request, study: str, series: str, instance: str, frames: str) -> Response:
        """Frames as pictures, by number, from 1, separated by commas."""
        return self._pictures(request, (study, series, instance), frame_numbers(frames))

    def thumbnail_of_study(self, request: Request, study: str) -> Response:
        """A small picture of a study's first image."""
        return self._thumbnail(request, (study,))

    def thumbnail_of_series(self, request: Request, study: str, series: str) -> Response:
        """A small picture of a series' first image."""
        return self._thumbnail(request, (study, series))

    def thumbnail_of_instance(self, request: Request, study: str, series: str, instance: str) -> Response:
        """A small picture of the instance's first frame."""
        return self._thumbnail(request, (study, series, instance))

    def thumbnail_of_frame(self, request: Request, study: str, series: str, instance: str, frames: str) -> Response:
        """A small picture of one frame."""
        return self._thumbnail(request, (study, series, instance), _one(frames))

    # ---------------------------------------------------------------- inside

    def _pictures(self, request: Request, uids: Sequence[str], numbers: Sequence[int] = ()) -> Response:
        held = self._rooms.holdings.held(*uids)
        base = self._rooms.base_url(request)
        one = len(held) == 1 and len(numbers) < 2
        return validators.of_files(request, base, held, lambda: self._shown(request, base, held, numbers, one=one))

    def _shown(
        self, request: Request, base: str, held: Sequence[Held], numbers: Sequence[int], *, one: bool
    ) -> Response:
        """one: what is asked for is one picture, where only one is accepted."""
        accepted, media_type = _chosen(request, one=one)
        wanted = list(self._wanted(request, base, held, media_type, numbers))
        if not wanted:
            raise NotFound("there is no image in it, so there is no picture of it")
        if not accepted.multipart and one:
            return self._made(wanted[0][0])
        first = self._rooms.decoders.picture(wanted[0][0])  # what cannot be decoded is an error and no broken answer
        parts = [Part(media_type, lambda: first, first.size, wanted[0][1])]
        for each, location in wanted[1:]:
            parts.append(Part(media_type, partial(self._rooms.decoders.picture, each), None, location))
        return answers.multipart(parts, media_type)

    def _wanted(
        self, request: Request, base: str, held: Sequence[Held], media_type: str, numbers: Sequence[int]
    ) -> Iterator[tuple[PictureWanted, str]]:
        """Every picture, and where it is by itself. numbers: of the frames; none for all of them."""
        query = request.query_params
        window, quality = _window(query.get("window")), _quality(query.get("quality"))
        for each in held:
            stored = self._rooms.holdings.opened(each)
            if not (stored.has_pixels or numbers):
                continue
            size, region = _viewport(query.get("viewport"), stored)
            for number in numbers or range(1, stored.frames + 1):
                stored.check_frame(number)
                wanted = PictureWanted(
                    path=stored.path,
                    number=number,
                    media_type=media_type,
                    window=window,
                    size=size,
                    region=region,
                    quality=quality,
                )
                yield wanted, f"{url_of(base, each)}/frames/{number}/rendered"

    def _thumbnail(self, request: Request, uids: Sequence[str], number: int = 1) -> Response:
        media_type = media.check(request, *TYPES)
        held = self._rooms.holdings.held(*uids)

        def make() -> Response:
            stored = self._image(held)
            stored.check_frame(number)
            size, _ = _viewport(request.query_params.get("viewport"), stored)
            return self._made(
                PictureWanted(path=stored.path, number=number, media_type=media_type, size=size or _THUMBNAIL)
            )

        return validators.of_files(request, self._rooms.base_url(request), held, make)

    def _made(self, wanted: PictureWanted) -> Response:
        return Response(b"".join(self._rooms.decoders.picture(wanted)), media_type=wanted.media_type)

    def _image(self, held: Sequence[Held]) -> StoredFile:
        """The first image of what is named."""
        for each in held:
            stored = self._rooms.holdings.opened(each)
            if stored.has_pixels:
                return stored
        raise NotFound("there is no image in it, so there is no picture of it")


def _chosen(request: Request, *, one: bool) -> tuple[Accepted, str]:
    """What is accepted, and the media type of the picture or of the pictures. Raises NotAcceptable."""
    for accepted in media.accepted(request):
        for media_type in TYPES:
            if accepted.takes(media_type) and (accepted.several or one):
                return accepted, media_type
    multipart = [f'{media.MULTIPART}; type="{each}"' for each in TYPES]
    raise media.refused(*(TYPES if one else ()), *multipart)


def _one(frames: str) -> int:
    numbers = frame_numbers(frames)
    if len(numbers) > 1:
        raise BadQuery("frames: several are not allowed; allowed: one frame for a thumbnail")
    return numbers[0]


def _quality(text: str | None) -> int:
    if text is None:
        return 90
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 1 <= int(text) <= 100:
        raise BadQuery(f"quality: value '{text[:20]}' is not allowed; allowed: a number from 1 to 100")
    return int(text)


def _window(text: str | None) -> tuple[float, float, str] | None:
    """centre,width,function (PS3.18 8.3.5.1.3)."""
    if text is None:
        return None
    parts = text.split(",")
    numbers = _numbers(parts[:2])
    function = _FUNCTIONS.get(parts[2].lower() if len(parts) > 2 else "linear")
    if len(parts) > 3 or len(numbers) != 2 or function is None or numbers[1] < (1 if function == "LINEAR" else 1e-6):
        allowed = f"centre,width,function with a width of 1 or more and one of {', '.join(_FUNCTIONS)}"
        raise BadQuery(f"window: value '{text[:60]}' is not allowed; allowed: {allowed}")
    return numbers[0], numbers[1], function


def _viewport(
    text: str | None, stored: StoredFile
) -> tuple[tuple[int, int] | None, tuple[float, float, float, float] | None]:
    """width,height or width,height,left,top,width,height, of which the last four may be empty (PS3.18 8.3.5.1.4)."""
    if text is None:
        return None, None
    parts = [part.strip() for part in text.split(",")]
    size = _numbers(parts[:2])
    if len(parts) not in (2, 6) or len(size) != 2 or not all(1 <= each <= _LARGEST for each in size):
        allowed = f"width,height from 1 to {_LARGEST}, and then none or left,top,width,height of the region"
        raise BadQuery(f"viewport: value '{text[:80]}' is not allowed; allowed: {allowed}")
    whole = (int(size[0]), int(size[1]))
    return whole, _region(parts[2:], stored) if len(parts) == 6 else None


def _region(parts: Sequence[str], stored: StoredFile) -> tuple[float, float, float, float]:
    rows, columns = int(stored.header.Rows), int(stored.header.Columns)
    defaults = ("0", "0", str(columns), str(rows))
    numbers = _numbers([part or default for part, default in zip(parts, defaults, strict=True)])
    if len(numbers) == 4:
        left, top, width, height = numbers
        if 0 <= left < left + abs(width) <= columns and 0 <= top < top + abs(height) <= rows:
            return left, top, width, height
    allowed = f"left,top,width,height within {columns} × {rows}; a negative width or height mirrors it"
    raise BadQuery(f"viewport: this region is not allowed; allowed: {allowed}")


def _numbers(parts: Sequence[str]) -> list[float]:
    """Those that are numbers, of which none is infinite."""
    return [float(part) for part in parts if re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", part.strip(), re.ASCII)]

"""What goes back: JSON, errors with a body that explains, multipart bodies that stream."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from node.dicom_json import encoded
from node.errors import NotUsable
from node.stored_file import Place

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body. length: its bytes, None where that is known only when they are made."""

    content_type: str
    chunks: Callable[[], Iterable[bytes]]
    length: int | None = None
    location: str = ""

    @property
    def head(self) -> bytes:
        """The part's header fields and the empty line after them."""
        lines = [f"Content-Type: {self.content_type}"]
        if self.length is not None:
            lines.append(f"Content-Length: {self.length}")
        if self.location:
            lines.append(f"Content-Location: {self.location}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def dicom_json(content: Any, media_type: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """DICOM JSON as the body, called by the name that was asked for."""
    return Response(encoded(content), status, headers, media_type)


def problem(status: int, error: str) -> Response:
    """An error as the body: {"error": what is wrong and what is allowed}."""
    return Response(encoded({"error": error}), status, media_type="application/json")


def multipart(parts: Sequence[Part], media_type: str) -> Response:
    """The parts as one multipart/related body, streamed; its length is said where every part's is known."""
    boundary = secrets.token_hex(16)
    content_type = f'multipart/related; type="{media_type}"; boundary={boundary}'
    headers = {}
    if all(part.length is not None for part in parts):
        separators = sum(len(_separator(boundary)) + len(part.head) + len(b"\r\n") for part in parts)
        length = separators + sum(part.length or 0 for part in parts) + len(_end(boundary))
        headers["Content-Length"] = str(length)
    return StreamingResponse(_body(parts, boundary), 200, headers, content_type)


def single(part: Part) -> Response:
    """The part alone as the body."""
    headers = {"Content-Length": str(part.length)} if part.length is not None else {}
    return StreamingResponse(iter(part.chunks()), 200, headers, part.content_type)


def _separator(boundary: str) -> bytes:
    return f"--{boundary}\r\n".encode()


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()


def _body(parts: Sequence[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield _separator(boundary) + part.head
        yield from part.chunks()
        yield b"\r\n"
    yield _end(boundary)


def of_file(path: Path, place: Place) -> Callable[[], Iterator[bytes]]:
    """A place of a file, read as it is sent. A file that ends too soon breaks the connection instead of the data."""

    def chunks() -> Iterator[bytes]:
        left = place.length
        with path.open("rb") as file:
            file.seek(place.offset)
            while left:
                chunk = file.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    raise NotUsable("a file became shorter while it was sent")
                left -= len(chunk)
                yield chunk

    return chunks

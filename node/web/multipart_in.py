"""A multipart/related request body, taken apart as it comes; each part is kept in a file, not in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from node.errors import BadQuery, TooLarge, UnsupportedMediaType


def boundary_of(content_type: str, part_type: str) -> str:
    """The boundary of a multipart/related body with parts of `part_type`. Raises UnsupportedMediaType, BadQuery."""
    message = Message()
    message["Content-Type"] = content_type
    parts = str(message.get_param("type", part_type)).lower()
    if message.get_content_type() != "multipart/related" or parts != part_type:
        raise UnsupportedMediaType(
            f"Content-Type: this is not taken; allowed: multipart/related; type={part_type} with whole instances "
            "(metadata with separate bulk data is not taken)"
        )
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70:
        raise BadQuery("Content-Type: boundary is missing or longer than 70 characters")
    return boundary


class Parts:
    """Feed it the body; `each(file)` is called with every part that is complete.

    The file is at its start, and gone when `each` returns.
    """

    def __init__(self, boundary: str, folder: Path, largest: int, each: Callable[[IO[bytes]], None]) -> None:
        self._folder = folder
        self._largest = largest
        self._each = each
        self._file: IO[bytes] | None = None
        self._size = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary.encode("latin-1", "replace"),
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        """More of the body. Raises BadQuery when it is not multipart, TooLarge for a part beyond the limit."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadQuery("the body is not multipart as its Content-Type says; see its boundary") from error

    def finish(self) -> None:
        """The body has ended. Raises BadQuery when it ended in the middle."""
        if not self._ended:
            raise BadQuery("the body ended before the last boundary")

    def close(self) -> None:
        """Drop what is half there."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # ---------------------------------------------------------------- what the parser says

    def _begin(self) -> None:
        self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  closed when the part or the body ends
        self._size = 0

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            return
        self._size += end - start
        if self._size > self._largest:
            raise TooLarge(f"a part has more than network.max_object_bytes, {self._largest} bytes")
        self._file.write(memoryview(data)[start:end])

    def _part_end(self) -> None:
        if self._file is not None:
            self._file.flush()
            self._file.seek(0)
            self._each(self._file)
        self.close()

    def _end(self) -> None:
        self._ended = True

"""A data set on its way in: its bytes go into the object store as they come, however the instance is judged later."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from node.errors import NodeError, OutOfResources
from storage.objects import NewObject, ObjectStore

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_CHECK_EVERY_BYTES = 16 * 1024 * 1024


class Arriving(io.BytesIO):
    """Written to as bytes come; it does not raise. What went wrong is kept for the answer, and the rest let pass.

    A BytesIO only because pynetdicom takes nothing else for a data set; no byte is kept in it.
    check(size): raises the NodeError that ends it, before anything is written and as it grows.
    """

    def __init__(self, store: ObjectStore, prefix: bytes, check: Callable[[int], None]) -> None:
        super().__init__()
        self._prefix_bytes = len(prefix)
        self._check = check
        self._size = 0
        self._unchecked = 0
        self._error: NodeError | None = None
        self._file: NewObject | None = None
        try:
            check(0)
            self._file = store.begin()
            self._file.write(prefix)
        except (NodeError, OSError) as error:
            self._fail(error)

    def write(self, data: ReadableBuffer, /) -> int:
        """More of the data set."""
        data = memoryview(data)
        if self._file is None:
            return len(data)
        self._size += len(data)
        self._unchecked += len(data)
        try:
            self._file.write(data)
            if self._unchecked >= _CHECK_EVERY_BYTES:
                self._check(self._size)
                self._unchecked = 0
        except (NodeError, OSError) as error:
            self._fail(error)
        return len(data)

    def whole(self) -> tuple[NewObject, memoryview]:
        """All of it came: the file, and the data set in it. Raises NodeError: why it cannot be taken."""
        if self._error is not None:
            raise self._error
        if self._file is None:
            raise OutOfResources("the data set was given up")
        try:
            self._file.finish()
            return self._file, memoryview(self._file.view())[self._prefix_bytes :]
        except OSError as error:
            raise _out_of_resources(error) from error

    def discard(self) -> None:
        """Close it; gone, unless it was committed."""
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _fail(self, error: NodeError | OSError) -> None:
        self._error = error if isinstance(error, NodeError) else _out_of_resources(error)
        self.discard()


def received(data: io.BytesIO) -> tuple[NewObject | None, memoryview]:
    """The file (if it is in one) and the bytes of a data set that came. Raises NodeError."""
    return data.whole() if isinstance(data, Arriving) else (None, data.getbuffer())


def _out_of_resources(error: OSError) -> OutOfResources:
    return OutOfResources(f"the object folder refused the file: {error.strerror or error}")

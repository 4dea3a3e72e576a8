"""Is there room for one more object? The answer comes before the disk is full, not from it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from node import holdings
from node.config import Config
from node.errors import OutOfResources
from storage.index import Index
from storage.objects import ObjectStore

_COUNTED_AGAIN_AFTER_S = 10.0


class Room:
    """Watermark and quota. The quota is counted by the database now and then, and what came since is added to it."""

    def __init__(self, config: Config, index: Index, store: ObjectStore) -> None:
        self._storage = config.storage
        self._index = index
        self._store = store
        self._database = holdings.database_file(config)
        self._lock = threading.Lock()
        self._kept, self._counted_at = 0, float("-inf")

    def take(self, size_bytes: int, *, written: bool = False) -> None:
        """Take `size_bytes` of the room there is. Raises OutOfResources with what to do, DatabaseUnavailable.

        written: they are on the disk already.
        """
        self._check_disks(0 if written else size_bytes)
        if self._storage.maximum_bytes is None:
            return
        with self._lock:
            if time.monotonic() - self._counted_at > _COUNTED_AGAIN_AFTER_S:
                self._kept, self._counted_at = self._index.tallies.kept_bytes(), time.monotonic()
            self._check_quota(size_bytes)
            self._kept += size_bytes

    def look(self, size_bytes: int) -> None:
        """Whether what is written at this moment may go on, `size_bytes` of it so far: without the database.

        Raises OutOfResources.
        """
        self._check_disks(0)
        self._check_quota(size_bytes)

    def _check_quota(self, size_bytes: int) -> None:
        most = self._storage.maximum_bytes
        if most is not None and self._kept + size_bytes > most:
            raise OutOfResources(
                f"{self._kept} bytes are kept and storage.maximum_bytes allows {most}: raise it, or keep less"
            )

    def _check_disks(self, size_bytes: int) -> None:
        needed = self._storage.minimum_free_bytes + size_bytes
        for where, free in (("object folder", self._store.free_bytes()), ("database", self._database_free())):
            if free is not None and free < needed:
                raise OutOfResources(
                    f"{where}: {free} bytes are free and storage.minimum_free_bytes asks for {needed}: make room"
                )

    def _database_free(self) -> int | None:
        return holdings.free_bytes(Path(self._database).parent) if self._database is not None else None

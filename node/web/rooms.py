"""What the web pages and services work with."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from node import logs
from node.audit.auditor import Auditor
from node.books import Books
from node.errors import BadQuery, NotFound, NotUsable
from node.health import Health
from node.intake import Intake
from node.metrics import Metrics
from node.settings import WebSettings
from node.stored_file import StoredFile, opened
from node.ups.subscribing import Subscribing
from node.ups.worklist import UnifiedWorklist
from node.web.decoders import Decoders
from node.web.gate import Door
from storage.catalogue import Catalogue
from storage.database import Database
from storage.objects import AlteredObject, ObjectStore, is_valid_uid
from storage.records import Held

log = logs.get(__name__)

_REMEMBERED = 100_000  # files known to be as they were written
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAMES = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class Holdings:
    """The files that can be given out, each known to be what was stored before a byte of it goes out."""

    def __init__(self, catalogue: Catalogue, store: ObjectStore) -> None:
        self.catalogue = catalogue
        self._store = store
        self._lock = threading.Lock()
        self._verified: OrderedDict[str, tuple[int, int, int]] = OrderedDict()

    @property
    def incoming(self) -> Path:
        """Folder for what is on its way in."""
        return self._store.incoming

    def held(self, *uids: str) -> list[Held]:
        """The files of a study, series or instance. Raises BadQuery (no UID), NotFound."""
        check_uids(*uids)
        found = self.catalogue.held(*uids)
        if not found:
            raise NotFound(f"there is no such {('study', 'series', 'instance')[len(uids) - 1]} here")
        return found

    def whole(self, held: Held) -> Path:
        """The file, read through once and found to be what was stored. Raises NotUsable."""
        path = self.sized(held)
        seen = path.stat()
        stamp = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
        with self._lock:
            known = self._verified.get(held.path) == stamp
        if not known:
            try:
                self._store.verify(held.path, held.sha256)
            except AlteredObject as error:
                raise _not_usable(held, str(error)) from error
            self._remember(held.path, stamp)
        return path

    def sized(self, held: Held) -> Path:
        """The file, there and of the size that was stored. Raises NotUsable."""
        path = self._store.path(held.path)
        try:
            size = path.stat().st_size
        except FileNotFoundError as error:
            raise _not_usable(held, "its file is missing") from error
        if size != held.size_bytes:
            raise _not_usable(held, f"its file has {size} bytes and not {held.size_bytes}")
        return path

    def opened(self, held: Held) -> StoredFile:
        """The file's header. One of a single frame is verified whole, a larger one by its size: see docs/design.md."""
        stored = opened(self.sized(held))
        if stored.frames == 1:
            self.whole(held)
        return stored

    def _remember(self, path: str, stamp: tuple[int, int, int]) -> None:
        with self._lock:
            self._verified[path] = stamp
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The collaborators of the routes."""

    settings: WebSettings
    holdings: Holdings
    decoders: Decoders
    intake: Intake
    database: Database
    maximum_object_bytes: int
    health: Health
    metrics: Metrics
    books: Books
    door: Door
    audit: Auditor
    work: UnifiedWorklist
    subscribing: Subscribing
    name: str = "mammo-node"

    def is_called(self, request: HTTPConnection) -> bool:
        """Whether the request's Host is one of this node's. On loopback that keeps out pages from elsewhere whose

        name was made to lead to this machine; beyond loopback a node has whatever names it is given.
        """
        known = {*LOOPBACK, self.settings.host, urlsplit(self.settings.public_url or "").hostname}
        try:
            # from the header itself: what cannot be a host would be replaced by ours in `request.url`
            called = urlsplit(f"//{request.headers.get('host', '')}").hostname
            return self.settings.host not in LOOPBACK or called in known - {None}
        except ValueError:  # no host at all, by how it is written
            return False

    def base_url(self, request: HTTPConnection) -> str:
        """Where DICOMweb begins, as the asker sees this node."""
        if self.settings.public_url is not None:
            return self.settings.public_url
        url = request.url
        server = request.scope.get("server")
        if url.port is None and url.hostname in LOOPBACK and server and server[1] != 80:
            url = url.replace(port=server[1])  # some clients leave the port out of Host
        return f"{url.scheme}://{url.netloc}{self.settings.path}"


def check_uids(*uids: str) -> None:
    """Raises BadQuery when one of a study's, series' and instance's UIDs is none."""
    for name, uid in zip(_NAMES, uids, strict=False):
        if not is_valid_uid(uid):
            raise BadQuery(f"{name}: this is not a UID (PS3.5 9.1)")


def url_of(base: str, held: Held) -> str:
    """Where the instance is, below `base`."""
    return (
        f"{base}/studies/{held.study_instance_uid}/series/{held.series_instance_uid}/instances/{held.sop_instance_uid}"
    )


def _not_usable(held: Held, why: str) -> NotUsable:
    log.error("stored object not usable", sop=held.sop_instance_uid, study=held.study_instance_uid, problem=why)
    return NotUsable(f"instance {held.sop_instance_uid} is not what was stored: {why}; nothing of it is given out")

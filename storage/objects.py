"""Write-once object files: temp, fsync, rename, fsync of the folder. A file that can be seen is whole.

The name holds the content's sha256, so two contents never share a name; which one counts is the index's word.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

# PS3.5 9.1: components of digits without leading zeros, separated by dots, at most 64 characters.
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")

_LARGE = 4 * 1024 * 1024  # bytes that are worth the work of another thread
_BLOCK = 256 * 1024
_BESIDE = ThreadPoolExecutor(32, "new object")
_FAN_OUT = re.compile(r"[0-9a-f]{2}")


def is_valid_uid(uid: str) -> bool:
    """Whether `uid` follows PS3.5 9.1. Only such a UID may name a path."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is on disk: path relative to the store's folder, sha256 in hex, bytes."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that is there: its size, and for how long it has been as it is."""

    size_bytes: int
    age_s: float


class AlteredObject(OSError):
    """A stored file is missing or its bytes are not those that were written."""


class ObjectStore:
    """Object files below one folder, on one file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        #: What the names of this store's unfinished files begin with; no other store anywhere has the same.
        self.writer = uuid.uuid4().hex

    def put(self, chunks: Iterable[bytes | memoryview], *, study_instance_uid: str, name: str, suffix: str) -> Written:
        """Write `chunks` as `<study>/<name>-<sha256 start><suffix>`, durable on return.

        Raises ValueError for a UID or name that may not name a path; OSError when the disk refuses (nothing is left).
        """
        new = self.begin()
        try:
            for chunk in chunks:
                new.write(chunk)
            return new.commit(study_instance_uid=study_instance_uid, name=name, suffix=suffix)
        finally:
            new.discard()

    def begin(self) -> NewObject:
        """A new object, to be written as its bytes come. Raises OSError."""
        return NewObject(self._folder, self.temporary(), self._published)

    def temporary(self) -> tuple[int, str]:
        """A new file on its way in: its descriptor and its path. Raises OSError."""
        return tempfile.mkstemp(dir=self._incoming, prefix=f"{self.writer}-")

    def path(self, relative: str) -> Path:
        """The full path of a stored file."""
        return self._folder / relative

    def read(self, relative: str, sha256: str) -> bytes:
        """A stored file's bytes. Raises AlteredObject when they are missing or not what was written."""
        try:
            content = self.path(relative).read_bytes()
        except FileNotFoundError as error:
            raise AlteredObject(f"{relative} is missing") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AlteredObject(f"{relative} was altered: its sha256 is not the one recorded when it was written")
        return content

    def verify(self, relative: str, sha256: str) -> None:
        """Raises AlteredObject when the file is missing or altered."""
        try:
            with self.path(relative).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise AlteredObject(f"{relative} is missing") from error
        if found != sha256:
            raise AlteredObject(f"{relative} was altered: its sha256 is not the one recorded when it was written")

    def remove(self, relative: str) -> None:
        """Remove a file that no row names any more, and its folder when that is empty."""
        path = self.path(relative)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def studies(self) -> Iterator[str]:
        """The studies that have files, whether or not any row names them."""
        for fan_out in sorted(each for each in self._folder.iterdir() if _FAN_OUT.fullmatch(each.name)):
            yield from sorted(each.name for each in fan_out.iterdir())

    def listed(self, study_instance_uid: str) -> dict[str, Listed]:
        """Path → size and age of each file of a study."""
        folder, found = self._folder / relative_path(study_instance_uid, ""), {}
        if folder.is_dir():
            for each in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):  # it went meanwhile
                    status = each.stat()
                    path = relative_path(study_instance_uid, each.name)
                    found[path] = Listed(status.st_size, max(0.0, time.time() - status.st_mtime))
        return found

    @property
    def incoming(self) -> Path:
        """Folder for what is on its way in; what dead processes left there is removed."""
        return self._incoming

    def free_bytes(self) -> int:
        """Free space of the store's file system."""
        return shutil.disk_usage(self._folder).free

    def clear_incoming(self, living: Collection[str] = (), older_than_s: float = 0.0) -> int:
        """Remove what processes left half-written; its senders were never told success. Returns how many files.

        living: the `writer` of each store that may still write; theirs stay. older_than_s: so do those that were
        written to since, by the clock of whatever keeps the folder.
        """
        handle, mine = self.temporary()
        try:
            now, removed = os.fstat(handle).st_mtime, 0
            for path in self._incoming.iterdir():
                if str(path) == mine or path.name.partition("-")[0] in living:
                    continue
                with contextlib.suppress(FileNotFoundError):  # it went meanwhile
                    if now - path.stat().st_mtime >= older_than_s:
                        path.unlink()
                        removed += 1
            return removed
        finally:
            os.close(handle)
            Path(mine).unlink(missing_ok=True)

    def trim(self) -> int:
        """Remove copies that need not be here; returns how many. A folder's files are no copies."""
        return 0

    def _published(self, written: Written) -> None:
        """What a file here needs before it counts as written; in a folder it is nothing. Raises OSError."""


class NewObject:
    """A file on its way into the store. Whatever happens, `discard` closes it; what was not committed is gone then.

    What takes time beside the bytes' coming is done meanwhile by other threads: the digest, and the way to the disk.
    """

    def __init__(self, folder: Path, temporary_file: tuple[int, str], published: Callable[[Written], None]) -> None:
        """published: called with the file in its place, before `commit` returns; what it raises `commit` raises."""
        handle, temporary = temporary_file
        self._folder = folder
        self._published = published
        self._temporary = Path(temporary)
        self._file = os.fdopen(handle, "w+b")
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._digested = 0  # bytes
        self._following: Future[None] | None = None
        self._synced: Future[None] | None = None

    def write(self, chunk: bytes | memoryview) -> None:
        """More of it. Raises OSError when the disk refuses."""
        self._file.write(chunk)
        self._size_bytes += len(chunk)
        is_free = self._following is None or self._following.done()
        if is_free and self._size_bytes - self._digested >= _LARGE:
            self._file.flush()
            self._following = _BESIDE.submit(self._follow, self._size_bytes)

    def finish(self) -> None:
        """Nothing more will be written; it begins to become durable. Raises OSError when the disk refuses."""
        self._file.flush()
        if self._synced is None:
            self._synced = _BESIDE.submit(os.fsync, self._file.fileno())

    def view(self) -> mmap.mmap:
        """What was written so far, mapped and not read. Raises OSError."""
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def commit(self, *, study_instance_uid: str, name: str, suffix: str) -> Written:
        """Make it `<study>/<name>-<sha256 start><suffix>`, durable on return.

        Raises ValueError for a UID or name that may not name a path; OSError when the disk refuses.
        """
        for part in (study_instance_uid, name):
            if not is_valid_uid(part):
                raise ValueError(f"'{part[:80]}' is not a UID (PS3.5 9.1) and may not name a file")
        self.finish()
        sha256 = self._sha256()
        relative = relative_path(study_instance_uid, f"{name}-{sha256[:16]}{suffix}")
        if self._synced is not None:
            self._synced.result()
        _publish(self._temporary, self._folder / relative)
        written = Written(relative, sha256, self._size_bytes)
        self._published(written)
        return written

    def discard(self) -> None:
        """Close it, and remove it unless it was committed."""
        wait([each for each in (self._following, self._synced) if each is not None])  # they use the descriptor
        with contextlib.suppress(OSError):  # of what a full disk did not take
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _sha256(self) -> str:
        if self._following is not None:
            self._following.result()
        self._digest_to(self._size_bytes)
        return self._digest.hexdigest()

    def _follow(self, end: int) -> None:
        """The digest up to there; the disk begins to write it, so that there is less to wait for at the end."""
        begin = self._digested
        self._digest_to(end)
        os.posix_fadvise(self._file.fileno(), begin, end - begin, os.POSIX_FADV_DONTNEED)

    def _digest_to(self, end: int) -> None:
        block = memoryview(bytearray(min(_BLOCK, end - self._digested)))
        while self._digested < end:
            count = os.preadv(self._file.fileno(), [block[: end - self._digested]], self._digested)
            if not count:
                raise OSError("the file is shorter than what was written")
            self._digest.update(block[:count])
            self._digested += count


def relative_path(study_instance_uid: str, filename: str) -> str:
    """Where a study's file is, below the store's folder."""
    fan_out = hashlib.sha256(study_instance_uid.encode()).hexdigest()[:2]
    return f"{fan_out}/{study_instance_uid}/{filename}"


def _publish(temporary: Path, final: Path) -> None:
    new_folders = [folder for folder in (final.parent.parent, final.parent) if not folder.exists()]
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(final)
    _fsync_folder(final.parent)
    for folder in new_folders:
        _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

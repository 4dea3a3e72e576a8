"""Object files in an S3-compatible store, for hosts that share no folder. What a host uses it keeps a copy of.

The store is the truth: a file counts as written when the store has answered, and a copy is fetched when it is not
here. Copies are write-once as the objects are, so they are never out of date.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from storage.objects import Listed, ObjectStore, Written, relative_path

#: A copy that was fetched this lately may be about to be opened.
_IN_USE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where the store is. The keys are those of the environment, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""

    name: str
    endpoint: str
    region: str
    copies_bytes: int


class BucketStore(ObjectStore):
    """The store's objects, with copies below one folder of this host."""

    def __init__(self, folder: Path, bucket: Bucket) -> None:
        super().__init__(folder)
        self._copies_bytes = bucket.copies_bytes
        self._bucket = S3Store(
            bucket.name,
            endpoint=bucket.endpoint,
            region=bucket.region,
            virtual_hosted_style_request=False,
            client_options={
                "connect_timeout": "5s",
                "timeout": "120s",
                "allow_http": bucket.endpoint.startswith("http://"),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=15)},
        )

    def path(self, relative: str) -> Path:
        """The full path of a copy, fetched when it is not here; no file is at it when the store has no such object.

        Raises OSError when the store cannot be reached.
        """
        final = super().path(relative)
        if not final.exists():
            with contextlib.suppress(FileNotFoundError):
                self._fetch(relative, final)
        return final

    def remove(self, relative: str) -> None:
        """Remove an object, and the copy of it. Raises OSError when the store cannot be reached."""
        try:
            with contextlib.suppress(FileNotFoundError):
                obstore.delete(self._bucket, relative)
        except BaseError as error:
            raise _refused(error) from error
        super().remove(relative)

    def studies(self) -> Iterator[str]:
        """See `ObjectStore`."""
        last = ""
        for path, _ in self._listing(""):
            study = path.split("/")[1]
            if study != last:
                yield study
            last = study

    def listed(self, study_instance_uid: str) -> dict[str, Listed]:
        """See `ObjectStore`."""
        return dict(self._listing(relative_path(study_instance_uid, "")))

    def trim(self) -> int:
        """Remove copies, those fetched first, until they are few enough; returns how many. The store keeps all."""
        files = sorted((each.stat().st_mtime, each.stat().st_size, each) for each in self._copies())
        kept, removed = sum(size for _, size, _ in files), 0
        for fetched, size, path in files:
            if kept <= self._copies_bytes or time.time() - fetched < _IN_USE_S:
                break
            path.unlink(missing_ok=True)
            kept, removed = kept - size, removed + 1
        return removed

    def _published(self, written: Written) -> None:
        """The store has the object on return. Raises OSError when it does not take it; then it is not here either."""
        try:
            obstore.put(self._bucket, written.path, super().path(written.path))
        except BaseError as error:
            super().remove(written.path)
            raise _refused(error) from error

    def _copies(self) -> Iterator[Path]:
        for study in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            yield from study.iterdir()

    def _fetch(self, relative: str, final: Path) -> None:
        handle, temporary = self.temporary()
        try:
            with os.fdopen(handle, "wb") as file:
                for chunk in obstore.get(self._bucket, relative).stream():
                    file.write(chunk)
            final.parent.mkdir(parents=True, exist_ok=True)
            Path(temporary).replace(final)
        except BaseError as error:
            raise _refused(error) from error
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _listing(self, prefix: str) -> Iterator[tuple[str, Listed]]:
        now = datetime.now(UTC)
        try:
            for page in obstore.list(self._bucket, prefix=prefix or None):
                for each in page:
                    age_s = max(0.0, (now - each["last_modified"]).total_seconds())
                    yield str(each["path"]), Listed(int(each["size"]), age_s)
        except BaseError as error:
            raise _refused(error) from error


def _refused(error: Exception) -> OSError:
    return OSError(f"the object store: {type(error).__name__}: {error}")

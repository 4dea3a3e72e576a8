"""A real S3-compatible store of the test's own: SeaweedFS on loopback, with keys that it asks for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from node.simulator.pacs import free_port
from tests.support import absent, running, wait_until

BUCKET, KEY, SECRET = "mammograms", "the-key", "the-secret"


@dataclass(frozen=True)
class Store:
    """The running store; its bucket is there. settings: for `storage.bucket`."""

    endpoint: str

    @property
    def settings(self) -> dict[str, object]:
        return {"name": BUCKET, "endpoint": self.endpoint}

    @property
    def client(self) -> S3Store:
        """A way to it past the node's."""
        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def paths(self) -> list[str]:
        return sorted(str(each["path"]) for page in obstore.list(self.client) for each in page)


def _free_ports(count: int) -> list[int]:
    """The store uses each port's number plus 10,000 too."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


@contextmanager
def bucket_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store, with an empty bucket; its keys are in the environment for the length of the block."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.is_file():
        absent("SeaweedFS is not installed: make setup")
    rights = ["Admin", "Read", "Write", "List"]
    identity = {"name": "node", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": rights}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "weed").mkdir()
    master, volume, filer, s3 = _free_ports(4)
    options = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
    places = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'weed'}", f"-s3.config={folder / 's3.json'}"]
    sizes = ["-s3.autoCreateBucket", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    with running(weed, "server", "-s3", "-filer", *options, *places, *sizes) as server:
        store = Store(f"http://127.0.0.1:{s3}")
        wait_until(lambda: _takes(store), 60, f"the store to take an object:\n{server.output}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield store
        server.kill()  # asked to end, it takes ten seconds


def _takes(store: Store) -> bool:
    """Whether it takes an object; the first one makes the bucket."""
    try:
        obstore.put(store.client, "probe", b"1")
        obstore.delete(store.client, "probe")
    except (BaseError, OSError):
        return False
    return True

"""What a node stands on gives way: a full disk, a database locked or gone. The sender is told, and comes again."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from node.app import Node
from node.pipeline.durable import upgrade_engine
from node.room import Room
from storage.database import Database
from storage.index import Index
from storage.records import StudyState
from storage.schema import make_engine
from tests.support import running, wait_until
from tests.support_disk import SmallDisk, small_disk
from tests.support_exams import STUDY, exam, settings
from tests.support_postgres import postgres

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700


@contextmanager
def receiving(folder: Path, **storage: object) -> Iterator[Node]:
    """A node that receives, and keeps things where `storage` says."""
    kept = {"database_url": f"sqlite:///{folder}/node.sqlite", "object_folder": f"{folder}/objects", **storage}
    node = Node(settings(folder, storage={"minimum_free_bytes": 0, **kept}))
    node.database.create_schema()
    node.receiver.start()
    try:
        yield node
    finally:
        node.stop()


def sent(port: int) -> list[int]:
    """The statuses of an exam's four images, sent on one association; -1 where there was no answer."""
    images = exam()
    ae = AE("MODALITY")
    ae.dimse_timeout = 60
    ae.add_requested_context(images[0].SOPClassUID, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title="MAMMO_NODE")
    if not association.is_established:
        return [-1] * 4
    try:
        return [getattr(association.send_c_store(each), "Status", -1) for each in images]
    finally:
        association.release()


def kept_whole(node: Node) -> None:
    """Every image has its row and its file, and nothing half-written is left."""
    instances = node.index.instances(STUDY)
    assert len(instances) == 4
    for each in instances:
        node.store.verify(each.path, each.sha256)
    assert list(node.store.incoming.iterdir()) == []


FILLED: dict[str, Callable[[SmallDisk], None]] = {
    "no room for a file's first byte": lambda disk: disk.fill(0),
    "no room in the middle of a file": lambda disk: disk.fill(200_000),
    "no room for one more file": lambda disk: disk.use_up_files(0),
    "no room for the fan-out folder": lambda disk: disk.use_up_files(1),
    "no room for the study's folder": lambda disk: disk.use_up_files(2),
}


@pytest.mark.parametrize("filled", FILLED)
def test_a_full_disk_under_the_objects_is_0xa700_and_mends_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled: str
) -> None:
    with small_disk(tmp_path / "disk") as disk, receiving(tmp_path, object_folder=f"{disk.folder}/objects") as node:
        with monkeypatch.context() as patched:
            for sees_room in ("take", "look"):  # then somebody else took it
                patched.setattr(Room, sees_room, lambda *_, **__: None)
            FILLED[filled](disk)
            assert sent(node.receiver.port) == [OUT_OF_RESOURCES] * 4
        assert node.index.instances(STUDY) == []
        wait_until(lambda: not list(node.store.incoming.iterdir()), 10, "what was refused to leave nothing behind")
        disk.clear()
        assert sent(node.receiver.port) == [SUCCESS] * 4
        kept_whole(node)


def test_a_full_disk_under_the_database_is_0xa700_and_mends_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sees_room in ("take", "look"):
        monkeypatch.setattr(Room, sees_room, lambda *_, **__: None)
    url = f"sqlite:///{tmp_path / 'disk' / 'node.sqlite'}"
    with small_disk(tmp_path / "disk") as disk, receiving(tmp_path, database_url=url) as node:
        disk.fill(0)
        assert set(sent(node.receiver.port)) == {OUT_OF_RESOURCES}
        disk.clear()
        assert sent(node.receiver.port) == [SUCCESS] * 4
        kept_whole(node)


def test_the_watermark_refuses_before_either_disk_is_full(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'disk' / 'node.sqlite'}"
    with (
        small_disk(tmp_path / "disk") as disk,
        receiving(tmp_path, database_url=url, minimum_free_bytes=2_000_000) as node,
    ):
        assert sent(node.receiver.port) == [SUCCESS] * 4
        disk.fill(1_900_000)
        assert set(sent(node.receiver.port)) == {OUT_OF_RESOURCES}
        disk.clear()
        assert sent(node.receiver.port) == [SUCCESS] * 4, "the same images again change nothing"


def test_a_locked_database_makes_the_sender_wait(tmp_path: Path) -> None:
    with receiving(tmp_path) as node:
        other = sqlite3.connect(tmp_path / "node.sqlite", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(1.0, other.rollback)
        begun = time.monotonic()
        release.start()
        assert sent(node.receiver.port) == [SUCCESS] * 4
        assert time.monotonic() - begun >= 0.9
        release.join()
        other.close()
        kept_whole(node)


def config_on(folder: Path, url: str) -> Path:
    settings = {
        "node": {"port": 0},
        "storage": {"database_url": url, "object_folder": "objects", "minimum_free_bytes": 0},
        "destinations": {"results": {"type": "folder", "folder": "results", "results": ["measurement_sr"]}},
        "completeness": {"quiet_s": 2, "standard_views_grace_s": 0.1},
        "pipeline": {"heartbeat_s": 0.5, "takeover_s": 2},
        "reading": {"threads": 1},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_database_that_is_gone_is_0xa700_until_it_is_back_and_the_exam_is_answered_after_all(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with postgres(tmp_path) as server:
            config = config_on(tmp_path, server.new_database("node"))
            database = Database(make_engine(server.url("node")))
            stack.callback(database.engine.dispose)
            database.create_schema()
            upgrade_engine(database.engine)
            launcher = Path(__file__).with_name("node_under_test.py")
            node = stack.enter_context(running(sys.executable, launcher, config, until="serving ", timeout_s=90))
            port = int(node.wait_for_line("serving ").split()[1])
            assert sent(port) == [SUCCESS] * 4
        assert sent(port) == [OUT_OF_RESOURCES] * 4
        with postgres(tmp_path, port=server.port):
            wait_until(lambda: sent(port) == [SUCCESS] * 4, 60, f"it to take images without a hand:\n{node.output}")
            index = Index(database)
            wait_until(lambda: index.studies([StudyState.ANSWERED]), 90, f"an answer:\n{node.output}")
            assert len(index.instances(STUDY)) == 4
            assert len(list((tmp_path / "results").glob("*.dcm"))) == 1
            assert node.popen.poll() is None
            assert node.stop(15) == 0

"""Files in a real S3-compatible store: two hosts that share no folder work on the same exams, and faults are told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import obstore
import pytest

from node import sweeping
from node.app import Node
from node.config import Config
from node.errors import OutOfResources
from storage.bucket import Bucket, BucketStore
from storage.objects import AlteredObject
from storage.sweeps import Sweeps
from tests.support_bucket import BUCKET, Store, bucket_server
from tests.support_exams import STUDY, incoming, settings

NAME = f"{STUDY}.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with (
        pytest.MonkeyPatch.context() as environment,
        bucket_server(tmp_path_factory.mktemp("s3"), environment) as store,
    ):
        yield store


@pytest.fixture
def empty(server: Store) -> Store:
    for key in server.paths():
        obstore.delete(server.client, key)
    return server


def host(folder: Path, server: Store, copies_bytes: int = 10**9) -> BucketStore:
    return BucketStore(
        folder, Bucket(name=BUCKET, endpoint=server.endpoint, region="us-east-1", copies_bytes=copies_bytes)
    )


def test_what_one_host_wrote_another_reads_lists_and_removes(empty: Store, tmp_path: Path) -> None:
    one, other = host(tmp_path / "one", empty), host(tmp_path / "other", empty)
    written = one.put([b"a", b"bc" * 500_000], study_instance_uid=STUDY, name=NAME, suffix=".dcm")
    assert empty.paths() == [written.path]
    assert other.read(written.path, written.sha256) == b"a" + b"bc" * 500_000
    other.verify(written.path, written.sha256)
    assert list(other.studies()) == [STUDY]
    (found,) = other.listed(STUDY).items()
    assert (found[0], found[1].size_bytes) == (written.path, written.size_bytes)
    other.remove(written.path)
    assert empty.paths() == []
    third = host(tmp_path / "third", empty)
    with pytest.raises(AlteredObject, match="is missing"):
        third.verify(written.path, written.sha256)
    assert list(third.incoming.iterdir()) == [], "an attempt to fetch left something behind"


def test_an_object_that_was_altered_in_the_store_is_noticed(empty: Store, tmp_path: Path) -> None:
    written = host(tmp_path / "one", empty).put([b"right"], study_instance_uid=STUDY, name=NAME, suffix=".dcm")
    obstore.put(empty.client, written.path, b"wrong")
    with pytest.raises(AlteredObject, match="was altered"):
        host(tmp_path / "other", empty).read(written.path, written.sha256)


def test_copies_go_when_they_are_too_many_and_come_again_when_they_are_asked_for(empty: Store, tmp_path: Path) -> None:
    store = host(tmp_path / "one", empty, copies_bytes=6)
    written = [
        store.put([b"12345"], study_instance_uid=STUDY, name=f"{STUDY}.{number}", suffix=".dcm") for number in (1, 2)
    ]
    assert store.trim() == 0, "a copy this young may be about to be opened"
    long_ago = time.time() - 7200
    for each in written:
        os.utime(store.path(each.path), (long_ago, long_ago))
    assert store.trim() == 1
    assert len(empty.paths()) == 2
    assert [store.read(each.path, each.sha256) for each in written] == [b"12345"] * 2


def config_of(folder: Path, server: Store) -> Config:
    kept = {"database_url": f"sqlite:///{folder}/n.sqlite", "object_folder": f"{folder}/o", "minimum_free_bytes": 0}
    return settings(folder, storage={**kept, "bucket": server.settings})


def test_a_node_keeps_its_exams_in_the_store_and_sweeps_it(empty: Store, tmp_path: Path) -> None:
    node = Node(config_of(tmp_path, empty))
    node.database.create_schema()
    try:
        for number in range(4):
            node.intake.accept(incoming(number))
        assert empty.paths() == sorted(each.path for each in node.index.instances(STUDY))
        other = host(tmp_path / "other", empty)
        other.put([b"123"], study_instance_uid=f"{STUDY}.7", name=f"{STUDY}.7.1", suffix=".dcm")
        obstore.delete(empty.client, node.index.instances(STUDY)[0].path)
        found = sweeping.sweep(Sweeps(node.database), node.store, datetime.now(UTC), older_than_s=-1)
        assert (found.orphans, found.orphan_bytes, found.missing) == (1, 3, 1)
    finally:
        node.stop()


def test_an_image_that_is_written_as_it_comes_is_in_the_store_once_it_is_accepted(empty: Store, tmp_path: Path) -> None:
    node, image = Node(config_of(tmp_path, empty)), incoming()
    node.database.create_schema()
    arriving = node.intake.begin(image.sop_class_uid, image.sop_instance_uid, image.transfer_syntax_uid)
    try:
        arriving.write(image.encoded)
        file, encoded = arriving.whole()
        assert empty.paths() == []
        node.intake.accept(replace(image, encoded=encoded, file=file))
        (held,) = node.index.instances(STUDY)
        assert empty.paths() == [held.path]
        host(tmp_path / "other", empty).verify(held.path, held.sha256)
    finally:
        arriving.discard()
        node.stop()


def test_an_image_is_not_taken_when_the_store_does_not_take_it(
    empty: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
    node = Node(config_of(tmp_path, empty))
    node.database.create_schema()
    try:
        with pytest.raises(OutOfResources, match="PermissionDenied") as refused:
            node.intake.accept(incoming())
        assert refused.value.dimse_status == 0xA700
        assert node.index.instances(STUDY) == []
        assert [each for each in (tmp_path / "o").rglob("*") if each.is_file()] == []
    finally:
        node.stop()

"""Object files: whole or absent, never two contents under one name, never outside the folder."""

from __future__ import annotations

import hashlib
import os
import random
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.objects import AlteredObject, ObjectStore, is_valid_uid

STUDY, IMAGE = "1.2.3", "1.2.3.4"


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def put(store: ObjectStore, content: bytes, study: str = STUDY, name: str = IMAGE):
    return store.put([content], study_instance_uid=study, name=name, suffix=".dcm")


def test_what_is_put_is_read_back_and_named_by_study_instance_and_content(store: ObjectStore) -> None:
    written = store.put([b"abc", memoryview(b"def")], study_instance_uid=STUDY, name=IMAGE, suffix=".dcm")
    assert written.sha256 == hashlib.sha256(b"abcdef").hexdigest()
    assert written.size_bytes == 6
    assert store.read(written.path, written.sha256) == b"abcdef"
    assert f"{STUDY}/{IMAGE}-" in written.path


def test_the_same_content_is_the_same_file_and_other_content_another(store: ObjectStore) -> None:
    assert put(store, b"one").path == put(store, b"one").path
    assert put(store, b"one").path != put(store, b"two").path


@pytest.mark.parametrize("name", ["", "..", "../x", "1.2/3", "1..2", "1.02", "1" * 65, "1.2\n", "1", "a.b"])
def test_nothing_but_a_uid_names_a_path(store: ObjectStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"PS3\.5"):
        put(store, b"x", name=name)
    with pytest.raises(ValueError, match=r"PS3\.5"):
        put(store, b"x", study=name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@given(st.text(max_size=70))
def test_a_valid_uid_has_only_digits_and_dots(text: str) -> None:
    if is_valid_uid(text):
        assert set(text) <= set("0123456789.")
        assert len(text) <= 64
        assert ".." not in text


def test_a_failing_source_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    def broken():
        yield b"half"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.put(broken(), study_instance_uid=STUDY, name=IMAGE, suffix=".dcm")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_altered_and_missing_files_are_told(store: ObjectStore) -> None:
    written = put(store, b"content")
    store.path(written.path).write_bytes(b"c0ntent")
    with pytest.raises(AlteredObject, match="altered"):
        store.read(written.path, written.sha256)
    with pytest.raises(AlteredObject, match="altered"):
        store.verify(written.path, written.sha256)
    store.path(written.path).unlink()
    with pytest.raises(AlteredObject, match="missing"):
        store.verify(written.path, written.sha256)


def test_what_a_crash_left_half_written_is_cleared(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "objects" / ".incoming" / "tmp123").write_bytes(b"half an image")
    assert store.clear_incoming() == 1
    assert store.clear_incoming() == 0


def test_unfinished_files_of_the_living_and_young_ones_stay(store: ObjectStore, tmp_path: Path) -> None:
    """On a folder that several hosts share."""
    other = ObjectStore(tmp_path / "objects")
    mine, theirs = store.begin(), other.begin()
    mine.write(b"mine")
    assert store.clear_incoming([store.writer, other.writer]) == 0
    assert store.clear_incoming([store.writer], older_than_s=60) == 0
    assert store.clear_incoming([store.writer]) == 1
    assert mine.commit(study_instance_uid=STUDY, name=IMAGE, suffix=".dcm").size_bytes == 4
    with pytest.raises(OSError, match="No such file"):  # which its sender is told as 0xA700
        theirs.commit(study_instance_uid=STUDY, name=IMAGE, suffix=".dcm")
    mine.discard()
    theirs.discard()
    assert list(store.incoming.iterdir()) == []


def test_a_removed_file_takes_its_empty_folder_along(store: ObjectStore) -> None:
    one, two = put(store, b"one"), put(store, b"two")
    store.remove(one.path)
    assert store.read(two.path, two.sha256) == b"two"
    store.remove(two.path)
    store.remove(two.path)
    assert not store.path(two.path).parent.exists()
    assert put(store, b"one").path == one.path


@pytest.mark.parametrize("size_bytes", [0, 1, 5_000_000, 13_000_001])
def test_what_comes_in_pieces_is_whole_and_its_digest_is_of_all_of_it(store: ObjectStore, size_bytes: int) -> None:
    content = random.Random(size_bytes).randbytes(size_bytes)
    new = store.begin()
    for at in range(0, size_bytes, 131_000):
        new.write(memoryview(content)[at : at + 131_000])
    if size_bytes:
        assert bytes(new.view()) == content
    written = new.commit(study_instance_uid=STUDY, name=IMAGE, suffix=".dcm")
    new.discard()
    assert written.size_bytes == size_bytes
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert store.read(written.path, written.sha256) == content


def test_a_name_is_given_to_what_is_on_the_disk_and_the_folders_follow(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a power cut the order is all that a test can see: the file, its name, the folders that hold the name."""
    order, sync, replace = [], os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        sync(descriptor)
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    def replaced(path: Path, to: Path) -> Path:
        order.append("name")
        return replace(path, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    put(store, b"x" * 5_000_000)
    assert order == ["file", "name", "folder", "folder", "folder"]


def test_what_is_given_up_while_it_is_on_its_way_to_the_disk_is_gone_and_closed(store: ObjectStore) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    new = store.begin()
    for _ in range(50):
        new.write(bytes(200_000))
    new.finish()
    new.discard()
    assert list(store.incoming.iterdir()) == []
    assert set(Path("/proc/self/fd").iterdir()) == before

"""The audit trail's files: whole when nothing happened to them, and never when something did."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from node.audit.trail import Trail, parsed
from node.audit.verify import Verdict, records, verify
from tests.support import REPOSITORY


def written(folder: Path, count: int, file_bytes: int = 10**6) -> Trail:
    trail = Trail(folder, file_bytes)
    for number in range(count):
        trail.append(f"message {number} æøå")
    return trail


def lines(trail: Trail, file: int = -1) -> list[bytes]:
    return trail.files()[file].read_bytes().splitlines(keepends=True)


def rewrite(trail: Trail, content: list[bytes], file: int = -1) -> None:
    trail.files()[file].write_bytes(b"".join(content))


def why(found: Verdict) -> str:
    return "; ".join(f"{each.record} {each.file}:{each.line} {each.why}" for each in found.faults)


def test_a_trail_is_whole_and_says_how_far_it_goes(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    found = verify(trail)
    assert (found.is_whole, found.records, found.torn) == (True, 5, [])
    assert found.last == trail.head() == list(records(trail))[-1].place
    assert [record.message for record in records(trail)] == [f"message {number} æøå" for number in range(5)]


def test_nothing_written_is_whole(tmp_path: Path) -> None:
    assert verify(Trail(tmp_path / "none", 10**6)).is_whole


def test_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    trail = written(tmp_path / "audit", 1)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in trail.folder.iterdir()} == {
        "audit-0000000001.jsonl": "0o600",
        "head": "0o600",
        "lock": "0o600",
    }
    assert trail.folder.stat().st_mode & 0o077 == 0


def test_the_chain_goes_on_from_file_to_file(tmp_path: Path) -> None:
    trail = written(tmp_path, 40, file_bytes=4096)
    assert len(trail.files()) > 2
    assert [record.number for record in records(trail)] == list(range(1, 41))
    assert verify(trail).is_whole
    first = len(lines(trail, 0)) + 1
    trail.files()[0].unlink()
    assert "out of turn: records 1 to" in why(verify(trail))
    assert verify(trail, first=first).is_whole, "what was put away is not asked for"
    assert not verify(trail, first=first - 1).is_whole


def test_more_may_be_there_than_has_to_be(tmp_path: Path) -> None:
    assert verify(written(tmp_path, 5), first=3).is_whole


@pytest.mark.parametrize("number", [0, 2, 4], ids=["first", "middle", "last"])
def test_an_altered_record_is_named(tmp_path: Path, number: int) -> None:
    trail = written(tmp_path, 5)
    content = lines(trail)
    content[number] = content[number].replace(b"message", b"massage")
    rewrite(trail, content)
    found = verify(trail)
    assert (found.faults[0].record, found.faults[0].line) == (number + 1, number + 1), why(found)
    assert "altered" in found.faults[0].why


@pytest.mark.parametrize("number", [1, 4])
def test_a_record_made_anew_with_its_sha256_is_found_by_what_follows_it(tmp_path: Path, number: int) -> None:
    trail, other = written(tmp_path / "a", 5), Trail(tmp_path / "b", 10**6)
    for each in range(5):
        other.append("forged" if each == number else f"message {each} æøå")
    content = lines(trail)
    content[number] = lines(other)[number]
    rewrite(trail, content)
    assert parsed(content[number].rstrip()) is not None, "by itself it is a good record"
    assert not verify(trail).is_whole


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (slice(0, 3), "gone from the end: records 4 to 5"),
        (slice(1, 5), "records 1 to 1 are missing"),
        (slice(0, 0), "gone from the end: records 1 to 5"),
    ],
)
def test_records_that_are_gone_are_named(tmp_path: Path, cut: slice, told: str) -> None:
    trail = written(tmp_path, 5)
    rewrite(trail, lines(trail)[cut])
    assert told in why(verify(trail))


def test_a_record_taken_out_of_the_middle_or_put_elsewhere(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    content = lines(trail)
    rewrite(trail, content[:2] + content[3:])
    assert "records 3 to 3 are missing" in why(verify(trail))
    rewrite(trail, [content[0], content[2], content[1], *content[3:]])
    assert "out of turn" in why(verify(trail))


def test_what_was_cut_off_stays_missing_when_more_is_written(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    rewrite(trail, lines(trail)[:3])
    trail.append("later")
    found = verify(trail)
    assert "records 4 to 5 are missing" in why(found)
    assert found.last is not None
    assert found.last.number == 6


def test_without_the_head_nobody_vouches_for_the_end(tmp_path: Path) -> None:
    trail = written(tmp_path, 3)
    (tmp_path / "head").unlink()
    assert "may be missing at the end" in why(verify(trail))
    trail.append("more")
    assert verify(trail).is_whole, "it goes on from its last record"


@pytest.mark.parametrize("kept", [5, -1], ids=["some bytes", "all but the end of the line"])
def test_what_a_crash_tore_off_stays_and_is_named(tmp_path: Path, kept: int) -> None:
    trail = written(tmp_path, 3)
    before = lines(trail)
    head = tmp_path / "head"
    told = head.read_bytes()
    trail.append("in the middle of which the power went")
    fragment = lines(trail)[-1][:kept]
    rewrite(trail, [*before, fragment])
    head.write_bytes(told)  # it is written after the record
    found = verify(trail)
    assert "torn" in why(found) or kept == -1
    assert not found.is_whole
    trail.append("after it")
    trail.append("and more")
    found = verify(trail)
    assert found.is_whole, why(found)
    assert [(each.record, each.line) for each in found.torn] == [(4, 4)]
    assert lines(trail)[3].rstrip() == fragment, "it is kept as it was"
    content = lines(trail)
    content[3] = b"x" + content[3]
    rewrite(trail, content)
    assert not verify(trail).is_whole, "the fragment is part of the chain"


def test_a_file_torn_at_its_first_record(tmp_path: Path) -> None:
    trail = written(tmp_path, 3, file_bytes=1)
    head = (tmp_path / "head").read_bytes()
    trail.append("torn")
    trail.files()[-1].write_bytes(b'{"numb')
    (tmp_path / "head").write_bytes(head)
    assert Trail(tmp_path, 1).append("after").number == 4
    (tmp_path / "head").unlink()
    assert Trail(tmp_path, 1).append("without a head").number == 5


def test_a_record_larger_than_what_is_read_back(tmp_path: Path) -> None:
    trail = Trail(tmp_path, 10**7)
    trail.append("x" * 1_000_000)
    assert trail.append("y").number == 2
    assert verify(trail).is_whole


SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from node.audit.trail import Trail
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
trail = Trail(Path(sys.argv[1]), 10**6)
try:
    while True:
        trail.append("x" * 100)
except OSError as error:
    print(error.strerror)
"""


def test_a_record_for_which_there_is_no_room_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, tmp_path], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "File too large"
    trail = Trail(tmp_path, 10**6)
    found = verify(trail)
    assert (found.is_whole, found.torn) == (True, []), why(found)
    assert found.records > 3
    trail.append("there is room again")
    assert verify(trail).records == found.records + 1


def test_a_process_that_hangs_with_the_lock_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = written(tmp_path, 1)
    monkeypatch.setattr("node.audit.trail._LOCKED_S", 0.1)
    with (tmp_path / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            trail.append("meanwhile")
        assert verify(trail).is_whole, "who only looks needs no lock"
    assert trail.append("afterwards").number == 2


WRITER = """
import sys
from pathlib import Path
from node.audit.trail import Trail
for number in range(60):
    Trail(Path(sys.argv[1]), 20_000).append(str(number))
"""


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], cwd=REPOSITORY) for _ in range(3)]
    assert [each.wait(60) for each in writers] == [0, 0, 0]
    found = verify(Trail(tmp_path, 20_000))
    assert (found.is_whole, found.records) == (True, 180), why(found)

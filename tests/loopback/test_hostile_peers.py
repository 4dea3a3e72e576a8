"""Peers that are silent, slow, wrong or too many: others are served meanwhile, and nothing is left behind."""

from __future__ import annotations

import os
import random
import resource
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from pynetdicom.dsutils import encode

from tests.support import wait_until
from tests.support_exams import STUDY, view
from tests.support_network import (
    COMMAND,
    DATA,
    LAST_OF_COMMAND,
    LAST_OF_DATA,
    answered,
    associate,
    c_store,
    connect,
    data,
    established,
    pdu,
    value,
)
from tests.support_receiving import Receiving, receivers, send

#: Within this a well-behaved sender's image is answered, whatever others do. Generous: the machine may be busy.
SERVED_WITHIN_S = 10.0
SHORT = {"association_timeout_s": 1, "dimse_timeout_s": 1, "network_timeout_s": 20}
ABORT = 7

Make = Callable[..., Receiving]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with receivers(tmp_path, "fast") as build:
        yield build


@pytest.fixture(params=["fast", "stock"])
def make_either(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    with receivers(tmp_path, request.param) as build:
        yield build


def assert_served(node: Receiving, number: int = 1, address: str = "127.0.0.9") -> None:
    """A well-behaved sender is."""
    begun = time.monotonic()
    (status,) = send(node, view(number), address=address)
    assert status.Status == 0x0000
    took_s = time.monotonic() - begun
    assert took_s < SERVED_WITHIN_S, f"a well-behaved sender waited {took_s:.1f} s"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def held_open(node: Receiving) -> list[str]:
    """The node's descriptors: connections that it has not closed, and files of what is on its way."""
    connections = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    established_or_close_wait = ("01", "08")
    port = f":{node.port:04X}"
    open_ones = [row[2] for row in connections if row[1].endswith(port) and row[3] in established_or_close_wait]
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return open_ones + [link for link in links if str(node.store.incoming) in link]


def assert_nothing_left(node: Receiving, but: int = 0) -> None:
    """`but`: associations that the test itself still holds."""
    wait_until(lambda: not node.half_received(), 20, "what came half is removed")
    wait_until(lambda: len(held_open(node)) <= but, 20, f"every descriptor is closed: {held_open(node)}")


# ---------------------------------------------------------------- silent and slow


def test_silent_connections_keep_nobody_out(make_either: Make) -> None:
    node = make_either()
    with ExitStack() as held:
        for _ in range(30):
            held.enter_context(closing(connect(node.port, "127.0.0.3")))
        assert_served(node)


def test_a_silent_connection_is_closed_in_time(make_either: Make) -> None:
    node = make_either(network=SHORT)
    with closing(connect(node.port)) as peer:
        assert answered(peer) == b""


def test_an_idle_association_is_aborted(make: Make) -> None:
    node = make(network={**SHORT, "network_timeout_s": 1})
    with closing(established(node.port)) as peer:
        assert answered(peer)[0] == ABORT


@pytest.mark.parametrize("begun", [data(value(LAST_OF_COMMAND, c_store("1.2.3")))[:-1], pdu(4, b"", 100)])
def test_a_peer_that_stops_in_the_middle_is_aborted(make: Make, begun: bytes) -> None:
    node = make(network=SHORT)
    with closing(established(node.port)) as peer:
        peer.sendall(begun)
        assert answered(peer)[0] == ABORT


def test_one_byte_at_a_time_is_too_slow(make: Make) -> None:
    node = make(network=SHORT)
    with closing(established(node.port, "127.0.0.3")) as peer:
        peer.sendall(data(value(LAST_OF_COMMAND, c_store("1.2.3"))))
        ended = threading.Event()

        def dribble() -> None:
            content = data(value(DATA, bytes(5000)))
            for byte in content:
                if ended.wait(0.02):
                    return
                peer.send(bytes([byte]))

        slow = threading.Thread(target=dribble)
        slow.start()
        try:
            assert_served(node)
            assert answered(peer)[0] == ABORT, "a peer may hold an association by sending a byte now and then"
        finally:
            ended.set()
            slow.join()
    assert_nothing_left(node)


def test_slowly_but_steadily_is_soon_enough(make: Make) -> None:
    node = make(network={**SHORT, "minimum_bytes_per_s": 50})
    dataset = view(Rows=8, Columns=8)
    content = encode(dataset, False, True)
    with closing(established(node.port)) as peer:
        peer.sendall(data(value(LAST_OF_COMMAND, c_store(dataset.SOPInstanceUID))))
        begun = time.monotonic()
        for start in range(0, len(content), 64):
            control = LAST_OF_DATA if start + 64 >= len(content) else DATA
            peer.sendall(data(value(control, content[start : start + 64])))
            time.sleep(0.12)
        assert time.monotonic() - begun > 1.5, "the message was to take longer than its time limit"
        assert answered(peer)[0] == 4
    assert node.index.instance(dataset.SOPInstanceUID) is not None


# ---------------------------------------------------------------- too many


def test_one_address_cannot_take_every_connection(make: Make) -> None:
    node = make(network={"maximum_connections": 12, "maximum_connections_per_address": 10})
    with ExitStack() as held:
        peers = [held.enter_context(closing(connect(node.port, "127.0.0.3"))) for _ in range(20)]
        ended = [peer for peer in peers if _is_closed(peer)]
        assert len(ended) == 10, "connections beyond an address's share are closed at once"
        assert_served(node)
    wait_until(lambda: _is_taken(node, "127.0.0.3"), 20, "connections that ended no longer count")


def _is_closed(peer) -> bool:
    peer.settimeout(0.3)
    try:
        return peer.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def _is_taken(node: Receiving, address: str) -> bool:
    with closing(connect(node.port, address)) as peer:
        peer.sendall(associate())
        return answered(peer)[:1] == b"\x02"


def test_thousands_of_connections_leave_nothing_behind(make: Make) -> None:
    node = make(network=SHORT)
    assert_served(node)
    memory = resident_bytes()
    what = random.Random(1)
    for number in range(1200):
        with closing(connect(node.port, "127.0.0.3")) as peer:
            if number % 3 == 0:
                peer.sendall(what.randbytes(40))
            elif number % 3 == 1:
                peer.sendall(associate()[: what.randrange(80, 200)])
        if number % 500 == 0:
            assert_served(node, number=number + 2)
    assert_nothing_left(node)
    assert resident_bytes() - memory < 100e6
    assert_served(node, number=9999)


def test_associations_beyond_the_limit_are_told_so(make_either: Make) -> None:
    node = make_either(network={"maximum_associations_per_caller": 3})
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(closing(established(node.port, "127.0.0.3")))
        peer = held.enter_context(closing(connect(node.port, "127.0.0.3")))
        peer.sendall(associate())
        assert answered(peer)[6:] == bytes([0, 2, 3, 2]), "rejected-transient, local limit exceeded"
    wait_until(lambda: _is_taken(node, "127.0.0.3"), 20, "associations that broke off no longer count")


# ---------------------------------------------------------------- wrong

WRONG = {
    "garbage": random.Random(2).randbytes(500),
    "a PDU of 4 GB": pdu(4, b"", 0xFFFFFFFF),
    "a PDU longer than agreed": pdu(4, bytes(200_000)),
    "an unknown type of PDU": pdu(9, b"1234"),
    "a value longer than its PDU": data(struct.pack(">LBB", 1000, 1, LAST_OF_COMMAND) + b"12"),
    "a value of no length": data(struct.pack(">LBB", 0, 1, LAST_OF_COMMAND)),
    "a value cut off": pdu(4, b"\0\0"),
    "a command that is none": data(value(LAST_OF_COMMAND, b"\xff" * 100)),
    "a command of nothing": data(value(LAST_OF_COMMAND, b"")),
    "a context that was not accepted": data(value(LAST_OF_COMMAND, c_store("1.2.3"), 77)),
    "another association request": associate(),
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG.keys())
def test_what_is_not_dicom_ends_its_association_and_no_other(make: Make, content: bytes) -> None:
    node = make()
    with closing(established(node.port, "127.0.0.4")) as good:
        with closing(established(node.port, "127.0.0.3")) as peer:
            peer.sendall(content)
            assert answered(peer)[:1] in (bytes([ABORT]), b"")
        dataset = view(Rows=8, Columns=8)
        good.sendall(data(value(LAST_OF_COMMAND, c_store(dataset.SOPInstanceUID))))
        good.sendall(data(value(LAST_OF_DATA, encode(dataset, False, True))))
        assert answered(good)[0] == 4
        assert_nothing_left(node, but=1)


@pytest.mark.parametrize("control", [COMMAND, DATA], ids=["a command", "a data set that belongs to no command"])
def test_without_end_is_not_kept_in_memory(make: Make, control: int) -> None:
    node = make()
    memory = resident_bytes()
    with closing(established(node.port)) as peer:
        endless = data(value(control, bytes(100_000)))
        with pytest.raises(OSError):  # noqa: PT012  the node closes while this goes on
            for _ in range(5000):
                peer.sendall(endless)
    assert resident_bytes() - memory < 100e6


def test_a_large_object_takes_no_memory(make: Make) -> None:
    node = make()
    peaks: list[int] = []
    dataset = view(2, Rows=2048, Columns=4096)  # 17 MB
    content = encode(dataset, False, True)
    held = resident_bytes()
    with closing(established(node.port)) as peer:
        peer.sendall(data(value(LAST_OF_COMMAND, c_store(dataset.SOPInstanceUID))))
        for start in range(0, len(content), 131_000):
            control = LAST_OF_DATA if start + 131_000 >= len(content) else DATA
            peer.sendall(data(value(control, content[start : start + 131_000])))
            peaks.append(resident_bytes())
        assert answered(peer)[0] == 4
    assert max(peaks) - held < 10e6


@pytest.mark.parametrize("uid", ["../../../escaped", "/escaped", "1.2.3/../../x", "1..2", "", "a" * 64])
def test_no_path_comes_from_the_wire(make: Make, tmp_path: Path, uid: str) -> None:
    node = make()
    with closing(established(node.port)) as peer:
        peer.sendall(data(value(LAST_OF_COMMAND, c_store(uid))))
        peer.sendall(data(value(LAST_OF_DATA, encode(view(Rows=8, Columns=8), False, True))))
        answer = answered(peer)
        assert answer[:1] != b"\x04" or struct.pack("<HHLH", 0, 0x0900, 2, 0) not in answer, "it was stored"
    found = [*tmp_path.parent.rglob("*escaped*"), *Path("/").glob("*escaped*")]
    assert found == [], "a UID named a path"
    assert_served(node)


def nested(depth: int) -> bytes:
    """Sequences of undefined length within each other, never closed."""
    return struct.pack("<HH2sxxLHHL", 0x0040, 0xA730, b"SQ", 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF) * depth


DAMAGED = {
    "sequences 50,000 deep": nested(50_000),
    "a length beyond the end": struct.pack("<HH2sxxL", 0x0008, 0x0005, b"UT", 0xFFFFFFF0) + b"x" * 20,
    "an element cut off": b"\x08\x00\x05\x00CS",
    "nothing": b"",
    "zeroes": bytes(10_000),
    "noise": random.Random(3).randbytes(10_000),
    "a sequence that is its own item": nested(1) * 3 + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) * 1000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_data_set_is_refused_and_the_association_lives(make_either: Make, content: bytes) -> None:
    node = make_either()
    memory = resident_bytes()
    with closing(established(node.port)) as peer:
        peer.sendall(data(value(LAST_OF_COMMAND, c_store("1.2.3.4"))))
        for start in range(0, max(len(content), 1), 16_000):
            control = LAST_OF_DATA if start + 16_000 >= len(content) else DATA
            peer.sendall(data(value(control, content[start : start + 16_000])))
        answer = answered(peer)
        assert struct.pack("<HHLH", 0, 0x0900, 2, 0xC000) in answer
        good = view(Rows=8, Columns=8)
        peer.sendall(data(value(LAST_OF_COMMAND, c_store(good.SOPInstanceUID, message_id=2))))
        peer.sendall(data(value(LAST_OF_DATA, encode(good, False, True))))
        assert struct.pack("<HHLH", 0, 0x0900, 2, 0) in answered(peer)
    (aside,) = node.index.asides()
    assert node.store.path(aside.path).read_bytes().endswith(content), "its bytes are kept for a person"
    assert resident_bytes() - memory < 200e6


# ---------------------------------------------------------------- ends in the middle


def test_an_abort_in_the_middle_leaves_nothing(make: Make) -> None:
    node = make()
    for ending in (pdu(7, bytes(4)), pdu(5, bytes(4)), b""):
        with closing(established(node.port)) as peer:
            peer.sendall(data(value(LAST_OF_COMMAND, c_store(f"{STUDY}.7"))))
            peer.sendall(data(value(DATA, bytes(100_000))) + ending)
    assert_nothing_left(node)
    assert node.index.instance(f"{STUDY}.7") is None


def test_stopping_leaves_nothing(make: Make) -> None:
    node = make()
    with closing(established(node.port)) as peer:
        peer.sendall(data(value(LAST_OF_COMMAND, c_store(f"{STUDY}.7"))) + data(value(DATA, bytes(100_000))))
        wait_until(node.half_received, 20, "it begins to come")
        node.receiver.stop()
        assert answered(peer)[:1] in (bytes([ABORT]), b"")
    assert_nothing_left(node)


# ---------------------------------------------------------------- the disk


@contextmanager
def longest_file(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to make a file of this process any longer, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_up_refuses_with_a700_and_the_association_lives(make_either: Make) -> None:
    node = make_either()
    large, small = view(1, Rows=2048, Columns=1024), view(2, Rows=64, Columns=64)
    with longest_file(2_000_000):
        answers = send(node, large, small)
    assert [answer.Status for answer in answers] == [0xA700, 0x0000]
    assert node.index.instance(large.SOPInstanceUID) is None
    assert_nothing_left(node)
    assert send(node, large)[0].Status == 0x0000, "it recovers without a hand"


def test_an_object_beyond_the_limit_is_refused_and_the_association_lives(make_either: Make) -> None:
    node = make_either(network={"max_object_bytes": 100_000})
    answers = send(node, view(1), view(2, Rows=64, Columns=64))
    assert [answer.Status for answer in answers] == [0xC000, 0x0000]
    assert node.half_received() == []

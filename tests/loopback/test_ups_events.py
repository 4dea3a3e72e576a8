"""Subscribers hear of work items: a pynetdicom peer by N-EVENT-REPORT, a websocket client over the event channel."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepEvent
from sqlalchemy import func, select
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from node.app import Node
from node.simulator.pacs import free_port
from node.ups.attributes import code, made, tag, value
from node.ups.subscribing import FILTERED, WORKLIST
from storage.ups import State, Workitems
from storage.ups_tables import WorkitemEventRow
from tests.support import wait_until
from tests.support_exams import settings
from tests.support_ups import FOREIGN, Rest, dimse, final, keeping, reason, rest, state_of, workitem

NUMBERS = itertools.count(7000)
OURS = "2.25.71"
STATE, CANCEL, PROGRESS, ASSIGNED = 1, 2, 3, 5  # event types


@dataclass
class Hearing:
    """What a peer was told: (item, event type, state or "")."""

    port: int
    told: list[tuple[str, int, str]] = field(default_factory=list)

    def of(self, uid: str) -> list[tuple[int, str]]:
        return [(kind, state) for item, kind, state in self.told if item == uid]

    def heard(self, event: evt.Event) -> tuple[int, None]:
        report = event.event_information
        state = str(report.get("ProcedureStepState", ""))
        self.told.append((event.request.AffectedSOPInstanceUID, event.request.EventTypeID, state))
        return 0x0000, None


@contextmanager
def listening(hearing: Hearing) -> Iterator[None]:
    """The peer: it takes reports in the role of user, on associations that the node opens."""
    ae = AE("RIS")
    ae.add_supported_context(UnifiedProcedureStepEvent, scu_role=True, scp_role=True)
    server = ae.start_server(
        ("127.0.0.1", hearing.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, hearing.heard)]
    )
    try:
        yield
    finally:
        server.shutdown()


@dataclass
class Running:
    node: Node
    ris: Hearing

    @property
    def web(self) -> Rest:
        return rest(self.node)

    def push(self, **elements: Any) -> str:
        uid = f"2.25.{next(NUMBERS)}"
        assert self.web.push(uid, workitem(**elements)).status_code == 201
        return uid

    def hears(self, uid: str, *expected: tuple[int, str]) -> None:
        wait_until(lambda: len(self.ris.of(uid)) >= len(expected), 30, f"{expected}; told: {self.ris.of(uid)}")
        assert self.ris.of(uid) == list(expected)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    ris = Hearing(free_port())
    peers = {"RIS": {"ae_title": "RIS", "host": "127.0.0.1", "port": ris.port}}
    with keeping(tmp_path_factory.mktemp("ups"), peers=peers) as node:
        yield Running(node, ris)


@pytest.fixture(autouse=True)
def nobody_is_subscribed(running: Running) -> Iterator[None]:
    yield
    for ae_title in ("RIS", "WEB"):
        Workitems(running.node.database).unsubscribe(ae_title)


@contextmanager
def channel(running: Running, url: str, **headers: str) -> Iterator[ClientConnection]:
    with connect(url, additional_headers=headers, proxy=None) as opened:
        yield opened


def reported(opened: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(opened.recv(timeout=30)))


def test_a_subscriber_to_the_worklist_hears_of_an_item_from_its_creation_to_its_end(running: Running) -> None:
    with listening(running.ris):
        with dimse(running.node) as ris:
            assert ris.subscribe("RIS") == 0x0000
        station = [code("OTHER", "99TEST", "other")]
        uid = running.push(ScheduledStationNameCodeSequence=station)
        running.web.change_state(uid, "IN PROGRESS", OURS)
        told = made(ProcedureStepProgressInformationSequence=[made(ProcedureStepProgress=50)])
        assert running.web.ask("POST", f"/{uid}?{OURS}", [told]).status_code == 200
        running.web.ask("POST", f"/{uid}?{OURS}", [final("COMPLETED")])
        running.web.change_state(uid, "COMPLETED", OURS)
        running.hears(
            uid, (STATE, "SCHEDULED"), (ASSIGNED, ""), (STATE, "IN PROGRESS"), (PROGRESS, ""), (STATE, "COMPLETED")
        )


def test_a_subscriber_that_was_away_hears_afterwards_in_order(running: Running) -> None:
    uid = running.push()
    with dimse(running.node) as ris:
        assert ris.subscribe("RIS", uid) == 0x0000
    running.web.change_state(uid, "IN PROGRESS", OURS)
    wait_until(lambda: waits(running) > 0, 30, "the node to have found nobody there")
    with listening(running.ris):
        running.hears(uid, (STATE, "SCHEDULED"), (STATE, "IN PROGRESS"))


def waits(running: Running) -> int:
    """How often telling the peer has failed."""
    with running.node.database.transaction() as session:
        return int(session.scalar(select(func.max(WorkitemEventRow.attempts))) or 0)


def test_a_performer_that_is_subscribed_hears_that_its_item_is_to_be_canceled(running: Running) -> None:
    with listening(running.ris), dimse(running.node) as ris:
        uid = running.push()
        assert ris.subscribe("RIS", uid) == 0x0000
        running.web.change_state(uid, "IN PROGRESS", OURS)
        assert running.web.ask("POST", f"/{uid}/cancelrequest").status_code == 202
        running.hears(uid, (STATE, "SCHEDULED"), (STATE, "IN PROGRESS"), (CANCEL, ""))
        assert state_of(running.web.item(uid)) == "IN PROGRESS", "that is for its performer to decide"


def test_who_cannot_be_told_cannot_subscribe(running: Running) -> None:
    with dimse(running.node) as other:
        assert other.subscribe("STRANGER") == 0xC308
        assert other.act(WORKLIST, 3) == 0x0120
        assert other.act(WORKLIST, 4, ReceivingAE="RIS") == 0xC308, "it has no subscription"


def test_a_filtered_subscription_hears_of_what_matches(running: Running) -> None:
    with listening(running.ris), dimse(running.node) as ris:
        assert ris.subscribe("RIS", FILTERED) == 0x0120, "without keys"
        assert ris.subscribe("RIS", FILTERED, WorklistLabel="ROOM1") == 0x0000
        other, mine = running.push(WorklistLabel="ROOM2"), running.push(WorklistLabel="ROOM1")
        running.hears(mine, (STATE, "SCHEDULED"))
        assert running.ris.of(other) == []


def test_a_suspended_subscription_hears_of_old_items_and_not_of_new_ones(running: Running) -> None:
    with listening(running.ris), dimse(running.node) as ris:
        ris.subscribe("RIS")
        old = running.push()
        assert ris.act(WORKLIST, 5, ReceivingAE="RIS") == 0x0000
        new = running.push()
        running.web.change_state(old, "IN PROGRESS", OURS)
        running.hears(old, (STATE, "SCHEDULED"), (STATE, "IN PROGRESS"))
        assert running.ris.of(new) == []


def test_nobody_is_told_after_the_end_of_a_subscription(running: Running) -> None:
    with listening(running.ris), dimse(running.node) as ris:
        ris.subscribe("RIS")
        uid = running.push()
        running.hears(uid, (STATE, "SCHEDULED"))
        assert ris.act(uid, 4, ReceivingAE="RIS") == 0x0000
        other = running.push()
        running.web.change_state(uid, "IN PROGRESS", OURS)
        running.web.change_state(other, "IN PROGRESS", OURS)
        running.hears(other, (STATE, "SCHEDULED"), (STATE, "IN PROGRESS"))
        assert len(running.ris.of(uid)) == 1


def test_the_event_channel_tells_a_subscriber_as_it_happens(running: Running) -> None:
    answer = running.web.ask("POST", f"/{WORKLIST}/subscribers/WEB?deletionlock=true")
    assert answer.status_code == 201, answer.text
    url = answer.headers["Content-Location"]
    assert url.startswith("ws://127.0.0.1:")
    uid = running.push(ScheduledWorkitemCodeSequence=[FOREIGN])
    with channel(running, url) as opened:
        waited = {value(each, "AffectedSOPInstanceUID"): each for each in until(opened, uid)}
        first = waited[uid]
        assert first[tag("EventTypeID")]["Value"] == [STATE]
        assert first[tag("AffectedSOPClassUID")]["Value"] == ["1.2.840.10008.5.1.4.34.6.4"]
        assert (state_of(first), value(first, "InputReadinessState")) == ("SCHEDULED", "READY")
        assert tag("PatientName") not in first
        running.web.ask("POST", f"/{uid}/cancelrequest", [made(ReasonForCancellation="not needed")])
        kinds = [reported(opened) for _ in range(3)]
    assert [each[tag("EventTypeID")]["Value"][0] for each in kinds] == [CANCEL, STATE, STATE]
    assert state_of(kinds[2]) == "CANCELED"
    assert value(kinds[2], "ReasonForCancellation") == "not needed"


def until(opened: ClientConnection, uid: str) -> Iterator[dict[str, Any]]:
    """What comes, up to the first report of an item."""
    while True:
        found = reported(opened)
        yield found
        if value(found, "AffectedSOPInstanceUID") == uid:
            return


def test_a_page_from_elsewhere_may_not_listen(running: Running) -> None:
    url = f"ws://127.0.0.1:{running.node.web.port}/ws/subscribers/WEB"
    with pytest.raises(InvalidStatus) as refused, channel(running, url, Origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    answer = running.web.ask("POST", f"/{WORKLIST}/subscribers/WEB", Origin="http://evil.example")
    assert answer.status_code == 403


def test_a_final_item_stays_while_somebody_has_a_deletion_lock_on_it(running: Running) -> None:
    items, uid = Workitems(running.node.database), running.push()
    running.web.ask("POST", f"/{uid}/subscribers/WEB?deletionlock=true")
    running.web.ask("POST", f"/{uid}/cancelrequest")
    later = datetime.now(UTC) + timedelta(days=1)
    items.forget(later)
    assert state_of(running.web.item(uid)) == "CANCELED"
    assert running.web.ask("DELETE", f"/{uid}/subscribers/WEB").status_code == 200
    items.forget(later)
    assert running.web.ask("GET", f"/{uid}").status_code == 404


def test_an_item_that_was_claimed_before_a_restart_is_ended_after_it(tmp_path: Path) -> None:
    """The Transaction UID is kept, so that the node goes on with its own items; nobody else can meanwhile."""
    config, uid = settings(tmp_path, web={"port": 0}), "2.25.7"
    before = Node(config)
    before.database.create_schema()
    before.work.create(uid, workitem())
    before.work.change_state(uid, State.IN_PROGRESS, "2.25.8", by_node=True)
    before.stop()
    after = Node(config)
    after.web.start()
    after.performer.start()
    try:
        item = rest(after).ended(uid, 30)
    finally:
        after.stop()
    assert reason(item).startswith("NO_INPUT")

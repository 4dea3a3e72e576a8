"""Work items of another manager's worklist: claimed there once, and answered there whatever happens in between."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from node.app import Node
from node.simulator.pacs import free_port
from node.ups.attributes import code, made
from storage.ups import State, Workitem, Workitems
from tests.support import wait_until
from tests.support_exams import settings
from tests.support_ups import FOREIGN, Rest, managing, reason, rest, state_of, working_from, workitem

NUMBERS = itertools.count(5000)
STATION = [code("SOMEONE_ELSE", "99TEST", "another performer")]


class Alone:
    """There is no other process."""

    leads = True


@dataclass
class Site:
    """A manager, and the folder and port of the node that works from its worklist."""

    manager: Node
    folder: Path
    port: int
    numbers: Iterator[int] = field(default_factory=lambda: NUMBERS)

    @property
    def web(self) -> Rest:
        return rest(self.manager)

    def push(self, **elements: Any) -> str:
        uid = f"2.25.{next(self.numbers)}"
        assert self.web.push(uid, workitem(**elements)).status_code == 201
        return uid

    def state(self, uid: str) -> str:
        return state_of(self.web.item(uid))

    def performer(self, **ups: Any) -> Node:
        sections = working_from(self.manager)
        config = settings(self.folder, node={"port": self.port}, **{**sections, "ups": {**sections["ups"], **ups}})
        made_node = Node(config)
        made_node.database.create_schema()
        return made_node

    @contextmanager
    def working(self, **ups: Any) -> Iterator[Node]:
        """The node while it works; what it has claimed outlives it."""
        node = self.performer(**ups)
        node.receiver.start()
        node.performer.start()
        node.elsewhere.start(Alone())
        try:
            yield node
        finally:
            node.stop()


@pytest.fixture(scope="module")
def manager_and_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, int]]:
    port = free_port()
    with managing(tmp_path_factory.mktemp("manager"), port) as manager:
        yield manager, port


@pytest.fixture
def site(manager_and_port: tuple[Node, int], tmp_path: Path) -> Iterator[Site]:
    manager, port = manager_and_port
    found = Site(manager, tmp_path, port)
    yield found
    database = Workitems(manager.database)
    for each in database.items(states=[State.SCHEDULED]):
        found.web.ask("POST", f"/{each.sop_instance_uid}/cancelrequest")


def test_only_items_that_are_ours_to_perform_are_claimed(site: Site) -> None:
    left = [
        site.push(ScheduledWorkitemCodeSequence=[FOREIGN]),
        site.push(ScheduledStationNameCodeSequence=STATION),
        site.push(InputReadinessState="INCOMPLETE"),
        site.push(ScheduledProcedureStepStartDateTime="21000101080000+0000"),
    ]
    wanted = site.push()
    with site.working():
        done = site.web.ended(wanted, 30)
    assert state_of(done) == "CANCELED"
    assert reason(done).startswith("NO_INPUT"), "the reason is not told to the manager"
    assert [site.state(each) for each in left] == ["SCHEDULED"] * len(left)


def test_no_more_are_claimed_than_may_be_open(site: Site) -> None:
    far = {"study": "1.2.3.4.404"}
    pushed = [site.push(**far) for _ in range(3)]
    with site.working(most_claimed=1, input_wait_s=300.0):
        wait_until(lambda: [site.state(each) for each in pushed].count("IN PROGRESS") == 1, 30, "a claim")
        time.sleep(1.0)  # three more looks
        assert [site.state(each) for each in pushed] == ["IN PROGRESS", "SCHEDULED", "SCHEDULED"]
    site.web.ask("POST", f"/{pushed[0]}/cancelrequest")


def test_a_request_to_cancel_at_the_manager_reaches_the_node_and_ends_the_item(site: Site) -> None:
    uid = site.push(study="1.2.3.4.405")
    with site.working(input_wait_s=300.0) as node:
        wait_until(lambda: site.state(uid) == "IN PROGRESS", 30, "the claim")
        wait_until(lambda: bool(Workitems(site.manager.database).subscriptions([uid])), 30, "the subscription")
        asked = site.web.ask("POST", f"/{uid}/cancelrequest", [made(ReasonForCancellation="she went home")])
        assert asked.status_code == 202, asked.text
        done = site.web.ended(uid, 30)
        assert node.work.item(uid).state is State.CANCELED
    assert reason(done) == "she went home"


def test_a_claim_whose_answer_was_lost_is_still_ours(site: Site) -> None:
    """The process died between the manager's yes and its note of it: the item is kept, and its lock with it."""
    uid = site.push()
    before = site.performer()
    now = site.manager.work.item(uid).created_at
    item = Workitem(
        sop_instance_uid=uid,
        state=State.IN_PROGRESS,
        attributes={},
        created_at=now,
        changed_at=now,
        transaction_uid="2.25.77",
        manager="MANAGER",
    )
    Workitems(before.database).add(item, lambda _: None)
    before.stop()
    assert site.web.change_state(uid, "IN PROGRESS", "2.25.77").status_code == 200
    with site.working():
        assert state_of(site.web.ended(uid, 30)) == "CANCELED"


def test_an_item_that_somebody_else_got_first_is_dropped(site: Site) -> None:
    uid = site.push()
    node = site.performer()
    real = node.elsewhere._call

    @contextmanager
    def beaten(peer: Any, ae_title: str) -> Iterator[Any]:
        with real(peer, ae_title) as manager:
            look = manager.scheduled

            def scheduled(wanted: Any) -> Any:
                found = look(wanted)
                site.web.change_state(uid, "IN PROGRESS", "2.25.88")
                return found

            manager.scheduled = scheduled
            yield manager

    node.elsewhere._call = beaten
    node.elsewhere._round("MANAGER")
    assert Workitems(node.database).item(uid) is None
    assert site.state(uid) == "IN PROGRESS"
    node.stop()


def test_what_the_manager_could_not_be_told_is_told_when_it_is_back(site: Site) -> None:
    uid = site.push(study="1.2.3.4.406")
    with site.working(input_wait_s=300.0):
        wait_until(lambda: site.state(uid) == "IN PROGRESS", 30, "the claim")
    away = site.performer()
    away.work.request_cancel(uid, {}, "HERE")
    away.stop()
    assert site.state(uid) == "IN PROGRESS", "nobody told the manager yet"
    with site.working():
        assert state_of(site.web.ended(uid, 30)) == "CANCELED"

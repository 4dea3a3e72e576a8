"""Results are committed on the PACS's word only: late, partial, wrong or silent as it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from node import overview
from storage.records import Delivery, DeliveryState, StudyState
from tests.support import wait_until
from tests.support_commitment import (
    CommittingPacs,
    SendingNode,
    answer_to,
    committing_pacs,
    sending_config,
)
from tests.support_exams import settings

COMMITTED, UNCOMMITTED = DeliveryState.COMMITTED, DeliveryState.UNCOMMITTED


@dataclass
class Pair:
    pacs: CommittingPacs
    node: SendingNode

    def deliver(self, study: str, *script: str) -> list[str]:
        self.pacs.script[:] = script
        return self.node.deliver(study, "pacs")

    def becomes(self, study: str, *states: DeliveryState) -> list[Delivery]:
        def reached() -> bool:
            return self.node.states(study) == list(states)

        wait_until(reached, 40, f"{study} to be {states}; it is {self.node.states(study)}")
        return self.node.outbox.deliveries(study)

    def said(self, study: str) -> str:
        return "\n".join(each.text for each in self.node.index.events(study) if each.stage == "commit")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with committing_pacs() as pacs:
        config = settings(folder, **sending_config(folder, pacs.port))
        node = SendingNode(config)
        node.start()
        pacs.node_port = node.receiver.port
        try:
            yield Pair(pacs, node)
        finally:
            node.stop()


@pytest.mark.parametrize(("study", "way"), [("1.2.10", "same"), ("1.2.11", "later")])
def test_a_result_is_committed_when_the_pacs_says_so(pair: Pair, study: str, way: str) -> None:
    uids = pair.deliver(study, way)
    for each in pair.becomes(study, COMMITTED, COMMITTED):
        assert each.delivered_at is not None
        assert each.committed_at is not None
        assert each.delivered_at <= each.committed_at
    wait_until(lambda: pair.node.index.study(study).state is StudyState.ANSWERED, 20, "the study to be answered")
    assert [pair.pacs.stored[uid] for uid in uids] == [1, 1]
    assert [pair.pacs.times(uid) for uid in uids] == [1, 1], "both in one request"


def test_until_then_it_is_not_answered_and_silence_is_asked_again(pair: Pair) -> None:
    uids = pair.deliver("1.2.12", "silent", "silent", "later")
    wait_until(lambda: pair.pacs.times(uids[0]) == 1, 20, "the first request")
    first = pair.becomes("1.2.12", UNCOMMITTED, UNCOMMITTED)
    assert pair.node.index.study("1.2.12").state is StudyState.DELIVERING
    line = next(each for each in overview.status(pair.node.config).destinations if each.destination == "pacs")
    assert line.counts["UNCOMMITTED"] == 2
    assert line.oldest_uncommitted_s is not None
    pair.becomes("1.2.12", COMMITTED, COMMITTED)
    asked = [each for each in pair.pacs.asked if uids[0] in str(each)]
    assert len({each.TransactionUID for each in asked}) == len(asked) == 3, "each request is a transaction of its own"
    assert pair.pacs.stored[uids[0]] == 1, "silence is no reason to send the object again"
    assert first[0].committed_at is None


def test_an_answer_to_the_first_of_two_requests_counts(pair: Pair) -> None:
    uids = pair.deliver("1.2.13", "silent", "silent", "silent", "silent")
    wait_until(lambda: pair.pacs.times(uids[0]) >= 2, 20, "the second request")
    first = next(each for each in pair.pacs.asked if uids[0] in str(each))
    assert pair.pacs.tell(answer_to(first)) == 0x0000
    pair.becomes("1.2.13", COMMITTED, COMMITTED)
    assert pair.pacs.tell(answer_to(first)) == 0x0000, "the same answer again is taken and changes nothing"


def test_an_answer_to_another_transaction_is_refused_and_changes_nothing(pair: Pair) -> None:
    pair.deliver("1.2.14", "wrong", "same")
    pair.becomes("1.2.14", COMMITTED, COMMITTED)
    assert 0x0115 in pair.pacs.told
    assert pair.node.outbox.deliveries("1.2.14")[0].asks == 1, "asked once before the answer that counts"


def test_what_the_pacs_does_not_keep_is_sent_again_and_nothing_else(pair: Pair) -> None:
    uids = pair.deliver("1.2.15", "partial", "later")
    pair.becomes("1.2.15", COMMITTED, COMMITTED)
    assert [pair.pacs.stored[uid] for uid in uids] == [2, 1]
    assert [pair.pacs.times(uid) for uid in uids] == [2, 1]
    assert "0x0112" in pair.said("1.2.15")


def test_a_refused_request_is_made_again(pair: Pair) -> None:
    pair.deliver("1.2.16", "refuse", "same")
    wait_until(lambda: "0x0110" in pair.said("1.2.16"), 20, "the refusal in the exam's history")
    pair.becomes("1.2.16", COMMITTED, COMMITTED)


def test_endless_silence_is_given_up_visibly_and_a_person_may_requeue(pair: Pair) -> None:
    pair.pacs.script[:] = ["silent", "silent"]
    pair.node.deliver("1.2.20", "hasty", 1)
    (failed,) = pair.becomes("1.2.20", DeliveryState.FAILED)
    assert "asked 2 times" in failed.last_error
    wait_until(lambda: pair.node.index.study("1.2.20").state is StudyState.UNDELIVERED, 20, "UNDELIVERED")
    assert pair.node.orders.requeue("1.2.20") == 1
    pair.becomes("1.2.20", COMMITTED)

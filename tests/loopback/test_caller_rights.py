"""What each caller may ask for: store, query, get, commit, and where to images may be moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation as MG
from pydicom.uid import ExplicitVRLittleEndian

from node.config import config_from
from node.dimse.query_scp import FIND, GET, MOVE
from node.errors import ConfigError
from node.simulator.pacs import free_port
from tests.support_commitment import peer_settings
from tests.support_exams import STUDY, view
from tests.support_query import Answering, associate, keys
from tests.support_receiving import Receiving, receivers, send

NOT_AUTHORIZED, DESTINATION_UNKNOWN = 0x0124, 0xA801
QUERIES = {"ae_title": "VIEWER", "address": "127.0.0.1"}


def answering(folder: Path, **rights: object) -> Answering:
    peers = {"ALLOWED": peer_settings(free_port(), "ALLOWED"), "OTHER": peer_settings(free_port(), "OTHER")}
    node = Answering(folder, callers=[{**QUERIES, **rights}], peers=peers)
    node.put(view(Rows=8, Columns=8))
    return node


@pytest.fixture
def one_that_may_query_only(tmp_path: Path) -> Iterator[Answering]:
    node = answering(tmp_path, may=["query"], move_to=["ALLOWED"])
    yield node
    node.stop()


@pytest.fixture(params=["fast", "stock"])
def receiving(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Receiving]:
    callers = [
        {"ae_title": "PACS", "address": "127.0.0.0/24", "may": ["query"]},
        {"ae_title": "PACS", "address": "127.0.1.0/24"},
    ]
    with receivers(tmp_path, request.param) as build:
        yield build(callers=callers)


def test_who_may_not_store_is_told_so_and_nothing_is_kept(receiving: Receiving) -> None:
    (answer,) = send(receiving, view(1))
    assert (answer.Status, "may not store" in answer.ErrorComment) == (NOT_AUTHORIZED, True)
    assert receiving.index.instance(view(1).SOPInstanceUID) is None
    assert receiving.half_received() == []
    assert send(receiving, view(2), address="127.0.1.1")[0].Status == 0, "the same title from where it may"


def last(answers: Iterator[tuple[Dataset, Dataset | None]]) -> int:
    return int([status.Status for status, _ in answers][-1])


def test_one_that_may_query_only(one_that_may_query_only: Answering) -> None:
    association = associate(one_that_may_query_only.port, storage=[(MG, ExplicitVRLittleEndian)])
    study = keys(StudyInstanceUID=STUDY)
    assert last(association.send_c_find(study, FIND)) == 0
    assert last(association.send_c_get(study, GET)) == NOT_AUTHORIZED
    assert last(association.send_c_move(study, "OTHER", MOVE)) == DESTINATION_UNKNOWN
    association.release()


def test_one_that_may_not_query_at_all(tmp_path: Path) -> None:
    node = answering(tmp_path, may="store", move_to=[])
    try:
        association = associate(node.port)
        assert last(association.send_c_find(keys(StudyInstanceUID=STUDY), FIND)) == NOT_AUTHORIZED
        assert last(association.send_c_move(keys(StudyInstanceUID=STUDY), "ALLOWED", MOVE)) == DESTINATION_UNKNOWN
        association.release()
    finally:
        node.stop()


def test_rights_add_up_over_the_callers_that_fit_and_none_named_have_all(tmp_path: Path) -> None:
    callers = [
        {"ae_title": "A", "may": ["store"], "move_to": []},
        {"ae_title": "A", "address": "10.0.0.0/8", "may": ["query"], "move_to": ["PACS"]},
    ]
    config = config_from({"callers": callers}, tmp_path)
    assert [config.may("A", "10.1.1.1", right) for right in ("store", "query", "get")] == [True, True, False]
    assert [config.may("A", "192.0.2.1", right) for right in ("store", "query", "get")] == [True, False, False]
    assert config.may_move("A", "10.1.1.1", "PACS")
    assert not config.may_move("A", "10.1.1.1", "OTHER")
    assert not config.may_move("A", "192.0.2.1", "PACS")
    anybody = config_from({}, tmp_path)
    assert anybody.may("A", "127.0.0.1", "get")
    assert anybody.may_move("A", "127.0.0.1", "PACS")


def test_a_right_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"callers\.0\.may\.0: value 'delete' .*allowed: a list of store, query, get"):
        config_from({"callers": [{"ae_title": "A", "may": ["delete"]}]}, tmp_path)

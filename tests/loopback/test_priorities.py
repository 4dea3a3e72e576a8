"""Whose exam is read first: an urgent one before those that came just before it, whatever the order of arrival."""

from __future__ import annotations

import threading
from pathlib import Path

from node.pipeline.jobs import Stage
from storage.records import Priority, StudyState
from tests.support import wait_until
from tests.support_exams import settings
from tests.support_screening import KINDS, round_of, screening_node

RULES = [
    {"name": "symptomatic", "when": {"station_name": "URGENT*"}, "priority": "urgent"},
    {"name": "research", "when": {"station_name": "ARCHIVE*"}, "priority": "archive"},
    {"name": "screening"},
]
STATIONS = {1: "ROOM1", 2: "ARCHIVE1", 3: "ROOM1", 4: "URGENT1", 5: "ROOM2"}


def test_urgent_exams_overtake_and_the_archive_comes_last(tmp_path: Path) -> None:
    results = {"type": "folder", "folder": f"{tmp_path}/out", "results": KINDS}
    config = settings(tmp_path, routing=RULES, destinations={"out": results}, reading={"threads": 1})
    busy, go = threading.Event(), threading.Event()

    def passed(point: str) -> None:
        if point == "read: done" and not busy.is_set():
            busy.set()
            assert go.wait(120)

    with screening_node(config, tmp_path, passed) as screening:
        index = screening.node.index
        studies = {}
        for number, station in STATIONS.items():
            images = round_of(number, "20260301", StationName=station)
            studies[number] = str(images[0].StudyInstanceUID)
            screening.send(*images)
            if number == 1:
                assert busy.wait(120), "the first exam is at the reader while the others come"
        reading = {StudyState.READING}
        wait_until(lambda: len(index.studies(reading)) == len(STATIONS), 60, "every exam to wait for the reader")
        go.set()
        answered = {StudyState.ANSWERED}
        wait_until(lambda: len(index.studies(answered)) == len(STATIONS), 120, "every exam to be answered")
        read_at = {
            number: next(event.at for event in index.events(study) if event.stage == str(Stage.READ))
            for number, study in studies.items()
        }
        assert sorted(read_at, key=lambda number: read_at[number]) == [1, 4, 3, 5, 2]
        assert index.study(studies[4]).priority is Priority.URGENT

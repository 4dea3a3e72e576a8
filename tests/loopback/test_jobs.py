"""The job queue: a job exists with the row it follows from or not at all, runs, and survives its worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from node.pipeline.durable import DurableJobs
from node.pipeline.jobs import Job, NotFinished, Stage, turn
from storage.records import Priority
from storage.schema import make_engine
from tests.support import wait_until

QUEUES = {"read": 1, "report": 1, "deliver-pacs": 2}


def job(stage: Stage = Stage.READ, number: int = 0, destination: str = "", revision: int = 1) -> Job:
    return Job(stage=stage, study_instance_uid="1.2.3", revision=revision, number=number, destination=destination)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(f"sqlite:///{tmp_path / 'jobs.sqlite'}")
    yield engine
    engine.dispose()


def worker(engine: Engine, tmp_path: Path) -> DurableJobs:
    return DurableJobs(engine, QUEUES)


def enqueue(jobs: DurableJobs, engine: Engine, *wanted: Job, turn: int = 1, delay_s: float = 0.0) -> None:
    with Session(engine) as session, session.begin():
        for each in wanted:
            jobs.enqueue(session, each, turn=turn, delay_s=delay_s)


def test_jobs_run_once_each_with_what_they_were_made_of(engine: Engine, tmp_path: Path) -> None:
    ran: list[Job] = []
    jobs = worker(engine, tmp_path)
    jobs.start(ran.append, "test")
    try:
        wanted = [job(), job(Stage.REPORT), job(Stage.DELIVER, 3, "pacs")]
        enqueue(jobs, engine, *wanted)
        enqueue(jobs, engine, *wanted)  # the same ids: nothing new
        wait_until(lambda: len(ran) >= 3, 10, "three jobs to run")
        wait_until(lambda: not any(each.prefix in jobs.waiting() for each in wanted), 10, "the jobs to be finished")
        assert sorted(ran, key=lambda each: each.stage) == sorted(wanted, key=lambda each: each.stage)
    finally:
        jobs.stop(1)


def test_a_job_of_a_transaction_that_failed_does_not_exist(engine: Engine, tmp_path: Path) -> None:
    ran: list[Job] = []
    jobs = worker(engine, tmp_path)
    jobs.start(ran.append, "test")
    try:
        with Session(engine) as session:
            session.begin()
            jobs.enqueue(session, job(revision=7), turn=1)
            session.rollback()
        enqueue(jobs, engine, job(revision=8))
        wait_until(lambda: ran, 10, "the other job to run")
        assert [each.revision for each in ran] == [8]
        assert job(revision=7).prefix not in jobs.waiting()
    finally:
        jobs.stop(1)


def test_a_delayed_job_waits(engine: Engine, tmp_path: Path) -> None:
    ran: list[float] = []
    jobs = worker(engine, tmp_path)
    jobs.start(lambda _job: ran.append(time.monotonic()), "test")
    try:
        begun = time.monotonic()
        enqueue(jobs, engine, job(Stage.DELIVER, 1, "pacs"), delay_s=1.0)
        assert job(Stage.DELIVER, 0, "pacs").prefix in jobs.waiting(), "another job for the same work is waiting"
        wait_until(lambda: ran, 10, "the delayed job to run")
        assert ran[0] - begun >= 0.9
    finally:
        jobs.stop(1)


def test_the_lowest_turn_is_run_first_and_equal_ones_in_the_order_in_which_they_came(
    engine: Engine, tmp_path: Path
) -> None:
    ran: list[int] = []
    begun, release = threading.Event(), threading.Event()

    def run(job: Job) -> None:
        begun.set()
        assert release.wait(30)
        ran.append(job.revision)

    jobs = worker(engine, tmp_path)
    jobs.start(run, "test")
    try:
        enqueue(jobs, engine, job(revision=1), turn=5)
        assert begun.wait(10)
        for revision, turn in ((2, 50), (3, 40), (4, 60), (5, 40)):
            enqueue(jobs, engine, job(revision=revision), turn=turn)
        release.set()
        wait_until(lambda: len(ran) == 5, 10, "five jobs to run")
        assert ran == [1, 3, 5, 2, 4]
    finally:
        release.set()
        jobs.stop(1)


def test_urgent_exams_overtake_an_hour_and_nobody_waits_for_ever() -> None:
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def came(priority: Priority, minutes: float) -> int:
        return turn(priority, noon + timedelta(minutes=minutes))

    assert came(Priority.URGENT, 59) < came(Priority.ROUTINE, 0) < came(Priority.URGENT, 61)
    assert came(Priority.ROUTINE, 0) < came(Priority.ROUTINE, 1)
    assert came(Priority.ROUTINE, 23 * 60) < came(Priority.ARCHIVE, 0) < came(Priority.ROUTINE, 25 * 60)
    for far in (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)):
        assert all(1 <= turn(priority, far) < 2**31 for priority in Priority), "outside what the engine keeps"


def test_a_job_that_its_worker_did_not_finish_is_run_by_the_next_one(engine: Engine, tmp_path: Path) -> None:
    begun, release = threading.Event(), threading.Event()

    def hang(_job: Job) -> None:
        begun.set()
        release.wait(30)
        raise SystemExit  # as if the process had ended: nothing is recorded

    first = worker(engine, tmp_path)
    first.start(hang, "test")
    enqueue(first, engine, job())
    assert begun.wait(10)
    first.stop(1)
    ran: list[Job] = []
    second = worker(engine, tmp_path)
    second.start(ran.append, "test")
    try:
        wait_until(lambda: ran, 10, "the unfinished job to be taken up")
    finally:
        release.set()
        second.stop(1)


def test_a_job_that_says_it_is_not_finished_stays_for_the_next_worker(engine: Engine, tmp_path: Path) -> None:
    begun = threading.Event()

    def interrupted(_job: Job) -> None:
        begun.set()
        raise NotFinished

    first = worker(engine, tmp_path)
    first.start(interrupted, "test")
    enqueue(first, engine, job())
    assert begun.wait(10)
    first.stop(1)
    ran: list[Job] = []
    second = worker(engine, tmp_path)
    second.start(ran.append, "test")
    try:
        wait_until(lambda: ran, 10, "the unfinished job to be taken up")
    finally:
        second.stop(1)

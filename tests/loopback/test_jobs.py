"""The job queue: a job exists with the row it follows from or not at all, runs, and survives its worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from node.pipeline.durable import DurableJobs
from node.pipeline.jobs import Job, NotFinished, Stage
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


def enqueue(jobs: DurableJobs, engine: Engine, *wanted: Job, delay_s: float = 0.0) -> None:
    with Session(engine) as session, session.begin():
        for each in wanted:
            jobs.enqueue(session, each, delay_s)


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
            jobs.enqueue(session, job(revision=7))
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

"""A rehearsal: a simulated hospital around a node, and every exam followed through every role that it takes part in.

The worklist, the rooms with their performed procedure steps, the archive with storage commitment, the RIS that takes
results by HL7, and the manager of work items are real peers on real sockets of this machine. The node is one of our
own, started for it, or a site's that knows them (`site_config`).
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from rich.progress import Progress

from ai.findings import Category
from ai.phantom import ExamSpec
from node import demo, demo_verdict
from node.dimse.archive import Archive
from node.dimse.worklist_scp import WorklistServer
from node.errors import NodeError
from node.settings import Peer
from node.simulator import exams, manager, ris
from node.simulator.exams import MadeExam
from node.simulator.hospital import Course, Hospital
from node.simulator.manager import Pushed
from node.simulator.modality import Modality
from node.simulator.pacs import NODE_AE_TITLE, ArchivePacs, Arrival
from node.simulator.processes import Program, ProgramFailed, running
from node.simulator.results_receiver import ResultsReceiver
from storage.ups import State

PACS, RIS, MANAGER = "SIM_PACS", "SIM_RIS", "SIM_MANAGER"
ROOMS = ("SIM_ROOM_1", "SIM_ROOM_2")
_READY_S = 120.0
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the hospital listens; 0: anywhere that is free."""

    pacs: int = 0
    worklist: int = 0
    hl7: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What to rehearse.

    node: one that runs already; None: one is started. results: objects of each answer there. patience_s: for the whole
    day, counted from the first image.
    """

    out: Path
    specs: Sequence[ExamSpec]
    node: Peer | None = None
    ports: Ports = Ports()
    results: int = len(demo.KINDS)
    patience_s: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One exam.

    results, committed: objects in the archive, and those it has promised to keep. messages: results that the RIS was
    told (HL7). ended: the work item.
    """

    name: str
    room: str
    steps: int
    results: int
    expected: int
    committed: int
    messages: int
    category: str
    ended: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """problems: of no exam in particular. worklist_asked: how often the node asked for the day's list."""

    exams: tuple[Followed, ...]
    worklist_asked: int
    problems: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether everything was as it should be."""
        return not self.problems and not any(each.problems for each in self.exams)


def site_config(ports: Ports, folder: str = "") -> dict[str, Any]:
    """The sections by which a node takes part; folder: "" leaves its storage as it is."""
    at = {"host": "127.0.0.1"}
    kept = {"storage": {"database_url": f"sqlite:///{folder}/node.sqlite", "object_folder": f"{folder}/objects"}}
    return {
        "callers": [{"ae_title": each, "address": "127.0.0.1", "may": ["store"]} for each in ROOMS]
        + [
            {"ae_title": PACS, "address": "127.0.0.1", "may": ["store", "commit"]},
            {"ae_title": MANAGER, "address": "127.0.0.1", "may": ["ups"]},
        ],
        "peers": {
            "SIM_PACS": {"ae_title": PACS, **at, "port": ports.pacs},
            "SIM_RIS": {"ae_title": RIS, **at, "port": ports.worklist},
        },
        "destinations": {
            "sim_pacs": {"type": "dicom_store", "peer": "SIM_PACS", "results": list(demo.KINDS), "commitment": True},
            "sim_ris": {"type": "hl7_mllp", "results": ["measurement_sr"], "hl7": {**at, "port": ports.hl7}},
        },
        "worklist": {"peer": "SIM_RIS", "every_s": 5},
        **(kept if folder else {}),
    }


def run(rehearsal: Rehearsal, progress: Progress) -> Outcome:
    """The whole rehearsal; everything it started has ended when it returns. Raises ConfigError, ProgramFailed."""
    began = time.monotonic()
    demo.emptied(rehearsal.out)
    made = _made(rehearsal, progress)
    with ExitStack() as stack:
        archive, worklist = Archive(rehearsal.out / "pacs", PACS), WorklistServer(_scheduled(made), RIS)
        archive.start(rehearsal.ports.pacs)
        stack.callback(archive.stop)
        worklist.start(rehearsal.ports.worklist)
        stack.callback(worklist.stop)
        told = ResultsReceiver(rehearsal.ports.hl7, "AA", lambda _line: None)
        told.start()
        stack.callback(told.stop)
        serving = None
        at = rehearsal.node
        if at is None:
            serving = stack.enter_context(
                _node(rehearsal.out, Ports(pacs=archive.port, worklist=worklist.port, hl7=told.port or 0))
            )
            port = demo.port_of(serving.wait_for("ready:", _READY_S))
            at = Peer(ae_title=NODE_AE_TITLE, host="127.0.0.1", port=port)
        hospital = Hospital(ArchivePacs(archive, rehearsal.out / "pacs"), made, rehearsal.results)
        day = _Day(hospital, at, archive, told, rehearsal.patience_s)
        day.go(serving, progress)
        return day.outcome(worklist.asked.total(), time.monotonic() - began)


def _made(rehearsal: Rehearsal, progress: Progress) -> list[MadeExam]:
    task = progress.add_task("exams made", total=len(rehearsal.specs))
    found = {}
    for each in exams.make_all(rehearsal.specs, rehearsal.out / "exams"):
        found[each.name] = each
        progress.advance(task)
    return [found[spec.name] for spec in rehearsal.specs]


def _scheduled(made: Sequence[MadeExam]) -> list[Any]:
    """From now on, but all of them today."""
    now = datetime.now().astimezone()
    midnight = now.replace(hour=23, minute=59, second=0, microsecond=0)
    return ris.scheduled(made, ROOMS, min(now, midnight - timedelta(minutes=5 * len(made))))


def _node(out: Path, ports: Ports) -> Any:
    settings = {
        "node": {"ae_title": NODE_AE_TITLE, "port": 0},
        "completeness": {"quiet_s": 6.0},
        "logging": {"file": "node.log"},
        **site_config(ports, "node"),
    }
    path = out / "config.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return running([sys.executable, "-m", "node.cli", "serve", "--config", path], out / "node.out")


@dataclass(slots=True)
class _Day:
    """The day itself, and what is seen of it."""

    hospital: Hospital
    node: Peer
    archive: Archive
    told: ResultsReceiver
    patience_s: float
    pushed: list[Pushed] = field(default_factory=list)
    rooms: list[Modality] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def go(self, serving: Program | None, progress: Progress) -> None:
        """Push the work items, let the rooms send, and look until all is answered or it takes too long."""
        courses = self.hospital.courses
        sent = progress.add_task("images sent", total=sum(len(each.exam.images) for each in courses))
        ended = progress.add_task("work items ended", total=len(courses))
        answered = progress.add_task("exams answered in the archive", total=len(courses))
        following = threading.Thread(target=self._manage, name=MANAGER, daemon=True)
        following.start()
        self.rooms = [
            Modality(each, self.node, lambda: progress.advance(sent), performs=True) for each in ROOMS[: len(courses)]
        ]
        self.hospital.open(self.rooms)
        end = time.monotonic() + self.patience_s
        while (self.hospital.busy or following.is_alive() or self._uncommitted()) and time.monotonic() < end:
            self._look(serving)
            progress.update(ended, completed=sum(each.has_ended for each in self.pushed))
            progress.update(answered, completed=self.hospital.answered())
        settled = time.monotonic() + _SETTLE_S
        while time.monotonic() < settled:
            self._look(serving)
        self.hospital.close()

    def _look(self, serving: Program | None) -> None:
        self.hospital.look()
        if serving is not None and not serving.running:
            raise ProgramFailed("the node ended by itself; see node.out and node.log in the rehearsal's folder")
        time.sleep(demo.LOOK_EVERY_S)

    def _uncommitted(self) -> bool:
        return any(str(each.header.SOPInstanceUID) not in self.archive.committed for each in self.hospital.arrivals)

    def _manage(self) -> None:
        try:
            made = [course.exam for course in self.hospital.courses]
            self.pushed = manager.push(self.node, MANAGER, made)
            manager.follow(self.node, MANAGER, self.pushed, self.patience_s)
        except NodeError as error:
            self.problems.append(f"work items: {error}")

    # ---------------------------------------------------------------- what came of it

    def outcome(self, worklist_asked: int, seconds: float) -> Outcome:
        """Judged from the outside: by what the peers of the node saw."""
        problems = list(self.problems)
        if not worklist_asked:
            problems.append("the node never asked for the worklist")
        problems += [f"{uid} came to the archive {n} times" for uid, n in self.archive.received.items() if n > 1]
        steps = sum(each.steps for each in self.rooms)
        expected = sum(course.revisions for course in self.hospital.courses)
        if steps != expected:
            problems.append(f"{steps} of {expected} performed procedure steps were taken")
        return Outcome(
            exams=tuple(self._followed(course) for course in self.hospital.courses),
            worklist_asked=worklist_asked,
            problems=tuple(problems),
            seconds=seconds,
        )

    def _followed(self, course: Course) -> Followed:
        uid = course.exam.study_instance_uid
        mine = [each for each in self.hospital.arrivals if each.header.StudyInstanceUID == uid]
        pushed = next((each for each in self.pushed if each.exam is course.exam), None)
        committed = sum(str(each.header.SOPInstanceUID) in self.archive.committed for each in mine)
        said = _category(mine)
        messages = [triage for study, triage in self.told.told.values() if study == uid]
        found = Followed(
            name=course.exam.name,
            room=course.room,
            steps=len(course.sent),
            results=len(mine),
            expected=self.hospital.objects * course.revisions,
            committed=committed,
            messages=len(messages),
            category=said,
            ended=pushed.state if pushed is not None else "",
            problems=(),
        )
        return replace(
            found, problems=(*_problems(found, course, mine, pushed), *_of_messages(found, course, messages))
        )


def _category(mine: Sequence[Arrival]) -> str:
    """What the latest report says."""
    latest = sorted(mine, key=lambda each: int(each.header.get("InstanceNumber") or 0), reverse=True)
    return next(filter(None, (demo_verdict.told_category(each.header) for each in latest)), "")


def _problems(found: Followed, course: Course, mine: Sequence[Arrival], pushed: Pushed | None) -> Iterator[str]:
    if course.problem:
        yield course.problem
    if found.results != found.expected:
        yield f"{found.results} of {found.expected} results are in the archive"
    if found.committed != found.results:
        yield f"the node asked for commitment of {found.committed} of {found.results} results"
    sent = ris.header(course.exam)
    for each in mine:
        yield from demo_verdict.identity_problems(sent, each)
    if pushed is None or not pushed.has_ended:
        yield f"the work item is {pushed.state if pushed is not None else 'not taken'}"
    elif course.revisions == 1:
        yield from _of_work_item(found, pushed)


def _of_messages(found: Followed, course: Course, messages: Sequence[str]) -> Iterator[str]:
    """The RIS hears of each revision once, and of what the reports say."""
    if len(messages) != course.revisions:
        yield f"the RIS was told {len(messages)} of {course.revisions} results"
    elif messages[-1] != found.category:
        yield f"the RIS was told {messages[-1]}, the archive {found.category}"


def _of_work_item(found: Followed, pushed: Pushed) -> Iterator[str]:
    """An exam that was read completes its item, one that was not cancels it; either names its results."""
    expected = State.CANCELED if found.category == Category.NOT_READ else State.COMPLETED
    if pushed.state != expected:
        yield f"the work item is {pushed.state} ({pushed.why}), the exam {found.category}"
    if pushed.outputs != found.results:
        yield f"the work item names {pushed.outputs} of {found.results} results"


def counts(outcome: Outcome) -> Counter[str]:
    """Exams by what their results say."""
    return Counter(each.category or "unanswered" for each in outcome.exams)

"""What happens in the simulated hospital: rooms send exams, results arrive in the PACS, and all of it is noted."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from node.simulator.exams import MadeExam
from node.simulator.modality import Modality, NotTaken
from node.simulator.pacs import Arrival, Pacs

_NO_ANSWER_S = 120.0


@dataclass(slots=True)
class Course:
    """One exam's way. sent: per revision, when the last image that makes it was answered (time.monotonic)."""

    exam: MadeExam
    room: str = ""
    sent: dict[int, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def revisions(self) -> int:
        """How many answers the exam is to have."""
        return 2 if any(image.late for image in self.exam.images) else 1


class Hospital:
    """Rooms and a PACS. An exam counts as answered when a revision's `objects` have all been seen in the PACS.

    Rooms are closed loops: each sends its next exam when the last is answered (or after 120 s), so that at most as
    many exams are under way as there are rooms. A late image is sent after its exam's first answer.
    """

    def __init__(self, pacs: Pacs, exams: Sequence[MadeExam], objects: int) -> None:
        self._pacs = pacs
        self.objects = objects
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self.courses = [Course(exam) for exam in exams]
        self.arrivals: list[Arrival] = []
        self._seen: dict[tuple[str, int], list[float]] = defaultdict(list)

    def open(self, rooms: Sequence[Modality]) -> None:
        """Let the rooms send; returns at once."""
        for number, room in enumerate(rooms):
            mine = self.courses[number :: len(rooms)]
            thread = threading.Thread(target=self._work, args=(room, mine), name=room.ae_title, daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether a room still works."""
        return any(thread.is_alive() for thread in self._threads)

    def look(self) -> None:
        """Fetch what has come to the PACS. To be called often: the times noted are those of these looks."""
        found = self._pacs.arrivals()
        with self._changed:
            for arrival in found:
                self.arrivals.append(arrival)
                self._seen[_answer(arrival)].append(arrival.seen_at)
            self._changed.notify_all()

    def close(self) -> None:
        """Let no room send another exam, and wait for what they are sending."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)

    def answered_at(self, course: Course, revision: int) -> float | None:
        """When the last object of a revision was seen in the PACS (time.monotonic); None while one is missing."""
        seen = self._seen.get((course.exam.study_instance_uid, revision), [])
        return max(seen) if len(seen) >= self.objects else None

    def answered(self) -> int:
        """How many exams have all their answers."""
        with self._changed:
            return sum(self.answered_at(course, course.revisions) is not None for course in self.courses)

    def _work(self, room: Modality, courses: Sequence[Course]) -> None:
        for course in courses:
            if self._stopping:
                return
            course.room = room.ae_title
            try:
                self._take(room, course)
            except NotTaken as error:
                course.problem = str(error)

    def _take(self, room: Modality, course: Course) -> None:
        on_time = [image for image in course.exam.images if not image.late]
        late = [image for image in course.exam.images if image.late]
        course.sent[1] = room.send(on_time)
        answered = self._wait(course, 1)
        if late and answered:
            course.sent[2] = room.send(late)
            answered = self._wait(course, 2)
        if not answered:
            course.problem = f"no answer in the PACS within {_NO_ANSWER_S:g} s"

    def _wait(self, course: Course, revision: int) -> bool:
        end = time.monotonic() + _NO_ANSWER_S
        with self._changed:
            while self.answered_at(course, revision) is None and not self._stopping:
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    return False
        return True


def _answer(arrival: Arrival) -> tuple[str, int]:
    """Which study's which revision an object answers: its Instance Number is the revision."""
    return str(arrival.header.get("StudyInstanceUID", "")), int(arrival.header.get("InstanceNumber") or 0)

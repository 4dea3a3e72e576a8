"""What makes every attempt at an exam fail does not stop its answer."""

from __future__ import annotations

from pathlib import Path

from ai.findings import Category, Reading
from ai.reasons import ReasonCode
from tests.support import wait_until
from tests.support_screening import ROOT, round_of, screening_config, screening_node


def test_an_exam_whose_file_fails_in_an_unforeseen_way_is_not_read_in_the_end(tmp_path: Path) -> None:
    """As a disk with a bad block would: opening the file is neither "missing" nor "altered"."""

    def spoil(point: str) -> None:
        if point == "intake: row committed":
            for file in (tmp_path / "objects").rglob("*.dcm"):
                if file.is_file():
                    file.unlink()
                    file.mkdir()

    with screening_node(screening_config(tmp_path, max_attempts=2), tmp_path, spoil) as screening:
        screening.send(*round_of(401, "20260302"))
        wait_until(lambda: screening.node.outbox.reading(f"{ROOT}.401"), 60, "the exam to be given up")
        stored = screening.node.outbox.reading(f"{ROOT}.401")
    assert stored is not None
    reading = Reading.from_json(stored.reading_json)
    assert reading.category is Category.NOT_READ
    assert [reason.code for reason in reading.reasons] == [ReasonCode.READER_FAILED]

"""Whatever bytes a stranger sends: an answer, and no crash. benchmarks/fuzz.py is the long form."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from node.errors import NotUnderstood, NotUsable
from node.intake import Incoming, understood
from node.part10 import envelope
from node.stored_file import opened
from tests.support_exams import as_file, view
from tests.support_fuzz import KINDS, TARGETS, Edit, bounded, spoiled

#: Inputs for each target: together half a minute.
EXAMPLES = {"associations": 6000, "files": 800, "multipart": 6000}
EDITS = some.lists(
    some.builds(Edit, some.sampled_from(KINDS), some.floats(0, 1), some.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Libraries may warn as much as they like about such input."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", TARGETS)
def test_spoiled_bytes_are_refused_and_nothing_else_happens(name: str, tmp_path: Path) -> None:
    make, seeds = TARGETS[name]
    target, contents = make(tmp_path), seeds()
    for content in contents:
        target(content)
    with bounded() as run:

        @settings(max_examples=EXAMPLES[name], suppress_health_check=list(HealthCheck), phases=[Phase.generate])
        @given(content=some.sampled_from(contents), edits=EDITS)
        def each(content: bytes, edits: list[Edit]) -> None:
            run(target, spoiled(content, edits))

        each()


@pytest.mark.parametrize("length", [*range(16), 131, 132, 140, 143])
def test_a_file_that_is_cut_off_in_its_first_bytes(length: int) -> None:
    whole = as_file(view(Rows=8, Columns=8))
    for content in (whole, whole[132:]):
        with pytest.raises(NotUnderstood):
            envelope(memoryview(content[:length]))


def test_a_uid_of_an_unknown_vr_is_not_understood() -> None:
    content = as_file(view(Rows=8, Columns=8)).replace(b"\x20\0\x0d\0UI", b"\x20\0\x0d\0OJ")
    found = envelope(memoryview(content))
    incoming = Incoming(
        encoded=memoryview(content)[found.offset :],
        transfer_syntax_uid=found.transfer_syntax_uid,
        sop_class_uid=found.sop_class_uid,
        sop_instance_uid=found.sop_instance_uid,
        calling_ae_title="PACS",
    )
    with pytest.raises(NotUnderstood):
        understood(incoming)


def test_a_file_whose_rows_are_of_an_unknown_vr_is_not_served(tmp_path: Path) -> None:
    path = tmp_path / "spoiled.dcm"
    path.write_bytes(as_file(view(Rows=8, Columns=8)).replace(b"\x28\0\x10\0US", b"\x28\0\x10\0U\0"))
    with pytest.raises(NotUsable, match="cannot be read"):
        opened(path)

"""Key objects and rejection notes: what they name, and that a broken one never leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from node.results import (
    Report,
    key_objects,
    rejection_note,
)
from node.results._assertions_references import selection_faults
from tests.support_readings import STUDY, instance_uid
from tests.support_results import CASES, SUPERSEDED, revised

NOT_READ = [name for name in CASES if name.startswith("not_read")]


Break = Callable[[Dataset], None]


def keys(one: Report) -> Dataset:
    return key_objects.build(one, key_objects.OPTIONS())[""]


def note(one: Report) -> Dataset:
    return rejection_note.build(one, rejection_note.OPTIONS())[""]


def selected(dataset: Dataset) -> list[tuple[str, str]]:
    """(value type, SOP Instance UID) of what is selected."""
    return [
        (item.ValueType, item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in dataset.ContentSequence
        if item.ValueType in ("IMAGE", "COMPOSITE")
    ]


def description(dataset: Dataset) -> str:
    return next(str(item.TextValue) for item in dataset.ContentSequence if item.get("RelationshipType") == "CONTAINS")


def test_the_key_objects_are_the_marked_images() -> None:
    made = keys(CASES["positive"]())
    assert made.ConceptNameCodeSequence[0].CodeValue == "113000"
    assert selected(made) == [("IMAGE", instance_uid(2)), ("IMAGE", instance_uid(4))]
    assert description(made).startswith("AI triage: suspicious. Marked: L CC 87.3 %, L MLO 77.3 %. Demonstration.")


@pytest.mark.parametrize("case", ["negative", "suspicious_without_marks", *NOT_READ])
def test_without_a_mark_there_are_no_key_objects(case: str) -> None:
    assert key_objects.build(CASES[case](), key_objects.OPTIONS()) == {}


def test_the_note_names_what_is_superseded_but_earlier_notes() -> None:
    made = note(revised(CASES["positive"]()))
    assert made.ConceptNameCodeSequence[0].CodeValue == "113001"
    assert selected(made) == [
        ("IMAGE" if earlier.kind == "summary_sc" else "COMPOSITE", earlier.sop_instance_uid)
        for earlier in SUPERSEDED
        if earlier.kind != "rejection_note"
    ]
    assert "revision 2" in description(made)
    assert rejection_note.build(CASES["positive"](), rejection_note.OPTIONS()) == {}


# --- broken on purpose


def selected_twice(dataset: Dataset) -> None:
    dataset.ContentSequence.append(dataset.ContentSequence[-1])


def something_else(dataset: Dataset) -> None:
    dataset.ContentSequence[-1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def evidence_forgotten(dataset: Dataset) -> None:
    dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence.pop()


def of_another_study(dataset: Dataset) -> None:
    dataset.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID = "1.2.3"


def itself(dataset: Dataset) -> None:
    dataset.SOPInstanceUID = dataset.ContentSequence[-1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID


def other_title(dataset: Dataset) -> None:
    dataset.ConceptNameCodeSequence[0].CodeValue = "113037"


def other_meaning(dataset: Dataset) -> None:
    dataset.ConceptNameCodeSequence[0].CodeMeaning = "Of no interest"


BROKEN_SELECTIONS: dict[str, tuple[Break, str]] = {
    "an object twice": (selected_twice, "selected 2 times"),
    "another object": (something_else, "not what was meant"),
    "missing evidence": (evidence_forgotten, "the evidence is not"),
    "an object of another study": (of_another_study, "another study"),
    "itself": (itself, "selects itself"),
    "another title": (other_title, "another title"),
    "another meaning": (other_meaning, "is called 'Of no interest'"),
}


@pytest.mark.parametrize("fault", BROKEN_SELECTIONS)
def test_a_broken_selection_is_noticed(fault: str) -> None:
    one = CASES["positive"]()
    images = [one.sources[1], one.sources[3]]
    made = keys(one)
    assert selection_faults(made, images, STUDY) == []
    change, said = BROKEN_SELECTIONS[fault]
    change(made)
    faults = selection_faults(made, images, STUDY)
    assert any(said in sentence for sentence in faults), f"{fault} was not noticed; found: {faults}"

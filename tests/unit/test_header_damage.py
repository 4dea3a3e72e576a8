"""Headers in any combination of faults and damage: always a decision, in any order, and never a mended refusal."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from ai.eligibility import Eligible, Ineligible, judge, judge_view
from ai.exam import STANDARD_VIEWS, Exam, View
from tests.support_corpus import RULES, headers, later, uids, whole_exam
from tests.support_faults import VIEW_FAULTS, Fault, SeenIn, coded, values_of

HEADER_FAULTS = [fault for fault in VIEW_FAULTS if fault.seen_in is SeenIn.HEADER]


chosen_faults = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(HEADER_FAULTS)), max_size=5)


def spoiled_exam(faults: list[tuple[int, Fault]]) -> list[Dataset]:
    datasets = headers()
    for number, fault in faults:
        if "ViewCodeSequence" in fault.touched:  # an earlier fault may have removed what this one spoils
            datasets[number].ViewCodeSequence = Sequence([coded("399162004")])
        fault.spoil(datasets[number])
    return datasets


@settings(max_examples=80, deadline=None)
@given(faults=chosen_faults, extra=chosen_faults, seed=st.integers(0, 1000))
def test_any_combination_is_decided_and_order_does_not_matter(
    faults: list[tuple[int, Fault]], extra: list[tuple[int, Fault]], seed: int
) -> None:
    extras = [later(each, 50 + number) for number, each in enumerate(spoiled_exam(extra))]
    datasets = [*spoiled_exam(faults), *extras[: seed % 5]]
    verdict = judge(Exam.from_datasets(datasets), RULES)
    random.Random(seed).shuffle(datasets)
    again = judge(Exam.from_datasets(datasets), RULES)
    assert verdict == again
    if isinstance(verdict, Eligible):
        assert tuple(verdict.views) == STANDARD_VIEWS
        assert all(judge_view(view, RULES) is None for view in verdict.views.values())
    else:
        assert verdict.reasons
    told = {reason.sop_instance_uid for reason in verdict.left_out}
    told |= {view.sop_instance_uid for view in verdict.views.values()} if isinstance(verdict, Eligible) else set()
    told |= {reason.sop_instance_uid for reason in verdict.reasons} if isinstance(verdict, Ineligible) else set()
    fine = {each.SOPInstanceUID for each in datasets if judge_view(View.from_dataset(each), RULES) is None}
    assert {each.SOPInstanceUID for each in datasets} <= told | fine, "an image was passed over in silence"


@settings(max_examples=60, deadline=None)
@given(extras=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(HEADER_FAULTS)), min_size=1, max_size=5))
def test_bad_extras_never_change_what_is_read(extras: list[tuple[int, Fault]]) -> None:
    datasets = headers()
    bad = []
    for number, (which, fault) in enumerate(extras):
        image = later(spoiled_exam([(which, fault)])[which], 60 + number)
        if judge_view(View.from_dataset(image), RULES) is not None:  # the other side's region may suit this side
            bad.append(image)
    verdict = judge(Exam.from_datasets([*datasets, *bad]), RULES)
    assert isinstance(verdict, Eligible)
    assert [view.sop_instance_uid for view in verdict.views.values()] == uids()
    assert len(verdict.left_out) == len(bad)


damages = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(["gone", "empty", "bytes"]), st.binary(max_size=12)), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(fault=st.sampled_from(HEADER_FAULTS), damage=damages)
def test_other_damage_to_a_header_never_mends_a_refused_view(
    fault: Fault, damage: list[tuple[int, str, bytes]]
) -> None:
    datasets = headers()
    fault.spoil(datasets[0])
    # what says which image it is, which kind, and whose: without it there is no image, or another exam
    kept = {"SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID", *fault.touched}
    tags = [tag for tag in datasets[0].keys() if keyword_for_tag(tag) not in kept]  # noqa: SIM118 (no conversion)
    for place, how, content in damage:
        tag = tags[place % len(tags)]
        if tag not in datasets[0]:
            continue
        if how == "gone":
            del datasets[0][tag]
        else:
            value = b"" if how == "empty" else content
            vr = datasets[0].get_item(tag).VR if how == "empty" or place % 2 else "UN"
            datasets[0][tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    verdict = judge(Exam.from_datasets(datasets), RULES)
    assert isinstance(verdict, Ineligible)


@settings(max_examples=100, deadline=None)
@given(
    keyword=st.sampled_from(["BreastImplantPresent", "PartialView", "QualityControlImage", "BurnedInAnnotation"]),
    content=st.binary(min_size=1, max_size=10),
)
def test_a_damaged_mark_still_marks(keyword: str, content: bytes) -> None:
    header = headers()[0]
    tag = header.data_element(keyword).tag
    header[tag] = RawDataElement(tag, "CS", len(content), content, 0, False, True)
    refused = judge_view(View.from_dataset(header), RULES) is not None
    assert refused or content.strip(b" \0").upper() in (b"", b"NO")


def test_values_are_those_of_the_drawing() -> None:
    """The corpus spoils pixels through this reading of them; it had better be right."""
    values = values_of(whole_exam()[0])
    assert values.max() > 1000
    assert (values[:, 0] == 0).mean() > 0.5, "air at the left of a right breast"

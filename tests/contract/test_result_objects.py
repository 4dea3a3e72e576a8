"""What every offered result object keeps, found by its file alone."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pydicom
import pytest
from pydantic import BaseModel, ValidationError
from pydicom.uid import ExplicitVRLittleEndian

from ai.extensions import NoSuchExtension
from node import results
from tests.support_readings import (
    STUDY,
    encoded,
)
from tests.support_results import CASES

#: One of each way an exam can end; the whole matrix is judged in tests/peers/test_judges.py.
ENDS = (
    "positive",
    "bilateral_revised",
    "negative",
    "one_breast_left_out",
    "not_read_many_reasons",
    "not_read_no_mammogram",
)


@pytest.fixture(params=results.offered())
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_options_are_frozen_have_defaults_and_refuse_unknown_keys(kind: str) -> None:
    module = results.load(kind)
    assert issubclass(module.OPTIONS, BaseModel)
    assert module.OPTIONS.model_config.get("frozen") is True
    with pytest.raises(ValidationError, match="extra_forbidden"):
        module.OPTIONS(no_such_option=1)
    module.OPTIONS()


def files(kind: str, case: str) -> dict[str, bytes]:
    module = results.load(kind)
    return {part: encoded(made) for part, made in module.build(CASES[case](), module.OPTIONS()).items()}


@pytest.mark.parametrize("case", ENDS)
def test_the_same_report_gives_the_same_bytes(kind: str, case: str) -> None:
    first, second = (files(kind, case) for _ in range(2))
    assert first == second, "made again, the object is another one"


@pytest.mark.parametrize("case", ENDS)
def test_it_is_a_whole_file_of_the_same_study(kind: str, case: str) -> None:
    one = CASES[case]()
    for content in files(kind, case).values():
        result = pydicom.dcmread(io.BytesIO(content))
        assert result.StudyInstanceUID == STUDY
        assert result.PatientID == one.sources[0].PatientID
        assert result.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert result.file_meta.MediaStorageSOPClassUID == result.SOPClassUID
        assert result.SOPInstanceUID.is_valid
        assert result.SOPInstanceUID not in {source.SOPInstanceUID for source in one.sources}


@pytest.mark.parametrize("case", ENDS)
def test_a_kind_that_says_so_has_an_object_for_every_exam(kind: str, case: str) -> None:
    """The configuration counts on it: somebody must hear of a negative and of an unread exam."""
    if results.is_for_every_exam(kind):
        assert files(kind, case), f"{kind} is silent on {case}"
    elif case.startswith("not_read"):
        assert not files(kind, case), f"{kind} speaks of an exam that was not read"


def test_an_object_that_comes_last_is_none_of_a_first_revision(kind: str) -> None:
    if results.is_sent_last(kind):
        assert not files(kind, "positive")
        assert files(kind, "bilateral_revised")


def test_the_report_is_left_as_it_was(kind: str) -> None:
    module, one = results.load(kind), CASES["positive"]()
    before = [source.to_json_dict() for source in one.sources]
    module.build(one, module.OPTIONS())
    assert isinstance(one.previews, Mapping)
    assert [source.to_json_dict() for source in one.sources] == before, "build changed its sources"


def test_every_object_has_its_own_uid_and_every_kind_its_own_series() -> None:
    one = CASES["bilateral_revised"]()
    made = [list(module.build(one, module.OPTIONS()).values()) for module in map(results.load, results.offered())]
    instances = [result.SOPInstanceUID for kind in made for result in kind]
    assert len(set(instances)) == len(instances)
    series = [{result.SeriesInstanceUID for result in kind} for kind in made]
    assert len(set.union(*series)) == sum(map(len, series))


def test_an_unknown_kind_is_named_with_what_there_is() -> None:
    with pytest.raises(NoSuchExtension, match="summary_sc"):
        results.load("summary_card")

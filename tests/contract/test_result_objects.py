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
ENDS = ("positive", "negative", "one_breast_left_out", "not_read_many_reasons", "not_read_no_mammogram")


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


@pytest.mark.parametrize("case", ENDS)
def test_the_same_report_gives_the_same_bytes(kind: str, case: str) -> None:
    module = results.load(kind)
    first, second = (encoded(module.build(CASES[case](), module.OPTIONS())) for _ in range(2))
    assert first == second, "made again, the object is another one"


@pytest.mark.parametrize("case", ENDS)
def test_it_is_a_whole_file_of_the_same_study(kind: str, case: str) -> None:
    module, one = results.load(kind), CASES[case]()
    result = pydicom.dcmread(io.BytesIO(encoded(module.build(one, module.OPTIONS()))))
    assert result.StudyInstanceUID == STUDY
    assert result.PatientID == one.sources[0].PatientID
    assert result.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert result.file_meta.MediaStorageSOPClassUID == result.SOPClassUID
    assert result.SOPInstanceUID.is_valid
    assert result.SOPInstanceUID not in {source.SOPInstanceUID for source in one.sources}


def test_the_report_is_left_as_it_was(kind: str) -> None:
    module, one = results.load(kind), CASES["positive"]()
    before = [source.to_json_dict() for source in one.sources]
    module.build(one, module.OPTIONS())
    assert isinstance(one.previews, Mapping)
    assert [source.to_json_dict() for source in one.sources] == before, "build changed its sources"


def test_no_kind_shares_a_uid_with_another() -> None:
    one = CASES["negative"]()
    made = [module.build(one, module.OPTIONS()) for module in map(results.load, results.offered())]
    assert len({result.SOPInstanceUID for result in made}) == len(made)
    assert len({result.SeriesInstanceUID for result in made}) == len(made)


def test_an_unknown_kind_is_named_with_what_there_is() -> None:
    with pytest.raises(NoSuchExtension, match="summary_sc"):
        results.load("summary_card")

"""What searches find: put in with an instance, completed by later ones, gone with the study; narrowed and in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node import findable
from node.errors import TooBroad
from node.query import Key
from node.search import Search, search
from storage.catalogue import Catalogue, Level, Narrowing
from storage.database import Database
from storage.index import Index
from storage.schema import make_engine
from tests.support_exams import STUDY, exam, view
from tests.support_index import received

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(make_engine(f"sqlite:///{tmp_path / 'node.sqlite'}"))
    database.create_schema()
    yield database
    database.engine.dispose()


@pytest.fixture
def catalogue(database: Database) -> Catalogue:
    return Catalogue(database)


def put(catalogue: Catalogue, *datasets: Dataset) -> None:
    for dataset in datasets:
        catalogue.add(findable.entry(dataset))


def found(catalogue: Catalogue, level: Level = Level.STUDY, **conditions: object) -> list[str]:
    return [each.uids[-1] for each in catalogue.find(level, Narrowing(**conditions))]


def test_a_later_instance_adds_what_the_first_lacked_and_changes_nothing_else(catalogue: Catalogue) -> None:
    put(catalogue, view(1, AccessionNumber="", StudyDescription=None, PatientSex="F"))
    put(catalogue, view(2, AccessionNumber="A7", StudyDescription="Screening", PatientSex="O"))
    (study,) = catalogue.find(Level.STUDY, Narrowing())
    assert study.attributes["00080050"]["Value"] == ["A7"]
    assert study.attributes["00081030"]["Value"] == ["Screening"]
    assert study.attributes["00100040"]["Value"] == ["F"]
    assert found(catalogue, any_of={"accession_number": ["A7"]}) == [STUDY]


def test_the_same_instance_twice_is_there_once(catalogue: Catalogue) -> None:
    put(catalogue, view(1), view(1))
    assert catalogue.summaries([STUDY])[STUDY].series == {f"{STUDY}.0": 1}


def test_what_is_contained_is_counted(catalogue: Catalogue) -> None:
    put(catalogue, *exam(), view(9, Modality="SR", SeriesInstanceUID=f"{STUDY}.90", SOPClassUID="1.2.3"))
    summary = catalogue.summaries([STUDY])[STUDY]
    assert (summary.series, summary.modalities) == ({f"{STUDY}.0": 4, f"{STUDY}.90": 1}, {"MG", "SR"})
    assert len(summary.sop_classes) == 2


def test_the_latest_study_comes_first_and_the_order_is_always_the_same(catalogue: Catalogue) -> None:
    for number, day in enumerate(("20200101", "20260101", "", "20230101", "20260101"), start=1):
        put(catalogue, view(study=f"{STUDY}.{number}", StudyDate=day))
    order = [f"{STUDY}.{number}" for number in (5, 2, 4, 1, 3)]
    assert found(catalogue) == order
    paged = [
        each.uids[0] for start in (0, 2, 4) for each in catalogue.find(Level.STUDY, Narrowing(), offset=start, limit=2)
    ]
    assert paged == order


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"between": {"study_date": ("20200101", "20201231")}}, ["1"]),
        ({"any_of": {"patient_id": ["P1", "P2"]}}, ["2", "1"]),
        ({"any_of": {"patient_id": []}}, []),
        ({"like": [("patient_name", "h*n^*")]}, ["1"]),
        ({"like": [("patient_id", "P%*")]}, ["3"]),
        ({"like": [("patient_id", "P_*")]}, []),
        ({"like": [("study_attributes", "*Åse*")]}, ["2"]),
        ({"any_of": {"modality": ["SR"]}}, ["2"]),
        ({"any_of": {"sop_instance_uid": [f"{STUDY}.3.1"]}}, ["3"]),
    ],
)
def test_columns_narrow(catalogue: Catalogue, conditions: dict[str, object], expected: list[str]) -> None:
    put(
        catalogue,
        view(study=f"{STUDY}.1", PatientID="P1", StudyDate="20200601", PatientName="Hansen^Kari"),
        view(study=f"{STUDY}.2", PatientID="P2", StudyDate="20210601", PatientName="Ødegård^Åse", Modality="SR"),
        view(study=f"{STUDY}.3", PatientID="P%3", StudyDate="20220601", PatientName="Li^Na"),
    )
    assert found(catalogue, **conditions) == [f"{STUDY}.{number}" for number in expected]


def test_a_study_that_is_forgotten_is_not_found(database: Database, catalogue: Catalogue) -> None:
    index, dataset = Index(database), view()
    held = {"sop_instance_uid": dataset.SOPInstanceUID, "series_instance_uid": dataset.SeriesInstanceUID}
    instance = received(STUDY, NOW, path="a/b.dcm", to_read=False, **held)
    assert index.add_instance(instance, lambda _: None, findable.entry(dataset))
    assert [each.path for each in catalogue.held(STUDY)] == ["a/b.dcm"]
    assert catalogue.held(STUDY, f"{STUDY}.0", f"{STUDY}.1") == catalogue.held(STUDY)
    assert catalogue.held(STUDY, f"{STUDY}.1") == []
    assert index.forget(STUDY, datetime(2027, 1, 1, tzinfo=UTC)) == ["a/b.dcm"]
    assert found(catalogue) == []
    assert catalogue.held(STUDY) == []


def test_a_search_that_would_look_at_everything_one_by_one_is_refused(catalogue: Catalogue) -> None:
    put(catalogue, *(view(study=f"{STUDY}.{number}") for number in range(5)))
    by_time = Key("00080030", "TM", ("0800",))
    assert len(search(catalogue, Search(level=Level.STUDY, keys=(by_time,))).matches) == 5
    with pytest.raises(TooBroad, match="narrow it by"):
        search(catalogue, Search(level=Level.STUDY, keys=(by_time,), most_looked_at=4))

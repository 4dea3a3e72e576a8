"""QIDO-RS over a real socket, asked by dicomweb-client and by plain requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydicom.dataset import Dataset

from tests.support_exams import STUDY, exam, view
from tests.support_web import Web, web

KARI, ASE, OLD = f"{STUDY}.1", f"{STUDY}.2", f"{STUDY}.3"


def report(study: str) -> Dataset:
    """Something of another modality and series in the same study."""
    return view(
        9, study=study, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR", SeriesInstanceUID=f"{study}.90"
    )


def requested(dataset: Dataset, *pairs: tuple[str, str]) -> Dataset:
    """With the scheduled steps and requested procedures given."""
    dataset.RequestAttributesSequence = []
    for step, procedure in pairs:
        item = Dataset()
        item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
        dataset.RequestAttributesSequence.append(item)
    return dataset


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("search")) as served:
        served.put(
            *exam(KARI, PatientName="Hansen^Kari", PatientID="P1", AccessionNumber="A1", StudyDate="20261120"),
            report(KARI),
            *exam(ASE, PatientName="Ødegård^Åse Čáđŋ", PatientID="P2", AccessionNumber="A2", StudyDate="20261124"),
            requested(
                view(
                    study=OLD,
                    PatientName="Hansen^Anna",
                    PatientID="P3",
                    StudyDate="20191231",
                    AccessionNumber=None,
                    ReferringPhysicianName="Bø^Ole",
                    StudyDescription='Screening "%_/Å',
                ),
                ("STEP1", "RP1"),
                ("STEP2", "RP2"),
            ),
        )
        yield served


def found(served: Web, **filters: str) -> set[str]:
    """UIDs of the studies that dicomweb-client finds."""
    return {each["0020000D"]["Value"][0] for each in served.client.search_for_studies(search_filters=filters)}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {KARI, ASE, OLD}),
        ({"PatientID": "P1"}, {KARI}),
        ({"00100020": "P1"}, {KARI}),
        ({"PatientID": "P?"}, {KARI, ASE, OLD}),
        ({"PatientID": ""}, {KARI, ASE, OLD}),
        ({"PatientID": "%"}, set()),
        ({"PatientID": "P_"}, set()),
        ({"PatientName": "hansen*"}, {KARI, OLD}),
        ({"PatientName": "Hansen^Kari"}, {KARI}),
        ({"PatientName": "*ODEGARD*"}, {ASE}),
        ({"PatientName": "Ødegård^Åse Čáđŋ"}, {ASE}),
        ({"PatientName": "*čáđŋ"}, {ASE}),
        ({"StudyDate": "20261120"}, {KARI}),
        ({"StudyDate": "20261101-20261130"}, {KARI, ASE}),
        ({"StudyDate": "-20200101"}, {OLD}),
        ({"StudyDate": "20261124-"}, {ASE}),
        ({"StudyDate": "20261101-20261130", "PatientName": "*a*"}, {KARI, ASE}),
        ({"StudyDate": "20261120-20261124", "StudyTime": "0900-1000"}, {ASE}),
        ({"StudyTime": "08"}, {KARI, ASE, OLD}),
        ({"AccessionNumber": "A2"}, {ASE}),
        ({"StudyInstanceUID": f"{KARI},{OLD}"}, {KARI, OLD}),
        ({"ModalitiesInStudy": "SR"}, {KARI}),
        ({"ModalitiesInStudy": "SR,MG"}, {KARI, ASE, OLD}),
        ({"ModalitiesInStudy": "S*"}, {KARI}),
        ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.88.33"}, {KARI}),
        ({"NumberOfStudyRelatedInstances": "4"}, {ASE}),
        ({"ReferringPhysicianName": "x"}, set()),
        ({"ReferringPhysicianName": "bø^*"}, {OLD}),
        ({"StudyDescription": "*screen*"}, set()),
        ({"StudyDescription": 'Screening "%_*'}, {OLD}),
        ({"StudyDescription": "*%?/Å*"}, {OLD}),
        ({"AccessionNumber": '""', "emptyvaluematching": "true"}, {OLD}),
        ({"PatientID": "P1\\P2", "multiplevaluematching": "true"}, {KARI, ASE}),
    ],
)
def test_studies_by_every_kind_of_matching(served: Web, filters: dict[str, str], expected: set[str]) -> None:
    assert found(served, **filters) == expected


def test_a_study_comes_with_what_the_standard_asks_for_and_its_letters(served: Web) -> None:
    (study,) = served.client.search_for_studies(search_filters={"PatientID": "P2"})
    assert study["00100010"]["Value"] == [{"Alphabetic": "Ødegård^Åse Čáđŋ"}]
    assert study["00080005"]["Value"] == ["ISO_IR 192"]
    assert study["00080061"]["Value"] == ["MG"]
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([1], [4])
    assert study["00081190"]["Value"] == [f"{served.base}/studies/{ASE}"]
    assert study["00080056"]["Value"] == ["ONLINE"]
    assert {"00080020", "00080030", "00080050", "00080090", "00100030", "00100040", "00200010"} <= set(study)
    (kari,) = served.client.search_for_studies(search_filters={"PatientID": "P1"})
    assert (kari["00080061"]["Value"], kari["00201206"]["Value"], kari["00201208"]["Value"]) == (["MG", "SR"], [2], [5])


def test_series_of_a_study_of_all_and_by_what_is_in_a_sequence(served: Web) -> None:
    client = served.client
    series = client.search_for_series(KARI)
    assert {(each["00080060"]["Value"][0], each["00201209"]["Value"][0]) for each in series} == {("MG", 4), ("SR", 1)}
    assert series[0]["00081190"]["Value"][0].startswith(f"{served.base}/studies/{KARI}/series/")
    assert "00100020" not in series[0], "the path names the study already"
    of_sr_studies = client.search_for_series(search_filters={"ModalitiesInStudy": "SR"})
    assert {each["00080060"]["Value"][0] for each in of_sr_studies} == {"MG", "SR"}, "it is about the whole study"
    everywhere = client.search_for_series(search_filters={"Modality": "SR", "PatientID": "P1"})
    assert [each["00100020"]["Value"] for each in everywhere] == [["P1"]]
    path = "RequestAttributesSequence.ScheduledProcedureStepID"
    assert len(client.search_for_series(search_filters={path: "STEP2"})) == 1
    both = {path: "STEP2", "00400275.00401001": "RP2"}
    assert len(client.search_for_series(search_filters=both)) == 1
    assert client.search_for_series(search_filters={**both, path: "STEP1"}) == [], "not of the same item"


def test_instances_of_a_series_of_a_study_and_of_all(served: Web) -> None:
    client = served.client
    assert len(client.search_for_instances(KARI)) == 5
    (first, *others) = client.search_for_instances(KARI, f"{KARI}.0")
    assert len(others) == 3
    assert (first["00280010"]["Value"], first["00280011"]["Value"], first["00280100"]["Value"]) == ([640], [512], [16])
    wanted = {"ImageLaterality": "L", "ViewPosition": "CC"}
    assert len(client.search_for_instances(search_filters=wanted)) == 2
    by_uid = client.search_for_instances(search_filters={"SOPInstanceUID": f"{KARI}.1,{KARI}.9"})
    assert {each["00080018"]["Value"][0] for each in by_uid} == {f"{KARI}.1", f"{KARI}.9"}
    assert len(client.search_for_instances(search_filters={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"})) == 1
    assert len(client.search_for_instances(search_filters={"Rows": "640", "InstanceNumber": "2"})) == 2


def test_limit_and_offset_page_through_in_a_stable_order(served: Web) -> None:
    for filters in ({}, {"StudyTime": "08"}):  # paged in SQL, and by the matcher
        pages = [
            served.client.search_for_studies(search_filters=filters, limit=1, offset=offset)[0] for offset in range(3)
        ]
        assert [page["0020000D"]["Value"][0] for page in pages] == [ASE, KARI, OLD], "the latest first"
        assert served.client.search_for_studies(search_filters=filters, limit=5, offset=3) == []


def test_a_cut_answer_says_so(served: Web) -> None:
    cut = served.get("/studies?limit=2")
    assert len(cut.json) == 2
    assert "more matches" in cut.headers["Warning"]
    assert "Warning" not in served.get("/studies?limit=3").headers
    assert served.get("/studies?limit=0").json == []


def test_the_nodes_own_limit_holds_and_is_told(tmp_path: Path) -> None:
    with web(tmp_path, web={"port": 0, "maximum_results": 2}) as small:
        small.put(*exam())
        answer = small.get("/instances?limit=100")
        assert len(answer.json) == 2
        assert answer.headers["Warning"].startswith("299 ")
        assert "at most 2" in answer.headers["Warning"]
        assert len(small.get("/instances").json) == 2


def test_fields_are_included_one_by_one_as_a_list_or_all(served: Web) -> None:
    path = f"/studies/{KARI}/instances?"
    assert "00200062" not in served.get(path).json[0]
    for fields in ("includefield=ImageLaterality", "includefield=00185101,00200062", "includefield=all"):
        assert "00200062" in served.get(path + fields).json[0], fields
    several = served.get(path + "includefield=ImageLaterality&includefield=PatientName").json[0]
    assert {"00200062", "00100010"} <= set(several)


def test_fuzzy_matching_is_accepted_and_the_answer_says_that_it_is_not_done(served: Web) -> None:
    assert "Warning" not in served.get("/studies?fuzzymatching=false&PatientName=Hansen*").headers
    fuzzy = served.get("/studies?fuzzymatching=true&PatientName=Hansen*")
    assert "fuzzymatching" in fuzzy.headers["Warning"]
    assert len(fuzzy.json) == 2


def test_nothing_found_is_an_empty_list(served: Web) -> None:
    answer = served.get("/studies?PatientID=nobody")
    assert (answer.status, answer.json, answer.headers["Content-Type"]) == (200, [], "application/dicom+json")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/studies?NoSuchThing=1", "NoSuchThing"),
        ("/studies?StudyDate=2026", "StudyDate"),
        ("/studies?StudyDate=2026*", "StudyDate"),
        ("/studies?KVP=28", "KVP"),
        ("/studies?Modality=MG", "Modality"),
        ("/studies?PatientID=P1&PatientID=P2", "PatientID"),
        ("/studies?StudyInstanceUID=1.2.*", "StudyInstanceUID"),
        ("/studies?PatientID.PatientName=x", "PatientID"),
        ("/studies?limit=-1", "limit"),
        ("/studies?limit=many", "limit"),
        ("/studies?offset=1.5", "offset"),
        ("/studies?fuzzymatching=maybe", "fuzzymatching"),
        ("/studies?includefield=Nothing", "includefield"),
        ("/series?RequestAttributesSequence=1", "RequestAttributesSequence"),
        ("/instances?Rows=many", "Rows"),
        ("/studies/not-a-uid/series", "StudyInstanceUID"),
        (f"/studies/{KARI}/series/1..2/instances", "SeriesInstanceUID"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(served: Web, path: str, names: str) -> None:
    answer = served.get(path)
    assert answer.status == 400
    assert answer.error.startswith(names), answer.error


def test_what_was_asked_for_does_not_come_back_in_an_error(served: Web) -> None:
    """A URL's query may hold a patient's ID, and errors are logged."""
    answer = served.get("/studies?StudyDate=" + quote("P1 Hansen"))
    assert "Hansen" not in answer.error


def test_long_headers_and_values_do_not_occupy_the_node(served: Web) -> None:
    began = time.process_time()
    assert served.get("/studies", "a;" * 15_000).status == 406
    assert served.get("/studies", '"' * 30_001).status == 406
    assert served.get("/studies?PatientID=" + "*a" * 2000).status == 400
    assert time.process_time() - began < 5


def test_only_json_is_given(served: Web) -> None:
    for accept in ("application/dicom+json", "application/json", "*/*", "application/*;q=0.5, text/html"):
        assert served.get("/studies", accept).status == 200, accept
    assert served.get("/studies", "application/json").headers["Content-Type"] == "application/json"
    assert served.get("/studies?accept=application/dicom+json", "text/html").status == 200
    refused = served.get("/studies", 'multipart/related; type="application/dicom+xml"')
    assert refused.status == 406
    assert "application/dicom+json" in refused.error

"""STOW-RS over a real socket: in through the one door, with the answer of PS3.18 10.5.3."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import imagecodecs
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless

from storage.records import StudyState
from tests.support import wait_until
from tests.support_exams import STUDY, as_file, exam, view
from tests.support_web import Answer, Web, compressed, path_of, web

BOUNDARY = "a-boundary"
TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Web]:
    with web(tmp_path) as served:
        yield served


def body(*parts: bytes) -> bytes:
    heads = b"--" + BOUNDARY.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(heads + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def post(served: Web, *parts: bytes, path: str = "/studies", content_type: str = TYPE) -> Answer:
    return served.ask("POST", path, "application/dicom+json", body(*parts), Content_Type=content_type)


def reasons(answer: Answer, tag: str = "00081198") -> dict[str, int]:
    """SOP Instance UID → Failure Reason, of the failed instances."""
    items: list[dict[str, Any]] = answer.json.get(tag, {"Value": []})["Value"]
    return {item.get("00081155", {"Value": ["?"]})["Value"][0]: item["00081197"]["Value"][0] for item in items}


def stored(answer: Answer) -> list[str]:
    items: list[dict[str, Any]] = answer.json.get("00081199", {"Value": []})["Value"]
    return [item["00081155"]["Value"][0] for item in items]


def test_what_dicomweb_client_stores_is_stored_and_can_be_had_again(served: Web) -> None:
    datasets = exam()
    for dataset in datasets:
        as_file(dataset)  # completes the file meta information
    answer = served.client.store_instances(datasets)
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [
        f"{STUDY}.{n}" for n in (1, 2, 3, 4)
    ]
    assert answer.RetrieveURL == f"{served.base}/studies/{STUDY}"
    assert answer.ReferencedSOPSequence[0].RetrieveURL == served.base + path_of(view())
    assert "FailedSOPSequence" not in answer
    got = served.client.retrieve_study(STUDY)
    assert {each.SOPInstanceUID: each.PixelData for each in got} == {
        each.SOPInstanceUID: each.PixelData for each in datasets
    }


def test_the_encoded_data_set_is_kept_as_it_came_and_the_sender_is_the_configured_one(served: Web) -> None:
    dataset = compressed(view(), JPEGLSLossless, imagecodecs.jpegls_encode)
    file = as_file(dataset)
    answer = post(served, file)
    assert (answer.status, stored(answer)) == (200, [f"{STUDY}.1"])
    held = served.node.index.instance(f"{STUDY}.1")
    assert (held.calling_ae_title, held.transfer_syntax_uid) == ("STOW-RS", JPEGLSLossless)
    content = served.node.store.read(held.path, held.sha256)
    assert data_set(content) == data_set(file)


def data_set(file: bytes) -> bytes:
    return file[144 + int.from_bytes(file[140:144], "little") :]


def test_a_study_stored_over_http_is_whole_as_one_sent_by_c_store_is(served: Web) -> None:
    assert post(served, *(as_file(each) for each in exam())).status == 200
    assert served.node.index.study(STUDY).state is StudyState.RECEIVING
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert served.node.index.due_studies(soon) == [STUDY], "the end of the request is the end of the study"
    post(served, *(as_file(each) for each in exam(f"{STUDY}.3")[:3]))
    assert served.node.index.due_studies(soon) == [STUDY], "three views wait for quiet"


def test_routing_rules_see_the_sender_and_refuse(tmp_path: Path) -> None:
    rules = [
        {"name": "not-by-http", "when": {"calling_ae_title": "UPLOAD", "station_name": "S1"}, "action": "refuse"},
        {"name": "rest", "when": {"modality": "MG"}},
    ]
    with web(tmp_path, web={"port": 0, "calling_ae_title": "UPLOAD"}, routing=rules) as served:
        answer = post(served, as_file(view(1, StationName="S1")), as_file(view(2)), as_file(view(3, Modality="CT")))
        assert answer.status == 202
        assert reasons(answer) == {f"{STUDY}.1": 0x0122, f"{STUDY}.3": 0x0122}
        assert stored(answer) == [f"{STUDY}.2"]


def test_what_is_wrong_with_one_does_not_keep_the_others_out(served: Web) -> None:
    mismatched = view(2)
    file = as_file(mismatched).replace(f"{STUDY}.2".encode(), f"{STUDY}.7".encode(), 1)
    no_series = as_file(view(3, SeriesInstanceUID=None))
    cut = as_file(view(4))[:300]
    answer = post(served, as_file(view(1)), file, no_series, cut, b"no DICOM", b"", as_file(view(5)))
    assert answer.status == 202
    assert stored(answer) == [f"{STUDY}.1", f"{STUDY}.5"]
    assert reasons(answer) == {f"{STUDY}.7": 0xA900, f"{STUDY}.3": 0xC000}
    assert reasons(answer, "0008119A") == {"?": 0xC000}
    assert len(answer.json["0008119A"]["Value"]) == 3
    assert served.node.index.instance(f"{STUDY}.2") is None


def test_all_failed_is_409(served: Web) -> None:
    answer = post(served, as_file(view(1, SeriesInstanceUID=None)))
    assert (answer.status, reasons(answer)) == (409, {f"{STUDY}.1": 0xC000})
    assert "00081190" not in answer.json


def test_another_study_than_the_path_names_fails(served: Web) -> None:
    answer = post(served, as_file(view(1)), as_file(view(2, study=f"{STUDY}.8")), path=f"/studies/{STUDY}")
    assert (answer.status, stored(answer)) == (202, [f"{STUDY}.1"])
    assert reasons(answer) == {f"{STUDY}.8.2": 0xA900}
    assert served.node.index.asides() == [], "it was only sent to the wrong place"
    assert served.client.store_instances([_complete(view(3))], study_instance_uid=STUDY).RetrieveURL.endswith(STUDY)
    assert post(served, as_file(view(1)), path="/studies/1..2").status == 400


def _complete(dataset: Dataset) -> Dataset:
    as_file(dataset)
    return dataset


def test_the_same_again_is_a_success_and_other_content_a_warning(served: Web) -> None:
    assert post(served, as_file(view())).status == 200
    assert post(served, as_file(view())).status == 200
    other = post(served, as_file(view(PatientSex="O")))
    assert other.status == 202
    assert other.json["00081199"]["Value"][0]["00081196"]["Value"] == [0xB000]
    assert len(served.node.index.asides()) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom+json"; boundary=x',
        'multipart/related; type="application/dicom+xml"; boundary=x',
        "application/dicom",
        "application/json",
        "multipart/form-data; boundary=x",
        "",
    ],
)
def test_other_bodies_are_declined_in_words(served: Web, content_type: str) -> None:
    answer = post(served, b"{}", content_type=content_type)
    assert answer.status == 415
    assert "multipart/related; type=application/dicom" in answer.error


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ('multipart/related; type="application/dicom"', b"x"),
        (TYPE, b""),
        (TYPE, b"--a-boundary--\r\n"),
        (TYPE, b"--another\r\n\r\n--another--\r\n"),
        (TYPE, body(as_file(view()))[:-10]),
    ],
)
def test_bodies_that_are_not_multipart_or_empty(served: Web, content_type: str, data: bytes) -> None:
    answer = served.ask("POST", "/studies", data=data, Content_Type=content_type)
    assert answer.status == 400
    assert answer.error


def test_a_body_without_quotes_and_with_a_preamble_is_understood(served: Web) -> None:
    content_type = f"Multipart/Related;boundary={BOUNDARY}"
    assert post(served, as_file(view()), content_type=content_type).status == 200


def test_too_large_is_told_before_and_while_it_comes(tmp_path: Path) -> None:
    limits = {"web": {"port": 0, "maximum_request_bytes": 1_000_000}, "network": {"max_object_bytes": 700_000}}
    with web(tmp_path, **limits) as served:
        assert post(served, as_file(view())).status == 200
        two = post(served, as_file(view(1)), as_file(view(2)))
        assert (two.status, "maximum_request_bytes" in two.error) == (413, True)
        assert post(served, as_file(view(3)) + b"\0" * 60_000).status == 413
        assert chunked(served, body(as_file(view(4)), as_file(view(5)))) == 413


def chunked(served: Web, data: bytes) -> int:
    """The status of a request that does not say how long it is."""
    with socket.create_connection(("127.0.0.1", served.node.web.port)) as connection:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {TYPE}\r\n"
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        try:
            for start in range(0, len(data), 65536):
                chunk = data[start : start + 65536]
                connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        return int(connection.recv(1000).split()[1])


def test_no_room_is_507_and_no_database_503(tmp_path: Path) -> None:
    storage = {
        "database_url": f"sqlite:///{tmp_path}/node.sqlite",
        "object_folder": f"{tmp_path}/objects",
        "minimum_free_bytes": 10**18,
    }
    with web(tmp_path, storage=storage) as served:
        answer = post(served, as_file(view()))
        assert (answer.status, reasons(answer)) == (507, {f"{STUDY}.1": 0xA700})


def test_a_sender_that_goes_away_leaves_what_was_whole(served: Web) -> None:
    data = body(as_file(view(1)), as_file(view(2)))
    with socket.create_connection(("127.0.0.1", served.node.web.port)) as connection:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE}\r\n"
        connection.sendall(head.encode() + f"Content-Length: {len(data)}\r\n\r\n".encode() + data[:-100_000])
    wait_until(lambda: served.node.index.instance(f"{STUDY}.1"), 20, "the first instance to be stored")
    assert served.node.index.instance(f"{STUDY}.2") is None
    assert served.get("/studies").status == 200
    assert list(served.node.store.incoming.iterdir()) == []

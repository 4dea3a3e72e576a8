"""WADO-RS over a real socket: whole instances, metadata, bulk data; asked by dicomweb-client and plain requests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from tests.support_exams import STUDY, as_file, exam, view
from tests.support_web import EXPLICIT, Web, compressed, multi_frame, path_of, web

JLS = f"{STUDY}.7"
TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"


def in_jpeg_ls(study: str = JLS) -> Dataset:
    return compressed(view(study=study), JPEGLSLossless, imagecodecs.jpegls_encode)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("retrieve")) as served:
        served.put(*exam(), in_jpeg_ls())
        yield served


def stored(served: Web, dataset: Dataset) -> bytes:
    held = served.node.index.instance(dataset.SOPInstanceUID)
    return served.node.store.read(held.path, held.sha256)


# --- instances


def test_a_study_a_series_and_an_instance_come_back_as_they_were_stored(served: Web) -> None:
    client = served.client
    for got in (client.retrieve_study(STUDY), client.retrieve_series(STUDY, f"{STUDY}.0")):
        assert sorted(each.SOPInstanceUID for each in got) == [f"{STUDY}.{number}" for number in range(1, 5)]
        assert got[0].PixelData == view().PixelData
    one = served.get(path_of(view()), "application/dicom; transfer-syntax=*")
    assert one.body == stored(served, view())
    assert one.headers["Content-Type"] == "application/dicom"


def test_a_compressed_instance_comes_in_its_own_syntax_where_that_is_accepted(served: Web) -> None:
    dataset = in_jpeg_ls()
    for accept in (
        "application/dicom; transfer-syntax=*",
        f"application/dicom; transfer-syntax={JPEGLSLossless}",
        f'text/html, application/dicom; transfer-syntax="{JPEGLSLossless}"; q=0.1',
        f"application/dicom; transfer-syntax={JPEG2000}, application/dicom; transfer-syntax=*; q=0.5",
    ):
        assert served.get(path_of(dataset), accept).body == stored(served, dataset), accept
    got = served.client.retrieve_instance(JLS, f"{JLS}.0", f"{JLS}.1")
    assert got.file_meta.TransferSyntaxUID == JPEGLSLossless


@pytest.mark.parametrize("accept", ["application/dicom", f"application/dicom; transfer-syntax={EXPLICIT}"])
def test_and_otherwise_uncompressed_as_the_standard_says(served: Web, accept: str) -> None:
    answer = served.get(path_of(in_jpeg_ls()), accept)
    got = dcmread(io.BytesIO(answer.body))
    assert got.file_meta.TransferSyntaxUID == EXPLICIT
    assert got.PixelData == view(study=JLS).PixelData
    assert got.PatientName == "Test^Åse"
    assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_syntax_becomes_explicit_little_endian(tmp_path: Path, syntax: str) -> None:
    dataset = multi_frame()
    values = dataset.PixelData
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(values, "<u2").astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    with web(tmp_path) as served:
        served.put(dataset)
        got = dcmread(io.BytesIO(served.get(path_of(dataset), "application/dicom").body))
        assert got.PixelData == values
        assert (got.Rows, got.NumberOfFrames, got.ViewCodeSequence[0].CodeValue) == (24, 4, "399162004")
        frame = served.client.retrieve_instance_frames(STUDY, f"{STUDY}.0", f"{STUDY}.1", [3])
        assert frame[0] == values[2 * 24 * 32 * 2 : 3 * 24 * 32 * 2]


def test_an_object_without_pixels_is_written_anew(tmp_path: Path) -> None:
    dataset = view(SOPClassUID=TEXT_SR, Modality="SR")
    del dataset.PixelData, dataset.Rows, dataset.Columns
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    with web(tmp_path) as served:
        served.put(dataset)
        got = dcmread(io.BytesIO(served.get(path_of(dataset), "application/dicom").body))
        assert (got.file_meta.TransferSyntaxUID, got.PatientID) == (EXPLICIT, "P1")
        assert served.get(path_of(dataset) + "/frames/1").status == 404
        assert served.get(path_of(dataset) + "/rendered").status == 404


def test_a_syntax_that_cannot_be_made_is_refused_with_those_that_can(served: Web) -> None:
    answer = served.get(path_of(in_jpeg_ls()), f"application/dicom; transfer-syntax={JPEG2000}")
    assert answer.status == 406
    assert JPEGLSLossless in answer.error
    assert EXPLICIT in answer.error
    several = served.get(f"/studies/{STUDY}", "application/dicom")
    assert several.status == 406, "several instances need a multipart body"
    assert "multipart/related" in several.error


# --- metadata


def test_metadata_holds_everything_but_the_pixels(served: Web) -> None:
    client = served.client
    assert len(client.retrieve_study_metadata(STUDY)) == 4
    assert len(client.retrieve_series_metadata(STUDY, f"{STUDY}.0")) == 4
    found = client.retrieve_instance_metadata(STUDY, f"{STUDY}.0", f"{STUDY}.1")
    read = Dataset.from_json({tag: element for tag, element in found.items() if "BulkDataURI" not in element})
    expected = view()
    for element in expected:
        if element.keyword not in ("PixelData", "SpecificCharacterSet"):
            assert read[element.tag] == element or element.is_empty, element.keyword
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert "Value" not in found["7FE00010"]
    assert found["00083002"]["Value"] == [EXPLICIT]


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 100", "Sæther^Åshild Bø"), ("ISO_IR 192", "Čáđŋ^Åse"), ("ISO_IR 144", "Люкceмбypг")],
)
def test_letters_come_back_whole_whatever_they_were_written_in(tmp_path: Path, character_set: str, name: str) -> None:
    dataset = view(SpecificCharacterSet=character_set, PatientName=name)
    with web(tmp_path) as served:
        served.put(dataset)
        (metadata,) = served.get(f"/studies/{STUDY}/metadata").json
        assert metadata["00100010"]["Value"] == [{"Alphabetic": name}]
        assert metadata["00080005"]["Value"] == ["ISO_IR 192"]
        (study,) = served.get("/studies").json
        assert study["00100010"]["Value"] == [{"Alphabetic": name}]


def test_values_that_are_not_what_they_should_be_are_given_as_they_were_sent(tmp_path: Path) -> None:
    dataset = view(SeriesNumber=None)
    dataset.add_new(0x00181114, "LO", "one point eight")  # Estimated Radiographic Magnification Factor, a DS
    dataset[0x00181114].VR = "DS"
    file = as_file(dataset)
    assert b"one point eight" in file
    with web(tmp_path) as served:
        served.put(dataset)
        (metadata,) = served.get(f"/studies/{STUDY}/metadata").json
        assert metadata["00181114"] == {"vr": "DS", "Value": ["one point eight"]}


# --- bulk data


def test_pixel_data_and_large_values_are_links_that_lead_to_them(tmp_path: Path) -> None:
    dataset = view()
    large, small, nested = bytes(range(256)) * 1000, b"\1\2\3\4", b"\5" * 2000
    block = dataset.private_block(0x0009, "TESTMAKER", create=True)
    block.add_new(0x01, "OB", large)
    block.add_new(0x02, "OB", small)
    item = Dataset()
    item.add_new(0x00282000, "OB", nested)  # ICC Profile
    dataset.add_new(0x00480105, "SQ", [item])  # Optical Path Sequence
    with web(tmp_path) as served:
        served.put(dataset)
        client = served.client
        found = client.retrieve_instance_metadata(STUDY, f"{STUDY}.0", f"{STUDY}.1")
        assert found["00091002"]["InlineBinary"] == "AQIDBA=="
        inner = found["00480105"]["Value"][0]["00282000"]
        for link, expected in (
            (found["7FE00010"]["BulkDataURI"], dataset.PixelData),
            (found["00091001"]["BulkDataURI"], large),
            (inner["BulkDataURI"], nested),
        ):
            assert client.retrieve_bulkdata(link) == [expected]
            assert served.get(link, "application/octet-stream").body == expected
        base = f"{path_of(dataset)}/bulkdata"
        for path, status in (("00480105/2/00282000", 404), ("7FE00011", 404), ("x", 400), ("00480105/1", 400)):
            assert served.get(f"{base}/{path}").status == status, path


# --- what is not there, or not as it was


def test_what_is_not_there_is_404_with_a_body(served: Web) -> None:
    for path in (
        "/studies/1.2.3",
        f"/studies/{STUDY}/series/1.2.3",
        f"/studies/{STUDY}/series/{STUDY}.0/instances/1.2.3",
        "/studies/1.2.3/metadata",
        f"/studies/{STUDY}/series/1.2.3/instances/{STUDY}.1/frames/1",
        "/nothing/here",
    ):
        answer = served.get(path)
        assert (answer.status, bool(answer.error)) == (404, True), path
    assert served.get("/studies/..%2f..%2fetc").status in (400, 404)
    assert served.ask("DELETE", f"/studies/{STUDY}").status == 405


def test_an_altered_or_missing_file_is_an_error_and_never_half_an_answer(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        served.put(*exam())
        client = served.client
        held = {each.sop_instance_uid: served.node.store.path(each.path) for each in served.node.index.instances(STUDY)}
        altered = held[f"{STUDY}.2"]
        content = bytearray(altered.read_bytes())
        content[-1] ^= 1
        altered.write_bytes(content)
        held[f"{STUDY}.3"].unlink()
        shortened = held[f"{STUDY}.4"]
        shortened.write_bytes(shortened.read_bytes()[:-100])
        for path in ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010"):
            for number, word in ((2, "altered"), (3, "missing"), (4, "bytes")):
                answer = served.get(f"/studies/{STUDY}/series/{STUDY}.0/instances/{STUDY}.{number}{path}")
                assert answer.status == 500, (path, number)
                assert word in answer.error, (path, number)
            assert served.get(f"/studies/{STUDY}/series/{STUDY}.0/instances/{STUDY}.1{path}").status == 200, path
        for path in ("", "/metadata"):
            assert served.get(f"/studies/{STUDY}{path}").status == 500
        assert len(client.search_for_instances(STUDY)) == 4, "they are known all the same"


def test_a_file_that_is_altered_after_it_was_given_out_is_noticed(tmp_path: Path) -> None:
    with web(tmp_path) as served:
        served.put(view())
        assert served.get(path_of(view())).status == 200
        path = served.node.store.path(served.node.index.instance(view().SOPInstanceUID).path)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        assert served.get(path_of(view())).status == 500

"""WADO-RS in other transfer syntaxes than the stored one, and whole studies of bulk data and of pictures."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ai.decoding import decode_frame
from tests.support import require_tool
from tests.support_exams import STUDY, exam, view
from tests.support_web import EXPLICIT, Web, compressed, frames_of, multi_frame, path_of, web

MANY, COLOUR, SIGNED, PACKED = f"{STUDY}.4", f"{STUDY}.5", f"{STUDY}.6", f"{STUDY}.7"
#: What undoes it, of a maker who is not ours.
DCMTK = {JPEGLosslessSV1: "dcmdjpeg", JPEGLSLossless: "dcmdjpls", RLELossless: "dcmdrle"}
MADE = [*DCMTK, JPEG2000Lossless, HTJ2KLossless]
COLOURS = np.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=np.uint8)


def coloured() -> Dataset:
    dataset = view(study=COLOUR, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT", SamplesPerPixel=3)
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.Rows, dataset.Columns, dataset.PixelData = 30, 20, COLOURS.tobytes()
    return dataset


def packed() -> Dataset:
    return compressed(view(study=PACKED), JPEGLSLossless, imagecodecs.jpegls_encode)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("transcoding")) as served:
        signed = view(study=SIGNED, PixelRepresentation=1)
        served.put(*exam(), multi_frame(study=MANY), coloured(), signed, packed())
        yield served


def got(served: Web, dataset: Dataset, syntax: str) -> Dataset:
    answer = served.get(path_of(dataset), f"application/dicom; transfer-syntax={syntax}")
    assert answer.status == 200, answer.body[:300]
    found = dcmread(io.BytesIO(answer.body))
    assert found.file_meta.TransferSyntaxUID == syntax
    assert (found.PatientName, found.SOPInstanceUID) == (dataset.PatientName, dataset.SOPInstanceUID)
    return found


def by_pillow(frame: bytes) -> np.ndarray:
    """Pillow makes 16 bits of the 12."""
    found = np.asarray(Image.open(io.BytesIO(frame)))
    return found if found.ndim == 3 else found >> 4


def values(dataset: Dataset, folder: Path) -> np.ndarray:
    """Of every frame: as dcmtk has them, of JPEG 2000 Pillow, and of HTJ2K alone our own decoder."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in DCMTK:
        frames = generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
        read = {
            JPEG2000Lossless: by_pillow,
            HTJ2KLossless: lambda frame: decode_frame(frame, syntax),
        }[syntax]
        return np.squeeze(np.stack([read(each) for each in frames]))
    dataset.save_as(folder / "in.dcm")
    tool = [require_tool(DCMTK[syntax]), folder / "in.dcm", folder / "out.dcm"]
    subprocess.run(tool, check=True, capture_output=True, timeout=60)
    return dcmread(folder / "out.dcm").pixel_array


@pytest.mark.parametrize("syntax", MADE, ids=lambda each: each.name)
def test_an_instance_comes_in_the_lossless_syntax_asked_for(served: Web, syntax: str, tmp_path: Path) -> None:
    for dataset, expected in (
        (multi_frame(study=MANY), frames_of()),
        (packed(), np.frombuffer(view(study=PACKED).PixelData, "<u2").reshape(640, 512)),
    ):
        np.testing.assert_array_equal(values(got(served, dataset, syntax), tmp_path), expected)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless, JPEG2000Lossless], ids=lambda each: each.name)
def test_colours_too_where_the_syntax_takes_them(served: Web, syntax: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(values(got(served, coloured(), syntax), tmp_path), COLOURS)


def test_implicit_little_endian_and_what_has_no_pixels(served: Web) -> None:
    assert got(served, packed(), ImplicitVRLittleEndian).PixelData == view(study=PACKED).PixelData


@pytest.mark.parametrize(
    ("dataset", "syntax", "allowed"),
    [
        (view(), "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.80"),  # lossy
        (view(), "1.2.840.10008.1.2.2", EXPLICIT),  # big endian
        (coloured(), HTJ2KLossless, RLELossless),
        (view(study=SIGNED), JPEGLSLossless, RLELossless),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_can(served: Web, dataset: Dataset, syntax: str, allowed: str) -> None:
    answer = served.get(path_of(dataset), f"application/dicom; transfer-syntax={syntax}")
    assert (answer.status, allowed in answer.error) == (406, True)


def test_signed_values_come_back_as_they_were(served: Web, tmp_path: Path) -> None:
    found = values(got(served, view(study=SIGNED), RLELossless), tmp_path)
    np.testing.assert_array_equal(found.view("<u2").ravel(), np.frombuffer(view().PixelData, "<u2"))


def test_a_whole_study_in_one_syntax_with_a_fallback(served: Web, tmp_path: Path) -> None:
    """dicomweb-client's way of asking."""
    found = served.client.retrieve_study(STUDY, media_types=(("application/dicom", str(JPEGLSLossless)),))
    assert [each.file_meta.TransferSyntaxUID for each in found] == [JPEGLSLossless] * 4
    expected = np.frombuffer(view().PixelData, "<u2").reshape(640, 512)
    np.testing.assert_array_equal(values(found[0], tmp_path), expected)


@pytest.mark.parametrize("media_type", ["image/jls", "image/jp2", "image/jphc", "image/jpeg", "image/dicom-rle"])
def test_a_frame_comes_in_the_syntax_that_its_media_type_means(served: Web, media_type: str) -> None:
    answer = served.get(path_of(multi_frame(study=MANY)) + "/frames/3", media_type)
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, media_type)
    syntax = answer.headers["Content-Type"].partition("transfer-syntax=")[2]
    if media_type != "image/dicom-rle":
        np.testing.assert_array_equal(decode_frame(answer.body, syntax), frames_of()[2])


# --- a study's bulk data and pictures


def parts(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """Content-Location and content of each part."""
    boundary = content_type.partition("boundary=")[2].encode()
    found = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)[1:-1]]
    names = [head.decode().partition("Content-Location: ")[2].partition("\r\n")[0] for head, _, _ in found]
    return [(name, content[:-2]) for name, (_, _, content) in zip(names, found, strict=True)]


@pytest.mark.parametrize("level", ["", f"/series/{STUDY}.0"])
def test_bulk_data_of_everything_is_where_its_parts_say(served: Web, level: str) -> None:
    for kind in ("bulkdata", "pixeldata"):
        answer = served.get(f"/studies/{STUDY}{level}/{kind}", 'multipart/related; type="application/octet-stream"')
        found = parts(answer.body, answer.headers["Content-Type"])
        assert [content for _, content in found] == [each.PixelData for each in exam()]
        assert served.get(found[2][0], "application/octet-stream").body == found[2][1]
    assert served.get(f"/studies/{STUDY}{level}/pixeldata", "application/octet-stream").status == 406


def test_compressed_bulk_data_comes_uncompressed(served: Web) -> None:
    for path in ("/bulkdata", "/pixeldata", "/bulkdata/7FE00010"):
        answer = served.get(path_of(packed()) + path, "application/octet-stream")
        assert answer.body == view(study=PACKED).PixelData, path


def test_every_image_of_a_study_as_a_picture(served: Web) -> None:
    accept = 'multipart/related; type="image/png"'
    answer = served.get(f"/studies/{STUDY}/rendered?viewport=64,64", accept)
    pictures = parts(answer.body, answer.headers["Content-Type"])
    assert [Image.open(io.BytesIO(content)).size for _, content in pictures] == [(51, 64)] * 4
    assert [name.rpartition("/studies/")[2].split("/")[-4] for name, _ in pictures[:1]] == [f"{STUDY}.1"]
    frames = served.get(f"{path_of(multi_frame(study=MANY))}/frames/1,3/rendered", accept)
    assert len(parts(frames.body, frames.headers["Content-Type"])) == 2
    every = served.get(f"{path_of(multi_frame(study=MANY))}/rendered", accept)
    assert len(parts(every.body, every.headers["Content-Type"])) == 4
    assert served.get(f"/studies/{STUDY}/rendered", "image/png").status == 406
    assert served.get(f"/series/{STUDY}/rendered").status == 404

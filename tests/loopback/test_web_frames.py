"""WADO-RS frames and pictures: own syntax, uncompressed, rendered; the values are those that were sent, bit for bit."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from tests.support import require_tool, wait_until
from tests.support_exams import STUDY, as_file, view
from tests.support_web import EXPLICIT, Web, compressed, frames_of, multi_frame, path_of, web

#: How each dataset is compressed: by dcmtk where it can, so that nothing of ours judges itself.
DCMTK = {"JPEG Lossless": "dcmcjpeg", "JPEG-LS": "dcmcjpls", "RLE": "dcmcrle"}
TYPES = {"JPEG Lossless": "image/jpeg", "JPEG-LS": "image/jls", "RLE": "image/dicom-rle", "JPEG 2000": "image/jp2"}


def packed(name: str, dataset: Dataset, folder: Path) -> Dataset:
    if name == "JPEG 2000":
        lossless = {"level": 0, "codecformat": "j2k", "mct": False, "reversible": True}
        return compressed(dataset, JPEG2000Lossless, lambda values: imagecodecs.jpeg2k_encode(values, **lossless))
    plain, out = folder / "plain.dcm", folder / "packed.dcm"
    plain.write_bytes(as_file(dataset))
    subprocess.run([require_tool(DCMTK[name]), plain, out], check=True, capture_output=True, timeout=60)
    return dcmread(out)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("frames")) as served:
        served.put(view(), multi_frame(study=f"{STUDY}.4"))
        yield served


def frame(served: Web, dataset: Dataset, number: int = 1) -> bytes:
    """One frame, uncompressed."""
    answer = served.get(f"{path_of(dataset)}/frames/{number}", "application/octet-stream")
    assert answer.status == 200, answer.body
    return answer.body


# --- frames


@pytest.mark.parametrize("name", TYPES)
def test_a_compressed_frame_comes_as_it_is_or_uncompressed(served: Web, name: str, tmp_path: Path) -> None:
    study = f"{STUDY}.{20 + list(TYPES).index(name)}"
    dataset = packed(name, view(study=study), tmp_path)
    served.put(dataset)
    own, syntax = get_frame(dataset.PixelData, 0, number_of_frames=1), str(dataset.file_meta.TransferSyntaxUID)
    client = served.client
    uids = (study, f"{study}.0", f"{study}.1")
    assert client.retrieve_instance_frames(*uids, [1], media_types=((TYPES[name], syntax),)) == [own]
    assert client.retrieve_instance_frames(*uids, [1]) == [own], "anything is accepted: as stored"
    plain = client.retrieve_instance_frames(*uids, [1], media_types=(("application/octet-stream", EXPLICIT),))
    assert plain == [view().PixelData]
    by_pydicom = dcmread(io.BytesIO(served.get(path_of(dataset), "application/dicom").body)).pixel_array
    np.testing.assert_array_equal(np.frombuffer(plain[0], "<u2").reshape(640, 512), by_pydicom)


def test_what_ohif_asks_for_is_the_stored_frame_with_its_syntax(served: Web) -> None:
    study = f"{STUDY}.30"
    dataset = compressed(view(study=study), JPEGLSLossless, imagecodecs.jpegls_encode)
    served.put(dataset)
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    answer = served.get(f"{path_of(dataset)}/frames/1", accept)
    assert answer.headers["Content-Type"].startswith('multipart/related; type="application/octet-stream"')
    assert f"application/octet-stream;transfer-syntax={JPEGLSLossless}".encode() in answer.body[:200]
    assert get_frame(dataset.PixelData, 0, number_of_frames=1) in answer.body


def test_several_frames_in_the_order_asked_for(served: Web) -> None:
    study = f"{STUDY}.4"
    got = served.client.retrieve_instance_frames(study, f"{study}.0", f"{study}.1", [4, 1, 3])
    assert got == [frames_of()[number].tobytes() for number in (3, 0, 2)]


@pytest.mark.parametrize("offsets", ["a table", "no table", "an extended table", "two fragments each"])
def test_frames_of_many_are_found_by_their_offsets(served: Web, offsets: str) -> None:
    study = f"{STUDY}.{40 + len(offsets)}"
    dataset = multi_frame(study=study)
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    frames = [imagecodecs.jpegls_encode(each) for each in frames_of()]
    if offsets == "an extended table":
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(
            frames
        )
    else:
        fragments = 2 if offsets.startswith("two") else 1
        dataset.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=offsets != "no table")
    dataset["PixelData"].VR = "OB"
    served.put(dataset)
    for number in (1, 2, 4):
        assert frame(served, dataset, number) == frames_of()[number - 1].tobytes(), number
    whole = dcmread(io.BytesIO(served.get(path_of(dataset), "application/dicom").body))
    np.testing.assert_array_equal(whole.pixel_array, frames_of())


def test_colour_frames(served: Web) -> None:
    study = f"{STUDY}.60"
    colours = np.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    dataset = secondary_capture(colours, study)
    served.put(dataset)
    assert frame(served, dataset) == colours.tobytes()
    picture = Image.open(io.BytesIO(served.get(f"{path_of(dataset)}/rendered", "image/png").body))
    np.testing.assert_array_equal(np.asarray(picture), colours)


def secondary_capture(colours: np.ndarray, study: str) -> Dataset:
    dataset = view(
        study=study,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        Modality="OT",
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    dataset.Rows, dataset.Columns = colours.shape[:2]
    dataset.PixelData = colours.tobytes()
    return dataset


@pytest.mark.parametrize(("frames", "status"), [("0", 400), ("x", 400), ("1,,2", 400), ("1,5", 404), ("5", 404)])
def test_frames_that_are_not_there(served: Web, frames: str, status: int) -> None:
    answer = served.get(f"{path_of(multi_frame(study=f'{STUDY}.4'))}/frames/{frames}")
    assert (answer.status, "frame" in answer.error) == (status, True)


def test_a_media_type_that_cannot_be_given_is_refused_with_those_that_can(served: Web) -> None:
    answer = served.get(f"{path_of(view())}/frames/1", 'multipart/related; type="image/webp"')
    assert answer.status == 406
    assert "application/octet-stream" in answer.error


# --- pictures


def rendered(served: Web, dataset: Dataset, query: str = "", accept: str = "image/png") -> np.ndarray:
    answer = served.get(f"{path_of(dataset)}/rendered{query}", accept)
    assert answer.status == 200, answer.body
    return np.asarray(Image.open(io.BytesIO(answer.body)))


def ramp(study: str, **elements: object) -> Dataset:
    """Every value of 12 bits once: 64 × 64."""
    dataset = view(study=study, Rows=64, Columns=64, **elements)
    dataset.PixelData = np.arange(4096, dtype="<u2").tobytes()
    return dataset


def test_the_window_asked_for_is_applied_as_the_standard_says(served: Web) -> None:
    dataset = ramp(f"{STUDY}.70", WindowCenter=100, WindowWidth=50)
    served.put(dataset)
    stored = np.arange(4096.0)
    for query, expected in (
        ("?window=2000,1000,linear", np.clip((stored - 1999.5) / 999 + 0.5, 0, 1)),
        ("?window=2000,1000,linear-exact", np.clip((stored - 2000) / 1000 + 0.5, 0, 1)),
        ("?window=2000,1000,sigmoid", 1 / (1 + np.exp(-4 * (stored - 2000) / 1000))),
        ("?window=2000,1000", np.clip((stored - 1999.5) / 999 + 0.5, 0, 1)),
        ("", np.clip((stored - 99.5) / 49 + 0.5, 0, 1)),
    ):
        got = rendered(served, dataset, query).ravel()
        np.testing.assert_array_equal(got, np.rint(expected * 255).astype(np.uint8), err_msg=query)


def test_monochrome1_is_shown_dark_where_its_values_are_high(served: Web) -> None:
    dataset = ramp(f"{STUDY}.71", PhotometricInterpretation="MONOCHROME1")
    served.put(dataset)
    got = rendered(served, dataset).ravel()
    assert (got[0], got[-1]) == (255, 0)
    assert (np.diff(got.astype(int)) <= 0).all()


def test_without_a_window_the_whole_range_is_shown_and_padding_is_black(served: Web) -> None:
    dataset = ramp(f"{STUDY}.72", PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1")
    values = np.full((64, 64), 1000, "<u2")
    values[0], values[1], values[2] = 0, 500, 2000
    dataset.PixelData = values.tobytes()
    served.put(dataset)
    got = rendered(served, dataset)
    assert (got[0, 0], got[1, 0], got[2, 0]) == (0, 255, 0)
    assert got[10, 0] == round(255 * (1 - 500 / 1500))


def test_a_voi_lut_is_looked_up_and_a_sigmoid_of_the_image_is_used(served: Web) -> None:
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [4096, 0, 16], [65535 - 16 * value for value in range(4096)]
    dataset = ramp(f"{STUDY}.73", VOILUTSequence=[lut])
    dataset.VOILUTSequence[0]["LUTDescriptor"].VR = "US"
    dataset.VOILUTSequence[0]["LUTData"].VR = "US"
    sigmoid = ramp(f"{STUDY}.74", WindowCenter=2000, WindowWidth=1000, VOILUTFunction="SIGMOID")
    served.put(dataset, sigmoid)
    expected = np.rint((65535 - 16 * np.arange(4096)) / 65535 * 255)
    np.testing.assert_array_equal(rendered(served, dataset).ravel(), expected)
    shown = 1 / (1 + np.exp(-4 * (np.arange(4096.0) - 2000) / 1000))
    np.testing.assert_array_equal(rendered(served, sigmoid).ravel(), np.rint(shown * 255))


def test_a_viewport_scales_cuts_and_mirrors(served: Web) -> None:
    dataset = ramp(f"{STUDY}.75")
    served.put(dataset)
    assert rendered(served, dataset, "?viewport=32,16").shape == (16, 16), "the shape of the image is kept"
    whole = rendered(served, dataset)
    np.testing.assert_array_equal(rendered(served, dataset, "?viewport=16,8,8,4,16,8"), whole[4:12, 8:24])
    np.testing.assert_array_equal(rendered(served, dataset, "?viewport=64,64,,,-64,"), whole[:, ::-1])


def test_the_query_parameter_wins_over_the_header(served: Web) -> None:
    path = f"{path_of(view())}/rendered"
    assert served.get(path, "*/*").headers["Content-Type"] == "image/jpeg"
    assert served.get(f"{path}?accept=image%2Fpng", "image/jpeg").headers["Content-Type"] == "image/png"
    assert (
        served.get(f"{path}?accept=image/jpeg", "multipart/related; type=x/y").headers["Content-Type"] == "image/jpeg"
    )
    assert served.get(path, "image/jp2").status == 406


def test_quality_and_dicomweb_client(served: Web) -> None:
    client = served.client
    uids = (STUDY, f"{STUDY}.0", f"{STUDY}.1")
    best = client.retrieve_instance_rendered(*uids, media_types=("image/jpeg",), params={"quality": 100})
    worst = client.retrieve_instance_rendered(*uids, media_types=("image/jpeg",), params={"quality": 5})
    assert len(worst) < len(best) / 2
    frame = client.retrieve_instance_frames_rendered(*uids, [1], media_types=("image/png",))
    assert Image.open(io.BytesIO(frame)).size == (512, 640)


def test_thumbnails_of_everything(served: Web) -> None:
    instance = path_of(view())
    for path in (f"/studies/{STUDY}", f"/studies/{STUDY}/series/{STUDY}.0", instance, f"{instance}/frames/1"):
        picture = Image.open(io.BytesIO(served.get(f"{path}/thumbnail").body))
        assert max(picture.size) == 256, path


@pytest.mark.parametrize(
    "query",
    [
        "window=1",
        "window=a,b",
        "window=1,0",
        "window=1,2,cubic",
        "window=nan,1",
        "quality=0",
        "quality=101",
        "viewport=0,0",
        "viewport=1,2,3",
        "viewport=10,10,0,0,9999,1",
        "viewport=99999999,1",
    ],
)
def test_what_cannot_be_rendered_is_refused_by_name(served: Web, query: str) -> None:
    answer = served.get(f"{path_of(view())}/rendered?{query}")
    assert answer.status == 400
    assert answer.error.startswith(f"{query.partition('=')[0]}: ")


# --- images that harm their decoder


def test_a_cut_frame_is_an_error_with_a_reason(served: Web) -> None:
    study = f"{STUDY}.80"
    dataset = view(study=study)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xe0 cut"])
    dataset["PixelData"].VR = "OB"
    served.put(dataset)
    answer = served.get(f"{path_of(dataset)}/rendered")
    assert answer.status == 500
    assert "cannot be decoded" in answer.error


def test_a_header_that_claims_a_giant_is_refused_before_memory_is_taken(served: Web) -> None:
    study = f"{STUDY}.81"
    dataset = view(study=study)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    dataset.Rows = dataset.Columns = 65535
    dataset.PixelData = encapsulate([b"\1\0\0\0" + b"\0" * 60])
    dataset["PixelData"].VR = "OB"
    served.put(dataset)
    answer = served.get(f"{path_of(dataset)}/rendered")
    assert answer.status == 500
    assert "more than any image has" in answer.error


def test_a_decoder_that_is_killed_costs_one_answer_and_not_the_node(tmp_path: Path) -> None:
    dataset = packed("RLE", view(), tmp_path)
    with web(tmp_path, web={"port": 0, "decoders": 1}) as served:
        served.put(dataset)
        assert frame(served, dataset) == view().PixelData
        decoders = served.node.decoders
        (first,) = decoders.pids
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not running(first), 10, "the decoder to end")
        assert frame(served, dataset) == view().PixelData, "another one has taken its place"
        assert decoders.pids != [first]


def test_a_decoder_that_dies_at_work_is_told_and_replaced(tmp_path: Path) -> None:
    dataset = packed("RLE", view(), tmp_path)
    with web(tmp_path, web={"port": 0, "decoders": 1}) as served:
        served.put(dataset)
        assert frame(served, dataset) == view().PixelData
        (first,) = served.node.decoders.pids
        os.kill(first, signal.SIGSTOP)  # it takes the next image and does not answer

        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(served.get(f"{path_of(dataset)}/frames/1", "application/octet-stream"))
        )
        asking.start()
        wait_until(lambda: served.node.decoders.busy == 1, 10, "the decoder to be asked")
        os.kill(first, signal.SIGKILL)
        asking.join(30)
        assert answers[0].status == 500
        assert "ended while" in answers[0].error
        assert frame(served, dataset) == view().PixelData


def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    dataset = packed("RLE", view(), tmp_path)
    with web(tmp_path, web={"port": 0, "decoders": 1, "decoding_timeout_s": 1}) as served:
        served.put(dataset)
        assert frame(served, dataset) == view().PixelData
        (first,) = served.node.decoders.pids
        os.kill(first, signal.SIGSTOP)
        answer = served.get(f"{path_of(dataset)}/frames/1", "application/octet-stream")
        assert answer.status == 500
        assert "decoding_timeout_s" in answer.error
        assert not running(first)


def running(pid: int) -> bool:
    """Whether the process runs (one that has ended and was not asked about does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

"""Objects of one study judged together and with their images, by dcentvfy; and drawn on them, by dcmtk's dcmp2pgm."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from ai.exam import STANDARD_VIEWS
from node.results import Report, presentation_state
from tests.support import require_tool
from tests.support_judges import VARIANTS, lines, objects, reported, require_judges, written
from tests.support_readings import COLUMNS, ROWS, encoded, header, preview, report
from tests.support_results import CASES, L_CC


@pytest.fixture(scope="module", autouse=True)
def _judges() -> None:
    require_judges()
    require_tool("dcmp2pgm")


def study(folder: Path, case: str) -> list[Path]:
    """Headers of a case's images, and every object of it."""
    sources = reported(case, "cad").sources
    pairs = [(f"image-{number}", source) for number, source in enumerate(sources)]
    for variant in VARIANTS:
        pairs += [(f"{variant}-{part.replace(' ', '_')}", made) for part, made in objects(variant, case).items()]
    return written(folder, pairs)


def said_of_the_set(paths: list[Path]) -> list[str]:
    """What dcentvfy finds, but for its surprise that a request repeats the accession number of its study."""
    return [line for line in lines("dcentvfy", *paths) if line.strip() and "IE <Study> versus <Series>" not in line]


@pytest.mark.parametrize(
    "case", ["positive", "bilateral_revised", "with_tomosynthesis", "latin_4", "not_read_many_reasons"]
)
def test_the_objects_of_a_study_agree_with_each_other_and_with_its_images(case: str, tmp_path: Path) -> None:
    assert said_of_the_set(study(tmp_path, case)) == []


def other_birth_date(dataset: Dataset) -> None:
    dataset.PatientBirthDate = "19700102"


def other_study_date(dataset: Dataset) -> None:
    dataset.StudyDate = "20261124"


def other_series_number(dataset: Dataset) -> None:
    dataset.SeriesNumber = 7


@pytest.mark.parametrize("breaks", [other_birth_date, other_study_date, other_series_number])
def test_dcentvfy_notices_an_object_that_disagrees(breaks: object, tmp_path: Path) -> None:
    paths = study(tmp_path, "positive")
    odd = next(path for path in paths if path.stem.startswith("overlay"))
    dataset = pydicom.dcmread(odd)
    breaks(dataset)  # type: ignore[operator]
    dataset.save_as(odd)
    assert said_of_the_set(paths), "dcentvfy found nothing"


# --- drawn by dcmtk


def displayed() -> np.ndarray:
    """The left CC as it is to be seen, 0–255."""
    picture = Image.open(io.BytesIO(preview(L_CC))).resize((COLUMNS, ROWS), Image.Resampling.NEAREST)
    return np.asarray(picture).astype(int)


def stored(number: int, *, inverse: bool, table: bool) -> Dataset:
    """A mammogram whose pixels, through its window or table and its polarity, look like `displayed`."""
    changes: dict[str, object] = {"WindowCenter": 2048, "WindowWidth": 4096, "PixelRepresentation": 0, "HighBit": 11}
    if table:
        item = Dataset()
        item.LUTDescriptor, item.LUTExplanation = [4096, 0, 16], "HALF"
        halved = (np.arange(4096) * 8).astype("<u2")  # at most half of 65535
        item["LUTData"] = DataElement("LUTData", "OW", halved.tobytes())
        changes["VOILUTSequence"] = [item]
    if inverse:
        changes |= {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
    names = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Demo^Anna", "SamplesPerPixel": 1}
    return header(number, STANDARD_VIEWS[number - 1], **changes, **names)


def drawn(one: Report, image: Dataset, folder: Path) -> np.ndarray:
    """The image as dcmtk displays it by our presentation state."""
    state = presentation_state.build(one, presentation_state.OPTIONS())["L"]
    (folder / "state.dcm").write_bytes(encoded(state))
    (folder / "image.dcm").write_bytes(encoded(image))
    command = [require_tool("dcmp2pgm"), "-p", folder / "state.dcm", folder / "image.dcm", folder / "drawn.pgm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return np.asarray(Image.open(folder / "drawn.pgm")).astype(int)


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
def test_dcmtk_displays_the_image_by_our_presentation_state(inverse: bool, table: bool, tmp_path: Path) -> None:
    """Tissue bright on dark air, whichever way the pixels are stored, by the source's window or its table."""
    sources = tuple(stored(n, inverse=inverse, table=table) for n in range(1, 5))
    one = report(CASES["positive"]().reading, sources)
    values = displayed() * 16
    image = pydicom.dcmread(io.BytesIO(encoded(sources[1])))
    image["PixelData"] = DataElement("PixelData", "OW", (4095 - values if inverse else values).astype("<u2").tobytes())
    seen = drawn(one, image, tmp_path)
    through_table = np.where(inverse, 255 - (255 - displayed()) // 2, displayed() // 2)
    expected = through_table if table else displayed()
    assert seen.shape == (ROWS, COLUMNS)
    assert np.abs(seen - expected).max() <= 2


def test_a_presentation_state_without_its_polarity_is_seen_to_be_wrong(tmp_path: Path) -> None:
    """The comparison above can fail."""
    sources = tuple(stored(n, inverse=True, table=False) for n in range(1, 5))
    image = pydicom.dcmread(io.BytesIO(encoded(sources[1])))
    image["PixelData"] = DataElement("PixelData", "OW", (4095 - displayed() * 16).astype("<u2").tobytes())
    for source in sources:
        source.PhotometricInterpretation = "MONOCHROME2"
    seen = drawn(report(CASES["positive"]().reading, sources), image, tmp_path)
    assert np.abs(seen - displayed()).mean() > 50

"""Where each millisecond of one image goes: decoding per transfer syntax beside another decoder, and the steps after.

    python benchmarks/pixels.py [--rounds 7] [--json]

One drawn mammogram of 4096 × 3328 × 12 bit, on one thread, turn about in one run; milliseconds are of the processor,
started programs included, so that a busy machine disturbs little. Ours is everything from the file to
values as displayed: parse, judge the stream, decode, account for its bytes, hash, padding. dcmtk's programs go from
file to file; pydicom's `pixel_array` and the codecs alone stay in memory. ratio: the other's median by ours.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, dcmwrite
from pydicom.encaps import get_frame
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from rich.console import Console
from rich.table import Table

from ai import lossless_jpeg
from ai.codestreams import read_jpeg
from ai.decoding import StoredImage, decode, read_image
from ai.exam import ImageLaterality, StandardView, View, ViewPosition
from ai.findings import BreastComposition
from ai.models._input import network_input
from ai.phantom import Identity, render, stored, woman, wrap
from ai.phantom.vendors import FJORDLYS
from ai.pixels import find_breast, preview, read_breast

ROWS, COLUMNS = 4096, 3328
R_MLO = StandardView(ImageLaterality.RIGHT, ViewPosition.MLO)
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    RLELossless,
)
DCMTK = {JPEGLosslessSV1: "dcmdjpeg", JPEGLSLossless: "dcmdjpls", RLELossless: "dcmdrle"}
PYDICOM = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)


def picture() -> NDArray[np.uint16]:
    """A right MLO of a dense breast, at the chest wall of the large field."""
    drawn = stored(render(woman(3, density=BreastComposition.C), R_MLO, look=FJORDLYS), FJORDLYS)
    values = np.zeros((ROWS, COLUMNS), np.uint16)
    rows, columns = min(ROWS, drawn.shape[0]), min(COLUMNS, drawn.shape[1])
    values[:rows, COLUMNS - columns :] = drawn[:rows, drawn.shape[1] - columns :]
    return values


def files(folder: Path, values: NDArray[np.uint16]) -> dict[UID, Path]:
    """The picture in each syntax."""
    paths = {}
    identity = Identity(patient_name="Bench^Mark", patient_id="B1")
    for syntax in SYNTAXES:
        deflated = syntax == DeflatedExplicitVRLittleEndian
        (dataset,) = wrap(
            {R_MLO: values},
            identity=identity,
            imager_pixel_spacing_mm=0.07,
            transfer_syntax_uid=ExplicitVRLittleEndian if deflated else syntax,
        )
        dataset.file_meta.TransferSyntaxUID = syntax
        paths[syntax] = folder / f"{syntax}.dcm"
        dcmwrite(paths[syntax], dataset, enforce_file_format=True)
    return paths


def decoders(syntax: UID, path: Path, sop_instance_uid: str) -> dict[str, Callable[[], object]]:
    """Ours and the others for one syntax, by name."""
    found: dict[str, Callable[[], object]] = {"ours": lambda: read_image(path, sop_instance_uid)}
    if syntax in PYDICOM:
        found["pydicom"] = lambda: dcmread(path).pixel_array
    if tool := shutil.which(DCMTK.get(syntax, "")):
        command = [tool, str(path), str(path.with_suffix(".plain"))]
        found[DCMTK[syntax]] = lambda: subprocess.run(command, check=True, capture_output=True)
    if syntax == HTJ2KLossless:
        frame = get_frame(dcmread(path).PixelData, 0, number_of_frames=1)
        found["OpenJPH alone"] = lambda: imagecodecs.htj2k_decode(frame)
    if syntax == JPEG2000Lossless:
        stream = get_frame(dcmread(path).PixelData, 0, number_of_frames=1)
        found["Pillow alone"] = lambda: np.asarray(Image.open(io.BytesIO(stream)))
    return found


def stages(path: Path, sop_instance_uid: str) -> dict[str, Callable[[], object]]:
    """The steps of one JPEG Lossless image, from its file to the network's input and the preview."""
    dataset = dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    told, raw = read_jpeg(frame), imagecodecs.jpeg8_decode(frame)
    plain = dcmread(path.with_name(f"{ExplicitVRLittleEndian}.dcm"))
    image: StoredImage = read_image(path, sop_instance_uid)
    breast = read_breast(View.from_dataset(dataset), image)
    return {
        "read and parse the file": lambda: dcmread(path).PixelData,
        "decode JPEG Lossless": lambda: imagecodecs.jpeg8_decode(frame),
        "account for its bytes": lambda: lossless_jpeg.check(frame, told, raw),
        "mask, hash, padding": lambda: decode(plain),
        "find the breast": lambda: find_breast(image),
        "network input": lambda: network_input(breast),
        "preview": lambda: preview(image, breast.breast),
    }


def cpu_s() -> float:
    """Processor time of this process and of the programs it has started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measured(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Processor milliseconds of each, turn about; one round beforehand does not count."""
    spent: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds + 1):
        for name, function in functions.items():
            start = cpu_s()
            function()
            spent[name].append(1000 * (cpu_s() - start))
    return {name: times[1:] for name, times in spent.items()}


def summary(times: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    return {
        name: {"median_ms": round(statistics.median(each), 2), "least_ms": round(min(each), 2)}
        for name, each in times.items()
    }


def run(rounds: int) -> dict[str, object]:
    """All measurements as plain data."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        paths = files(Path(name), picture())
        uids = {syntax: str(dcmread(path).SOPInstanceUID) for syntax, path in paths.items()}
        decoding = []
        for syntax, path in paths.items():
            found = summary(measured(decoders(syntax, path, uids[syntax]), rounds))
            ours = found["ours"]["median_ms"]
            ratios = {peer: round(each["median_ms"] / ours, 2) for peer, each in found.items() if peer != "ours"}
            size = path.stat().st_size
            decoding.append({"syntax": syntax.name, "file_bytes": size, "ms": found, "ratio": ratios})
        steps = summary(measured(stages(paths[JPEGLosslessSV1], uids[JPEGLosslessSV1]), rounds))
    return {"rows": ROWS, "columns": COLUMNS, "rounds": rounds, "decoding": decoding, "stages": steps}


def show(found: dict[str, object]) -> None:
    """Two tables."""
    console = Console()
    table = Table("transfer syntax", "MB", "ours ms", "others, ms (times ours)", box=None)
    for each in found["decoding"]:  # type: ignore[attr-defined]
        others = [f"{peer} {each['ms'][peer]['median_ms']:.0f} ({ratio:.2f})" for peer, ratio in each["ratio"].items()]
        size, ours = f"{each['file_bytes'] / 1e6:.1f}", f"{each['ms']['ours']['median_ms']:.0f}"
        table.add_row(each["syntax"][:45], size, ours, ", ".join(others))
    console.print(table)
    total = sum(each["median_ms"] for each in found["stages"].values())  # type: ignore[attr-defined]
    steps = Table("step, JPEG Lossless", "ms", "share", box=None)
    for name, each in found["stages"].items():  # type: ignore[attr-defined]
        steps.add_row(name, f"{each['median_ms']:.1f}", f"{each['median_ms'] / total:.0%}")
    console.print(steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = run(arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()

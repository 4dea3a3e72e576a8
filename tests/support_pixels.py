"""Small images in every encoding, for tests of decoding."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ai.decoding import PixelError, decode, read_image
from ai.phantom.encoding import set_pixels
from ai.reasons import ReasonCode

UID = "1.2.826.0.1.3680043.10.999.7"
ROWS, COLUMNS = 61, 43
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.2"


def picture(bits: int = 12, rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.uint16]:
    """Rows × columns with structure, noise and both ends of the range."""
    row, column = np.mgrid[0:rows, 0:columns]
    values = (row * 37 + column * 11 + np.random.default_rng(1).integers(0, 40, (rows, columns))) % (1 << bits)
    values[:2, :2] = [[0, (1 << bits) - 1], [(1 << bits) - 1, 0]]
    return values.astype(np.uint16)


def instance(values: NDArray[Any], syntax: str = ExplicitVRLittleEndian, **elements: object) -> Dataset:
    """A minimal image instance holding `values` uncompressed; `elements` by keyword, None to leave out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = _SOP_CLASS
    dataset.file_meta.MediaStorageSOPInstanceUID = UID
    bits = 12 if values.dtype.itemsize == 2 else 8
    defaults = {
        "SOPClassUID": _SOP_CLASS,
        "SOPInstanceUID": UID,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "BitsAllocated": 8 * values.dtype.itemsize,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
    }
    for keyword, value in {**defaults, **elements}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    kind = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    data = values.astype(kind).tobytes() if values.dtype.itemsize == 2 else values.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW"
    return dataset


def encapsulated(frame: bytes, syntax: str, **elements: object) -> Dataset:
    """`picture()` as that compressed frame."""
    dataset = instance(picture(), syntax, **elements)
    dataset.PixelData = fragmented(frame + b"\0" * (len(frame) % 2), ())
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def stored_bits(bits: int) -> dict[str, int]:
    """The elements that say so."""
    return {"BitsStored": bits, "HighBit": bits - 1}


def refusal(dataset: Dataset) -> ReasonCode:
    """The code with which `decode` refuses it."""
    with pytest.raises(PixelError) as caught:
        decode(dataset)
    return caught.value.code


def file_refusal(path: Path, uid: str = UID) -> ReasonCode:
    """The code with which `read_image` refuses the file."""
    with pytest.raises(PixelError) as caught:
        read_image(path, uid)
    return caught.value.code


def _rle(values: NDArray[np.uint16]) -> bytes:
    dataset = instance(values)
    set_pixels(dataset, values, RLELossless)  # type: ignore[arg-type]
    return bytes(get_frame(dataset.PixelData, 0, number_of_frames=1))


def _jpeg(values: NDArray[np.uint16], predictor: int = 1) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, lossless=True, predictor=predictor, bitspersample=12))


#: One 12-bit frame of `picture()` in each compressed lossless syntax.
ENCODERS: dict[str, Callable[[NDArray[np.uint16]], bytes]] = {
    JPEGLosslessSV1: _jpeg,
    JPEGLossless: lambda values: _jpeg(values, predictor=6),
    JPEGLSLossless: lambda values: bytes(imagecodecs.jpegls_encode(values)),
    JPEG2000Lossless: lambda values: bytes(
        imagecodecs.jpeg2k_encode(values, codecformat="j2k", reversible=True, level=0, bitspersample=12)
    ),
    HTJ2KLossless: lambda values: bytes(imagecodecs.htj2k_encode(values)),
    HTJ2KLosslessRPCL: lambda values: bytes(imagecodecs.htj2k_encode(values)),
    RLELossless: _rle,
}
FRAMES = {syntax: encode(picture()) for syntax, encode in ENCODERS.items()}


def fragmented(frame: bytes, sizes: Sequence[int], offset_table: bytes | None = b"") -> bytes:
    """Pixel Data of one frame in fragments of these sizes (the rest last); None leaves the offset table out."""
    pieces, at = [], 0
    for size in (*sizes, len(frame)):
        pieces.append(frame[at : at + size])
        at += size
    items = [*([offset_table] if offset_table is not None else []), *(piece for piece in pieces if piece)]
    return b"".join(b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item for item in items)


def written(dataset: Dataset) -> bytes:
    """As a file."""
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()

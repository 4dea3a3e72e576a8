"""Deflated data sets (PS3.5 A.5), inflated only as far as is needed: a megabyte may hold a gigabyte of zeros."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ai import elements

#: More than any header takes, lookup tables and icons included.
MOST_HEADER_BYTES = 64 << 20
_GROUP_LENGTH_ENDS, _FIRST_PIXEL_ELEMENT = 144, 0x7FE00001  # Extended Offset Table


_StopWhen = Callable[[BaseTag, str | None, int], bool]


class InflatesTooFar(ValueError):
    """There is more in it than may be inflated."""


def inflate(deflated: bytes | memoryview, most_bytes: int) -> tuple[bytes, bool]:
    """Its first `most_bytes`, and whether that is all. Raises zlib.error."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, most_bytes)
    return inflated, not inflater.unconsumed_tail


def read_file(path: Path, most_bytes: int) -> Dataset:
    """As dcmread, with the file meta information. Raises what dcmread does, and InflatesTooFar."""
    body = _deflated_body(path)
    if body is None:
        return dcmread(path)
    meta, deflated = body
    inflated, whole = inflate(deflated, most_bytes)
    if not whole:
        raise InflatesTooFar(f"inflates to more than {most_bytes} bytes")
    return _dataset(inflated, meta)


def read_header(path: Path) -> Dataset:
    """As dcmread up to the pixel data, whatever those inflate to. Raises what dcmread does."""
    body = _deflated_body(path)
    if body is None:
        return dcmread(path, stop_before_pixels=True)
    meta, deflated = body
    return _dataset(inflate(deflated, MOST_HEADER_BYTES)[0], meta, stop_when=_at_pixel_data)


def _deflated_body(path: Path) -> tuple[Dataset, bytes] | None:
    """File meta information and deflated data set, or None for another transfer syntax."""
    meta = read_file_meta_info(path)
    if elements.text(meta, "TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return None
    length = elements.integer(meta, "FileMetaInformationGroupLength")
    if length is None:
        raise InvalidDicomError("no length of the file meta information")
    return meta, path.read_bytes()[_GROUP_LENGTH_ENDS + length :]


def _dataset(inflated: bytes, meta: Dataset, stop_when: _StopWhen | None = None) -> Dataset:
    dataset = read_dataset(io.BytesIO(inflated), is_implicit_VR=False, is_little_endian=True, stop_when=stop_when)
    dataset.file_meta = FileMetaDataset(meta)
    return dataset


def _at_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) >= _FIRST_PIXEL_ELEMENT

"""A stored instance's file: its header, and where its frames are, without reading the pixels (PS3.10, PS3.5 A.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from node.errors import BadQuery, NotFound, NotUsable

PIXEL_DATA = "7FE00010"
_UNDEFINED = 0xFFFFFFFF
#: What says where frames are; pydicom reads a value only when asked for it, and raises then if it cannot.
_OF_PIXELS = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames")
_TABLES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
#: Compressed, and yet without a say in what the colours mean.
_COLOURS_KEPT = (RLELossless, JPEGLSLossless, JPEGLSNearLossless)
_DEFER_BYTES = 64 * 1024  # longer values stay in the file until they are asked for


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes within a file."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class StoredFile:
    """A file that was opened. pixels: where the value of Pixel Data is; None without, or in a deflated file."""

    path: Path
    header: Dataset
    transfer_syntax_uid: str
    pixels: Place | None
    vr: str = "OW"

    @property
    def encapsulated(self) -> bool:
        """Whether Pixel Data is a sequence of fragments."""
        return self.pixels is not None and self.pixels.length == _UNDEFINED

    @property
    def deflated(self) -> bool:
        """Whether the whole data set has to be inflated to be read."""
        return self.transfer_syntax_uid == DeflatedExplicitVRLittleEndian

    @property
    def has_pixels(self) -> bool:
        """Whether it is an image."""
        return self.pixels is not None or (self.deflated and "Rows" in self.header)

    @property
    def decoded_interpretation(self) -> str:
        """Photometric Interpretation of the values as they are decoded: what JPEG made YBR comes out as RGB."""
        written = str(self.header.get("PhotometricInterpretation") or "")
        turned = self.encapsulated and self.transfer_syntax_uid not in _COLOURS_KEPT
        return "RGB" if turned and written.startswith("YBR") else written

    @property
    def frames(self) -> int:
        """Number of frames; 1 where the header does not say."""
        try:
            return max(1, int(self.header.get("NumberOfFrames") or 1))
        except (TypeError, ValueError):
            return 1

    def check_frame(self, number: int) -> None:
        """Raises NotFound when there is no such frame (counted from 1)."""
        if not self.has_pixels:
            raise NotFound("the instance has no pixel data, so it has no frames")
        if not 1 <= number <= self.frames:
            raise NotFound(f"frame {number}: the instance has frames 1 to {self.frames}")

    def native_frame(self, number: int) -> Place:
        """Where an uncompressed frame (counted from 1) is. Raises NotUsable."""
        length = self.frame_bytes
        if self.pixels is None or self.pixels.length < length * self.frames:
            raise NotUsable("Pixel Data is shorter than Rows, Columns and NumberOfFrames say")
        return Place(self.pixels.offset + (number - 1) * length, length)

    def encapsulated_frame(self, number: int) -> bytes:
        """The bytes of a compressed frame (counted from 1), found by its offset. Raises NotUsable."""
        if self.pixels is None:
            raise NotUsable("the file has no encapsulated pixel data")
        try:
            tables = [self.header.get(name) for name in _TABLES]
            extended = (tables[0], tables[1]) if tables[0] and tables[1] else None
            with self.path.open("rb") as file:
                file.seek(self.pixels.offset)
                return get_frame(file, number - 1, extended_offsets=extended, number_of_frames=self.frames)
        except (ValueError, TypeError, NotImplementedError, struct.error, OSError, StopIteration) as error:
            raise NotUsable(f"frame {number} cannot be found in the file: {type(error).__name__}") from error

    @property
    def frame_bytes(self) -> int:
        """Size of an uncompressed frame. Raises NotUsable."""
        header = self.header
        try:
            values = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel") or 1)
            bits = values * int(header.BitsAllocated)
        except (AttributeError, TypeError, ValueError) as error:
            raise NotUsable("Rows, Columns or BitsAllocated is missing or not a number") from error
        if bits % 8:
            raise NotUsable("a frame does not end at a byte; retrieve the instance instead")
        return bits // 8


def opened(path: Path) -> StoredFile:
    """Read a file's header. Raises NotUsable when it is missing or no DICOM file."""
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except FileNotFoundError as error:
        raise NotUsable("the instance's file is missing") from error
    except Exception as error:  # a file was parsed before it was taken; whatever is wrong now, it is not usable
        raise NotUsable(f"the instance's file cannot be read: {type(error).__name__}") from error


def _read(path: Path, file: BinaryIO) -> StoredFile:
    # a deflated data set has no places in the file to come back to
    start = dcmread(file, specific_tags=[], stop_before_pixels=True)
    syntax = str(start.file_meta.TransferSyntaxUID)
    file.seek(0)
    if syntax == DeflatedExplicitVRLittleEndian:
        return StoredFile(path, _settled(dcmread(file, stop_before_pixels=True)), syntax, None)
    header = dcmread(file, defer_size=_DEFER_BYTES, stop_before_pixels=True)
    header.filename = str(path)  # where pydicom finds what was left in the file
    return _with_pixels(StoredFile(path, _settled(header), syntax, None), file)


def _settled(header: Dataset) -> Dataset:
    """`header` with what describes its pixels read; raises what pydicom raises for a value that is none."""
    for name in _OF_PIXELS:
        header.get(name)
    return header


def _with_pixels(stored: StoredFile, file: BinaryIO) -> StoredFile:
    """Add where the value of Pixel Data is; `file` stands at the element, or at its end."""
    order = ">" if stored.transfer_syntax_uid == ExplicitVRBigEndian else "<"
    start = file.read(12)
    if len(start) < 8 or struct.unpack(f"{order}HH", start[:4]) != (0x7FE0, 0x0010):
        return stored
    if stored.transfer_syntax_uid == ImplicitVRLittleEndian:
        length, vr = struct.unpack("<L", start[4:8])[0], "OW"
        offset = file.tell() - 4
    else:
        length, vr = struct.unpack(f"{order}L", start[8:12])[0], start[4:6].decode("ascii", "replace")
        offset = file.tell()
    place = Place(offset, length)
    return StoredFile(stored.path, stored.header, stored.transfer_syntax_uid, place, vr)


def frame_numbers(text: str) -> list[int]:
    """ "1,2,5" → the numbers. Raises BadQuery."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise BadQuery(f"frames: '{text[:40]}' is not allowed; allowed: numbers from 1, separated by commas")
    return numbers

"""A DICOM file as it comes: what its File Meta Information says, and where its data set begins (PS3.10 7)."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from pydicom.filereader import read_dataset

from node.errors import NotUnderstood
from storage.objects import is_valid_uid

_META_BEGINS = 144  # preamble, "DICM", and the element (0002,0000) that says how long the rest is
_LONGEST_META = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The instance in a file; offset: where its data set begins."""

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    offset: int


def envelope(content: memoryview) -> Envelope:
    """What a file says it holds. Raises NotUnderstood when it is no DICOM file."""
    start = bytes(content[128:_META_BEGINS])
    if start[:4] != b"DICM":
        raise NotUnderstood("this is no DICOM file: DICM is missing after 128 bytes (PS3.10 7.1)")
    if start[4:12] != b"\x02\0\0\0UL\x04\0":
        raise NotUnderstood("File Meta Information does not begin with its length, (0002,0000)")
    length = struct.unpack("<L", start[12:16])[0]
    if length > min(_LONGEST_META, len(content) - _META_BEGINS):
        raise NotUnderstood("File Meta Information is longer than the file")
    return _read(bytes(content[_META_BEGINS : _META_BEGINS + length]), _META_BEGINS + length)


def _read(encoded: bytes, offset: int) -> Envelope:
    try:
        meta = read_dataset(io.BytesIO(encoded), is_implicit_VR=False, is_little_endian=True)
        names = ("TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID")
        uids = [str(meta.get(name) or "") for name in names]
    except Exception as error:  # whatever a sender made of it
        raise NotUnderstood(f"File Meta Information cannot be parsed: {type(error).__name__}") from error
    for name, uid in zip(names, uids, strict=True):
        if not is_valid_uid(uid):
            raise NotUnderstood(f"{name} in File Meta Information is missing or not a UID (PS3.5 9.1)")
    return Envelope(transfer_syntax_uid=uids[0], sop_class_uid=uids[1], sop_instance_uid=uids[2], offset=offset)

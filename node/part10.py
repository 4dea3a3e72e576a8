"""A DICOM file as it comes: what its File Meta Information says, and where its data set begins (PS3.10 7)."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from node.errors import NotUnderstood
from storage.objects import is_valid_uid

_LONGEST_META = 1024 * 1024
_GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"  # (0002,0000), with the length of what it counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The instance in a file; offset: where its data set begins."""

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    offset: int


def envelope(content: memoryview) -> Envelope:
    """What a file says it holds; one without its preamble is understood. Raises NotUnderstood."""
    begins = 132 if bytes(content[128:132]) == b"DICM" else 0
    if bytes(content[begins : begins + 2]) != b"\x02\0":
        raise NotUnderstood("this is no DICOM file: there is no DICM after 128 bytes and no file meta information")
    length = _length(content[begins:])
    if begins + length > len(content):
        raise NotUnderstood("File Meta Information is longer than the file")
    return _read(content[begins : begins + min(length, _LONGEST_META)], begins)


def _length(content: memoryview) -> int:
    """Bytes of the File Meta Information as it says itself; where it does not, it is sought in what there is."""
    if len(content) >= 12 and bytes(content[:8]) == _GROUP_LENGTH:
        return 12 + int(struct.unpack("<L", content[8:12])[0])
    return min(_LONGEST_META, len(content))


def _read(content: memoryview, begins: int) -> Envelope:
    names = ("TransferSyntaxUID", "MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID")
    file = io.BytesIO(content)
    try:
        meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=_beyond_meta)
        uids = [str(meta.get(name) or "") for name in names]
    except Exception as error:  # whatever a sender made of it
        raise NotUnderstood(f"File Meta Information cannot be parsed: {type(error).__name__}") from error
    for name, uid in zip(names, uids, strict=True):
        if not is_valid_uid(uid):
            raise NotUnderstood(f"{name} in File Meta Information is missing or not a UID (PS3.5 9.1)")
    return Envelope(
        transfer_syntax_uid=uids[0],
        sop_class_uid=uids[1],
        sop_instance_uid=uids[2],
        offset=begins + file.tell(),
    )


def _beyond_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group > 2

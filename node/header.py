"""The header of an instance that comes: what its elements mean is remembered, for most say what the last image said.

A day's images differ in a few elements of some eighty. pydicom converts each anew, which took more of the processor
than everything else that is done with a small object together.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Mapping, MutableSequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from ai import deflated
from node.errors import NotUnderstood

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIXEL_DATA = 0x7FE00010
_PRIVATE = 0x00010000  # PS3.5 7.8: the group is odd
_BEGINNING = 64 * 1024  # where nearly every header ends; one that does not is read from all there is
_LONGEST = 1024  # bytes of a value that is worth remembering
_REMEMBERED = 8192  # values; with their keys some 20 MB at the most
#: Whose meaning is in the bytes and the character set alone; others depend on other elements, or are no text.
_SELF_CONTAINED = frozenset(
    "AE AS CS DA DS DT FD FL IS LO LT PN SH SL SQ SS ST TM UC UI UL UR US UT".split()  # noqa: SIM905
)


def read_header(encoded: memoryview | bytes, transfer_syntax_uid: str) -> Header:
    """The data set up to its pixel data. Raises NotUnderstood."""
    syntax = UID(transfer_syntax_uid)
    try:
        deflates = syntax == DeflatedExplicitVRLittleEndian
        content = deflated.inflate(encoded, deflated.MOST_HEADER_BYTES)[0] if deflates else encoded
        header = Header(_parsed(memoryview(content), syntax))
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = syntax
    except Exception as error:
        raise NotUnderstood(f"the data set cannot be parsed as {syntax.name}: {type(error).__name__}") from error
    return header


class Header(Dataset):
    """A data set to be looked at, and not to be changed: values are shared with other headers that say the same."""

    def __init__(self, read: Dataset) -> None:
        """read: a data set as pydicom read it, none of whose elements was looked at yet."""
        elements = dict(read.items())
        super().__init__(elements)
        implicit, little = read.original_encoding
        self.set_original_encoding(implicit, little, read.original_character_set)
        self._elements = elements
        self._known = _known(elements, self.original_character_set)

    def known(self, number: int) -> Known | None:
        """The key by which the meaning of an element is remembered; None where it may not be, or is not there."""
        return self._known.get(number)

    def get(self, key: Any, default: Any = None) -> Any:
        """As pydicom's, and with its errors."""
        number = tag_for_keyword(key) if isinstance(key, str) else None
        if number is None:
            return super().get(key, default)
        known = self._known.get(number)
        if known is not None:
            return _value(known)
        return super().get(key, default) if number in self._elements else default


#: What a raw element's meaning follows from: tag, VR, value, encoding of the data set, character sets.
Known = tuple[int, str | None, bytes, bool, bool, Hashable]


def _known(elements: Mapping[BaseTag, Any], character_sets: str | MutableSequence[str]) -> dict[int, Known]:
    """The keys of the elements whose meaning may be remembered, by their tags."""
    sets = character_sets if isinstance(character_sets, str) else tuple(character_sets)
    return {
        int(tag): (int(tag), raw.VR, raw.value, raw.is_implicit_VR, raw.is_little_endian, sets)
        for tag, raw in elements.items()
        if isinstance(raw, RawDataElement) and raw.VR in _SELF_CONTAINED
        if raw.value is not None and len(raw.value) <= _LONGEST
        if not tag & _PRIVATE
    }


def converted(known: Known) -> DataElement:
    """The element, as pydicom makes it of its bytes."""
    tag, vr, value, implicit, little, sets = known
    raw = RawDataElement(BaseTag(tag), vr, len(value), value, 0, implicit, little)
    return convert_raw_data_element(raw, encoding=sets if isinstance(sets, str) else list(sets))  # type: ignore[call-overload]


@lru_cache(_REMEMBERED)
def _value(known: Known) -> Any:
    value = converted(known).value
    return Sequence(Header(item) for item in value) if isinstance(value, Sequence) else value


def _parsed(content: memoryview, syntax: UID) -> Dataset:
    if len(content) > _BEGINNING:
        begun = _begun(content[:_BEGINNING], syntax)
        if begun is not None:
            return begun
    return _read(io.BufferedReader(_Memory(content)), syntax, _at_pixel_data)


def _begun(content: memoryview, syntax: UID) -> Dataset | None:
    """The header, where it ends within `content`."""
    ended: list[bool] = []

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        if int(tag) >= _PIXEL_DATA:
            ended.append(True)
        return bool(ended)

    try:
        found = _read(io.BytesIO(content), syntax, stop)
    except Exception:  # noqa: BLE001  (it was cut somewhere, or whoever reads all of it meets the same)
        return None
    return found if ended else None


def _read(file: Any, syntax: UID, stop: Callable[[BaseTag, str | None, int], bool]) -> Dataset:
    return read_dataset(file, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=stop)


def _at_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) >= _PIXEL_DATA


class _Memory(io.RawIOBase):
    """Bytes in memory to read from without a copy of all of them, as BytesIO makes."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """The next bytes."""
        into = memoryview(buffer).cast("B")
        count = max(0, min(len(into), len(self._content) - self._position))
        into[:count] = self._content[self._position : self._position + count]
        self._position += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go elsewhere."""
        self._position = offset + (0, self._position, len(self._content))[whence]
        return self._position

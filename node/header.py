"""The header of an instance that comes: what its elements mean is remembered, for most say what the last image said.

A day's images differ in a few elements of some eighty. pydicom converts each anew, which took more of the processor
than everything else that is done with a small object together.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable
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

    def get(self, key: Any, default: Any = None) -> Any:
        """As pydicom's, and with its errors."""
        number = tag_for_keyword(key) if isinstance(key, str) else None
        if number is None:
            return super().get(key, default)
        element = self._elements.get(number)  # type: ignore[call-overload]  # a tag is a number
        if element is None:
            return default
        known = remembered_by(self, element)
        return super().get(key, default) if known is None else _value(known)


#: What a raw element's meaning follows from: tag, VR, value, encoding of the data set, character sets.
Known = tuple[int, str | None, bytes, bool, bool, Hashable]


def remembered_by(dataset: Dataset, element: object) -> Known | None:
    """The key by which the meaning of one of the data set's elements may be remembered; None: it may not."""
    if not isinstance(element, RawDataElement):
        return None
    tag, vr, _, value, _, implicit, little = element[:7]
    if vr not in _SELF_CONTAINED or value is None or len(value) > _LONGEST or tag.is_private:
        return None
    sets = dataset.original_character_set
    return int(tag), vr, value, implicit, little, sets if isinstance(sets, str) else tuple(sets)


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

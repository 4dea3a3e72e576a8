"""A data set as DICOM JSON (PS3.18 F), whatever a sender wrote into it; large binary values as links."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.tag import BaseTag

from node.header import Header, Known, converted

#: Longer binary values are links in metadata.
INLINE_BYTES = 1024
_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"))
_CHARACTER_SET = 0x00080005
#: What pydicom raises for a value that is not what its VR says.
_UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    Warning,
    BytesLengthException,
)

#: Given an element's path ("00281052", "00081140/1/00081150"), its URL.
Link = Callable[[str], str]


def attributes(dataset: Dataset, link: Link | None = None, tags: Iterable[int] | None = None) -> dict[str, Any]:
    """The data set, or these `tags` of it, as DICOM JSON, text in UTF-8. Without `link` binary values are left out."""
    return _item(dataset, link, "", dataset.keys() if tags is None else _present(dataset, tags))


def _present(dataset: Dataset, tags: Iterable[int]) -> list[int]:
    return sorted({int(tag) for tag in dataset.keys()}.intersection(tags))  # noqa: SIM118  (its elements are no keys)


def linked(dataset: Dataset) -> list[str]:
    """The paths of the values that would be links."""
    found: list[str] = []

    def link(path: str) -> str:
        found.append(path)
        return path

    attributes(dataset, link)
    return found


def encoded(content: Any) -> bytes:
    """JSON as UTF-8."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def element_at(dataset: Dataset, path: str) -> DataElement | None:
    """The element at a path as `Link` is given; None where there is none. Raises ValueError for what is no path."""
    *above, last = path.split("/")
    inner = dataset
    for tag, number in zip(above[::2], above[1::2], strict=True):
        sequence = inner.get(_tag(tag))
        if sequence is None or sequence.VR != "SQ" or not 1 <= int(number) <= len(sequence.value):
            return None
        inner = sequence.value[int(number) - 1]
    return inner.get(_tag(last))


def _tag(text: str) -> int:
    if len(text) != 8:
        raise ValueError(f"'{text[:20]}' is no tag")
    return int(text, 16)


def _item(dataset: Dataset, link: Link | None, path: str, tags: Iterable[BaseTag | int]) -> dict[str, Any]:
    found = {}
    recall = dataset.known if link is None and isinstance(dataset, Header) else None
    for tag in tags:
        known = recall(int(tag)) if recall is not None and tag != _CHARACTER_SET else None
        element = _remembered(known) if known is not None else _element(dataset, tag, link, path)
        if element is not None:
            found[f"{int(tag):08X}"] = element
    return found


def _element(dataset: Dataset, tag: BaseTag | int, link: Link | None, path: str) -> dict[str, Any] | None:
    if tag == _CHARACTER_SET:
        return {"vr": "CS", "Value": ["ISO_IR 192"]}  # JSON is UTF-8, whatever the data set was
    raw: Any = dataset.get_item(tag)
    here = f"{path}{int(tag):08X}"
    if isinstance(raw, RawDataElement) and raw.value is None and raw.length:
        return {"vr": raw.VR or "UN", "BulkDataURI": link(here)} if link else None  # left in the file when it was read
    try:
        return _converted(dataset[tag], link, here)
    except _UNREADABLE:
        return _as_written(raw)


@lru_cache(2048)
def _remembered(known: Known) -> dict[str, Any] | None:
    try:
        return _converted(converted(known), None, "")
    except _UNREADABLE:
        tag, vr, value, *_ = known
        return _as_written(RawDataElement(BaseTag(tag), vr, len(value), value, 0, True, True))


def _converted(element: DataElement, link: Link | None, path: str) -> dict[str, Any] | None:
    vr = "OW" if element.VR == "OB or OW" else str(element.VR)
    if element.VR in _BINARY:
        return _binary(vr, element.value, link, path)
    if element.VR == "SQ":
        items = [_item(item, link, f"{path}/{n}/", item.keys()) for n, item in enumerate(element.value, start=1)]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    found: dict[str, Any] = element.to_json_dict(None, 0)
    if "Value" in found:
        found["Value"] = [_plain(value) for value in found["Value"]]
    return found


def _binary(vr: str, value: bytes | None, link: Link | None, path: str) -> dict[str, Any] | None:
    if not value:
        return {"vr": vr}
    if link is None:
        return None
    if len(value) > INLINE_BYTES:
        return {"vr": vr, "BulkDataURI": link(path)}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode()}


def _plain(value: Any) -> Any:
    """What JSON can hold: numbers that are none are their names (PS3.18 F.2.3), empty values null."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return None if value == "" else value


def _as_written(raw: Any) -> dict[str, Any] | None:
    """A value that is not what its VR says, as the text that was sent."""
    value = raw.value if isinstance(raw, RawDataElement) else None
    if not isinstance(value, bytes) or raw.VR in (None, "SQ", *_BINARY):
        return None
    texts = value.decode("latin-1").rstrip("\0 ").split("\\")
    if raw.VR == "PN":
        return {"vr": "PN", "Value": [{"Alphabetic": text} for text in texts]}
    return {"vr": str(raw.VR), "Value": texts}

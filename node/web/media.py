"""What a request accepts (PS3.18 8.3.3, 8.7.5): media types in order of preference, lenient in how they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request

from node.errors import NotAcceptable

OCTETS, DICOM, DICOM_JSON, JSON = (
    "application/octet-stream",
    "application/dicom",
    "application/dicom+json",
    "application/json",
)
MULTIPART = "multipart/related"
#: Explicit VR Little Endian, which is meant where a request does not say (PS3.18 8.7.3.5.2).
PLAIN = "1.2.840.10008.1.2.1"
#: Media type of a frame in its own transfer syntax (PS3.18 Table 8.7.3-5).
OF_SYNTAX = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
#: Transfer syntax that a media type means where the request does not say (PS3.18 Table 8.7.3-5).
MEANT: Mapping[str, str] = {
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """One acceptable media type. For multipart, `media_type` is that of the parts. transfer_syntax: "" not said."""

    media_type: str
    multipart: bool = False
    transfer_syntax: str = ""
    quality: float = 1.0
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether an answer may have several parts."""
        return self.multipart or self.media_type == "*/*"

    def takes(self, media_type: str) -> bool:
        """Whether this media type is one that is accepted here."""
        asked, given = self.media_type.lower(), media_type.lower()
        return asked in ("*/*", given) or (asked.endswith("/*") and given.startswith(asked[:-1]))


def accepted(request: Request) -> list[Accepted]:
    """What the request accepts, best first. The query parameter wins over the header; neither means anything."""
    asked = request.query_params.getlist("accept") or request.headers.getlist("accept")
    found = [_one(part) for text in asked for part in _split(text, ",") if part.strip()]
    usable = [each for each in found if each.quality > 0] or ([] if found else [Accepted("*/*")])
    return sorted(usable, key=lambda each: -each.quality)


def check(request: Request, *offered: str) -> str:
    """The first of the `offered` single-part types that is accepted, by the asker's preference.

    Raises NotAcceptable.
    """
    for each in accepted(request):
        for media_type in offered:
            if not each.multipart and each.takes(media_type):
                return media_type
    raise refused(*offered)


def refused(*offered: str) -> NotAcceptable:
    """The error that says what could be had."""
    return NotAcceptable(f"accept: none of the media types asked for can be given; allowed: {', '.join(offered)}")


def _split(text: str, separator: str) -> list[str]:
    """Split outside of quotes; in one pass, however long it is."""
    return re.findall(rf'(?:"[^"]*"?|[^"{separator}])+', text)


def _one(text: str) -> Accepted:
    media_type, *rest = _split(text, ";") or [""]
    pairs = (part.partition("=") for part in rest)
    parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    name = media_type.strip().lower().replace(" ", "+")  # a "+" that was not encoded in the query
    multipart = name == MULTIPART
    return Accepted(
        media_type=parameters.get("type", "*/*").lower() if multipart else name,
        multipart=multipart,
        transfer_syntax=parameters.get("transfer-syntax", ""),
        quality=_quality(parameters.get("q", "1")),
        parameters=parameters,
    )


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0

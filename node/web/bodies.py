"""What each resource takes and gives: media types, by service and path; for the conformance statement and OpenAPI."""

from __future__ import annotations

from node.web import media, rendered
from node.web.ups import SUBSCRIBER

_MULTIPART = f"{media.MULTIPART}; type="
_JSON = (media.DICOM_JSON, media.JSON)
_BULK = (media.OCTETS, f"{_MULTIPART}{media.OCTETS}")
_FRAMES = (media.OCTETS, *dict.fromkeys(media.OF_SYNTAX.values()))
#: The end of a resource's path → what it gives; the first that fits.
_PRODUCED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/metadata", _JSON),
    ("/bulkdata", _BULK),
    ("/bulkdata/{path}", _BULK),
    ("/pixeldata", _BULK),
    ("/frames/{frames}", (*(f"{_MULTIPART}{each}" for each in _FRAMES), *_FRAMES)),
    ("/rendered", (*rendered.TYPES, *(f"{_MULTIPART}{each}" for each in rendered.TYPES))),
    ("/thumbnail", rendered.TYPES),
    ("", (f"{_MULTIPART}{media.DICOM}", media.DICOM)),
)


def consumed(service: str, method: str, path: str) -> tuple[str, ...]:
    """What a request's body may be; none where it has no body."""
    if service == "UPS-RS":
        without = path.startswith(SUBSCRIBER) or method not in ("POST", "PUT")
        return () if without else _JSON
    return (f"{_MULTIPART}{media.DICOM}",) if method == "POST" else ()


def produced(service: str, path: str) -> tuple[str, ...]:
    """What a DICOMweb resource gives."""
    if service in ("QIDO-RS", "STOW-RS", "UPS-RS"):
        return _JSON
    return next(types for end, types in _PRODUCED if path.endswith(end))

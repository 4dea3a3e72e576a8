"""What the decoding processes are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Window = tuple[float, float, str]


@dataclass(frozen=True, slots=True)
class FrameWanted:
    """A frame's values: uncompressed, or in one of the lossless transfer syntaxes of `ai.encoding`."""

    path: Path
    number: int
    transfer_syntax_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureWanted:
    """A frame as a picture.

    window: centre, width and function (PS3.3 C.11.2.1.3), in place of the instance's own. region: of the image,
    as left, top, width and height; negative sizes mirror it. size: the largest width and height. quality: of JPEG, 1
    to 100.
    """

    path: Path
    number: int
    media_type: str
    window: Window | None = None
    size: tuple[int, int] | None = None
    region: tuple[float, float, float, float] | None = None
    quality: int = 90


@dataclass(frozen=True, slots=True)
class Made:
    """What is wanted is there: so many bytes, in the memory whose descriptor follows on the socket."""

    size: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no picture; nothing of a patient in it."""

    why: str

"""Drawing for the card: the fonts it ships with, colours, text that fits, hatching. Same pixels on every machine.

Source Sans Pro (SIL OFL 1.1) comes as a package of its own and holds every letter of the Nordic and Sámi languages;
the basic layout engine is used, for the other one is not everywhere.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom
Weight = Literal["Regular", "Semibold", "Bold"]

BACKGROUND: Colour = (5, 7, 11)
RAISED: Colour = (24, 32, 43)
TEXT: Colour = (236, 241, 247)
MUTED: Colour = (150, 164, 181)
WARNING: Colour = (255, 122, 108)
AMBER: Colour = (255, 172, 64)
YELLOW: Colour = (247, 222, 112)
BLUE: Colour = (126, 184, 232)
MAGENTA: Colour = (255, 105, 212)


@cache
def font(size: int, weight: Weight = "Regular") -> ImageFont.FreeTypeFont:
    """The card's font at `size` pixels."""
    return ImageFont.truetype(BytesIO(_font_file(weight)), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _font_file(weight: Weight) -> bytes:
    return (files("font_source_sans_pro") / "files" / f"SourceSansPro-{weight}.ttf").read_bytes()


def width(text: str, size: int, weight: Weight = "Regular") -> float:
    """Width of `text` in pixels."""
    return font(size, weight).getlength(text)


def fitting_size(text: str, size: int, space: float, weight: Weight = "Regular", *, smallest: int = 20) -> int:
    """The largest size, at most `size`, at which `text` fits in `space` pixels; not below `smallest`."""
    while size > smallest and width(text, size, weight) > space:
        size -= 1
    return size


def shortened(text: str, size: int, space: float, weight: Weight = "Regular") -> str:
    """`text`, or as much of it with "…" as fits in `space` pixels."""
    if width(text, size, weight) <= space:
        return text
    while text and width(text + "…", size, weight) > space:
        text = text[:-1]
    return text.rstrip() + "…"


def lines(text: str, size: int, space: float, weight: Weight = "Regular") -> list[str]:
    """`text` in lines that fit in `space` pixels, broken at spaces; a longer word is shortened."""
    done: list[str] = []
    for word in text.split():
        longer = f"{done[-1]} {word}" if done else word
        if done and width(longer, size, weight) <= space:
            done[-1] = longer
        else:
            done.append(shortened(word, size, space, weight))
    return done


def hatch(image: Image.Image, box: Box, colour: Colour, *, step: int = 44, thickness: int = 14) -> None:
    """Diagonal stripes over `box`, in place: the sign of what was not read."""
    left, top, right, bottom = (round(edge) for edge in box)
    tile = image.crop((left, top, right, bottom))
    draw = ImageDraw.Draw(tile)
    for offset in range(-tile.height, tile.width + tile.height, step):
        draw.line([(offset, tile.height), (offset + tile.height, 0)], fill=colour, width=thickness)
    image.paste(tile, (left, top))


def blended(colour: Colour, share: float, onto: Colour = BACKGROUND) -> Colour:
    """`colour` at `share` (0–1) over `onto`."""
    red, green, blue = (round(share * c + (1 - share) * o) for c, o in zip(colour, onto, strict=True))
    return red, green, blue

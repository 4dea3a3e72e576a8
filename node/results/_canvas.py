"""Drawing for the card: the fonts it ships with, colours, text that fits, hatching. Same pixels on every machine.

Source Sans Pro (SIL OFL 1.1) comes as a package of its own and holds every letter of the Nordic and Sámi languages;
the basic layout engine is used, for the other one is not everywhere.
"""

from __future__ import annotations

import re
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
# the four categories: far apart also for eyes without one kind of cone (docs/card.md has the numbers)
AMBER: Colour = (255, 158, 30)
YELLOW: Colour = (255, 240, 165)
BLUE: Colour = (140, 225, 255)
MAGENTA: Colour = (228, 86, 250)

#: Nothing on the card is smaller, in pixels: on a 5 MP display capitals are then 2.8 mm high.
SMALLEST = 26


_VIEW_NAME = re.compile(r"\b([RL]) (CC|MLO)\b")


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


def fitting_size(text: str, size: int, space: float, weight: Weight = "Regular", *, smallest: int = SMALLEST) -> int:
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
    """`text` in lines that fit in `space` pixels, broken at spaces but not in a view's name; a longer word is cut."""
    done: list[str] = []
    for word in _VIEW_NAME.sub("\\1\u00a0\\2", text).split(" "):
        if not word:
            continue
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


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio of two colours by WCAG 2: 1 (the same) to 21 (black and white)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour, 0–1."""
    shares = [level / 255 for level in colour]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

"""A pen that writes downwards in a column of the card."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from node.results import _canvas
from node.results._canvas import Box, Colour, Weight

GAP = 24  # above a section
HEADING = GAP + 38  # what a heading takes


@dataclass(slots=True)
class Pen:
    """Writes downwards in `box`; `y` is where the next line begins."""

    card: Image.Image
    box: Box
    y: float = 0.0
    draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self.y = self.box[1]
        self.draw = ImageDraw.Draw(self.card)

    @property
    def space(self) -> float:
        """Width of the column."""
        return self.box[2] - self.box[0]

    def room(self, height: float) -> bool:
        """Whether `height` more pixels are left."""
        return self.y + height <= self.box[3]

    def line(self, text: str, size: int, colour: Colour, weight: Weight = "Regular", *, indent: float = 0) -> None:
        """One line, shortened where it does not fit."""
        said = _canvas.shortened(text, size, self.space - indent, weight)
        self.draw.text((self.box[0] + indent, self.y), said, font=_canvas.font(size, weight), fill=colour, anchor="la")
        self.y += round(1.28 * size)

    def paragraph(self, text: str, size: int, colour: Colour, weight: Weight = "Regular", *, indent: float = 0) -> None:
        """As many lines as the text takes."""
        for said in _canvas.lines(text, size, self.space - indent, weight):
            self.line(said, size, colour, weight, indent=indent)

    def heading(self, text: str) -> None:
        """A section's heading, which takes `HEADING`."""
        self.y += GAP
        self.line(text.upper(), 28, _canvas.MUTED, "Semibold")
        self.y += HEADING - GAP - round(1.28 * 28)

    def right(self, text: str, size: int, colour: Colour, weight: Weight = "Regular") -> None:
        """At the right edge of the line that begins at `y`, which stays."""
        self.draw.text((self.box[2], self.y), text, font=_canvas.font(size, weight), fill=colour, anchor="ra")

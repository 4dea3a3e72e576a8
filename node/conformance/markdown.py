"""A document as Markdown, with numbers, a table of contents and links that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_uppercase

from node.conformance.document import Block, Bullets, Contents, Document, Figure, Section, Table

_REFERENCE = re.compile(r"\[\[(.+?)\]\]")
_CONTENTS_DEPTH = 2


class NoSuchSection(LookupError):
    """A text points to a section that the document does not have."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A section and its number, "5.1"; depth 1 is a chapter."""

    number: str
    section: Section

    @property
    def depth(self) -> int:
        return self.number.count(".") + 1

    @property
    def heading(self) -> str:
        annex = "Annex " if self.number in ascii_uppercase else ""
        return f"{annex}{self.number} {self.section.title}"

    @property
    def link(self) -> str:
        """As viewers of Markdown make anchors: lower case, no punctuation, hyphens for spaces."""
        anchor = re.sub(r"[^\w\- ]", "", self.heading.lower()).replace(" ", "-")
        return f"[{self.heading}](#{anchor})"


def text(document: Document) -> str:
    """The whole document. Raises NoSuchSection when a text points to a section that is not there."""
    places = list(_places(document))
    parts = [f"# {document.title}", *_blocks(document.cover, "", places)]
    for place in places:
        parts.append(f"{'#' * (place.depth + 1)} {place.heading}")
        parts += _blocks(place.section.blocks, place.number, places)
    return "\n\n".join(parts) + "\n"


def _places(document: Document) -> Iterator[_Place]:
    for number, section in enumerate(document.sections, start=1):
        yield from _below(str(number), section)
    for letter, section in zip(ascii_uppercase, document.annexes, strict=False):
        yield from _below(letter, section)


def _below(number: str, section: Section) -> Iterator[_Place]:
    yield _Place(number, section)
    for index, inner in enumerate(section.sections, start=1):
        yield from _below(f"{number}.{index}", inner)


def _blocks(blocks: tuple[Block, ...], number: str, places: list[_Place]) -> Iterator[str]:
    tables = 0
    for block in blocks:
        if isinstance(block, Table):
            tables += 1
            yield _linked(f"*Table {number}-{tables}. {block.caption}*" if number else f"*{block.caption}*", places)
            yield _linked(_table(block), places)
        elif isinstance(block, Bullets):
            yield _linked("\n".join(f"- {item}" for item in block.items), places)
        elif isinstance(block, Figure):
            yield f"```text\n{block.text.rstrip()}\n```"
        elif isinstance(block, Contents):
            yield "\n".join(
                f"{'  ' * (place.depth - 1)}- {place.link}" for place in places if place.depth <= _CONTENTS_DEPTH
            )
        else:
            yield _linked(block, places)


def _table(table: Table) -> str:
    lines = [_row(table.head), "|" + "---|" * len(table.head), *map(_row, table.rows)]
    return "\n".join(lines)


def _row(cells: tuple[str, ...]) -> str:
    """A row of the table; one with a word only in its first cell is a heading within it."""
    told = [_cell(cell) for cell in cells]
    if len(told) > 1 and told[0] and not any(told[1:]):
        told[0] = f"**{told[0]}**"
    return "| " + " | ".join(told) + " |"


def _cell(value: str) -> str:
    return value.replace("\n", " ").replace("|", "\\|").replace("*", "\\*")


def _linked(value: str, places: list[_Place]) -> str:
    links = {place.section.title: place.link for place in places}

    def link(match: re.Match[str]) -> str:
        if match[1] not in links:
            raise NoSuchSection(f"there is no section '{match[1]}'")
        return links[match[1]]

    return _REFERENCE.sub(link, value)

"""The document a statement is: sections with paragraphs, lists, tables and figures. Nothing here knows Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells beneath a head. caption: without its number."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """Lines that keep their spaces."""

    text: str


@dataclass(frozen=True, slots=True)
class Contents:
    """Where the table of contents stands."""


Block = str | Table | Bullets | Figure | Contents


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part. `[[Title]]` in a text points to the section of that title."""

    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """cover: what stands above the first section. sections are numbered 1, 2 …, annexes A, B …"""

    title: str
    cover: tuple[Block, ...]
    sections: tuple[Section, ...]
    annexes: tuple[Section, ...] = ()

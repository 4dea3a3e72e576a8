"""HL7 v2 text ("ER7"): writing segments, and reading messages that others wrote (HL7 v2.5.1, chapter 2).

python-hl7 reads. It does not write here: its escape() leaves separators in the text as they are. Nor does it take
escapes away: what it cannot take away it logs, and that may be a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import hl7
from hl7.exceptions import HL7Exception

#: Chapter 2.7: what stands for the separators, and for a line's end.
_ESCAPES = str.maketrans({
    "\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\n": "\\.br\\", "\r": "",
})  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
#: MSH-18 → codec (HL70211). Without one it is UTF-8, of which ASCII is a part.
_CODECS = {
    "": "utf-8", "ASCII": "ascii", "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "UTF-8": "utf-8",
    "8859/1": "iso8859-1", "8859/2": "iso8859-2", "8859/4": "iso8859-4", "8859/9": "iso8859-9",
    "8859/15": "iso8859-15",
}  # fmt: skip


class Unreadable(ValueError):
    """The bytes are no HL7 v2 message; the text says why, without anything of what is in them."""


def escaped(text: str) -> str:
    """A value as it may stand between separators; control characters become spaces."""
    return _CONTROL.sub(" ", text).translate(_ESCAPES)


def composed(*components: str) -> str:
    """Components, escaped, as a field."""
    return "^".join(escaped(each) for each in components).rstrip("^")


def segment(name: str, fields: dict[int, str]) -> str:
    """A segment of fields by number, each already escaped; of an MSH from MSH-3 on."""
    first = 3 if name == "MSH" else 1
    values = [fields.get(number, "") for number in range(first, max(fields, default=first) + 1)]
    return "|".join([name, *(["^~\\&"] if name == "MSH" else []), *values])


def message(segments: Sequence[str]) -> str:
    """Segments as a message."""
    return "".join(f"{each}\r" for each in segments)


class Message:
    """A message that somebody else wrote. Fields are numbered as in the standard, MSH-1 included."""

    def __init__(self, content: bytes) -> None:
        """content: without the framing of MLLP. Raises Unreadable."""
        try:
            self._parsed = hl7.parse(_decoded(content))
        except (HL7Exception, LookupError, ValueError, AssertionError) as error:
            raise Unreadable(str(error) if isinstance(error, Unreadable) else "it is no HL7 message") from None
        if not self.get("MSH", 9):
            raise Unreadable("MSH-9, the message's type, is missing")

    def get(self, name: str, field: int, component: int = 1, *, repetition: int = 1, occurrence: int = 1) -> str:
        """A component, or its first subcomponent, unescaped; "" where there is none."""
        return self._part(name, field, occurrence, repetition, component, 1)

    def _part(self, name: str, field: int, *path: int) -> str:
        """path: occurrence of the segment, then repetition, component, subcomponent."""
        try:
            found = self._parsed.segments(name)[path[0] - 1][field]
            for number in path[1:]:
                found = (found if number == 1 else "") if isinstance(found, str) else found[number - 1]
        except (LookupError, HL7Exception):
            return ""
        text = _CONTROL.sub("", self._unescaped(str(found))).strip()  # no database takes them all
        return "" if text == '""' else text  # "" in quotes: the value is deleted (chapter 2.5.3)

    def _unescaped(self, text: str) -> str:
        """Without escapes (chapter 2.7); those that format a text, or change its character set, are left out."""
        _, field, repetition, component, subcomponent = self._parsed.separators
        escape = str(self._parsed.esc)
        meant = {"F": field, "R": repetition, "S": component, "T": subcomponent, "E": escape, ".br": "\n"}

        def plain(match: re.Match[str]) -> str:
            code = match[1]
            if re.fullmatch(r"X([0-9A-Fa-f]{2})+", code):
                return bytes.fromhex(code[1:]).decode("latin-1")
            return str(meant.get(code, ""))

        mark = re.escape(escape)
        return re.sub(f"{mark}([^{mark}]{{0,64}}){mark}", plain, text)

    def count(self, name: str) -> int:
        """How many segments of this name there are."""
        return sum(str(each[0]) == name for each in self._parsed)

    def repetitions(self, name: str, field: int, occurrence: int = 1) -> Iterator[int]:
        """Numbers of a field's repetitions."""
        try:
            yield from range(1, len(self._parsed.segments(name)[occurrence - 1][field]) + 1)
        except (LookupError, TypeError):
            return

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.get("MSH", 10)

    @property
    def kind(self) -> str:
        """MSH-9 as "ADT^A08"."""
        return "^".join(filter(None, (self.get("MSH", 9, 1), self.get("MSH", 9, 2))))


def _decoded(content: bytes) -> str:
    """In the character set that its MSH-18 names."""
    header = content.lstrip(b"\r\n").split(b"\r", 1)[0].split(b"\n", 1)[0]
    if not re.match(rb"MSH[^\w\s]{5}", header) or len(set(header[3:8])) < 5:
        raise Unreadable("it does not begin with MSH and its separators")
    fields = header.split(header[3:4])
    named = fields[17].split(header[4:5])[0].decode("ascii", "replace").strip() if len(fields) > 17 else ""
    codec = _CODECS.get(named.upper().replace("ISO IR", "").strip())
    if codec is None:
        raise Unreadable("MSH-18 names a character set that is not known here")
    try:
        text = content.lstrip(b"\r\n").decode(codec)
    except UnicodeDecodeError:
        raise Unreadable("it is not in the character set that its MSH-18 names") from None
    return re.sub(r"\r?\n", "\r", text)

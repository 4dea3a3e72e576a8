"""Person names and patterns: comparing without regard to case and accents, and the wildcards (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

#: Letters that Unicode does not take apart, as they are written where the keyboard lacks them.
_PLAIN = str.maketrans({"æ": "ae", "ø": "o", "đ": "d", "ŋ": "n", "ŧ": "t", "ł": "l", "œ": "oe", "ð": "d", "þ": "th"})
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")  # PS3.18 F.2.2


def folded(name: str) -> str:
    """A name's alphabetic group in lower case without accents, as searches compare and sort it: "sæther^åse" → …"""
    return _plain(_lower(name.partition("=")[0]))


def matches(wanted: str, name: Mapping[str, str]) -> bool:
    """Whether a name, by component groups, matches what is wanted: one text for any group, or group by group ("=")."""
    groups = [_lower(str(name.get(group) or "")) for group in _GROUPS]
    if "=" in wanted:
        parts = zip(wanted.split("="), groups, strict=False)
        return all(part in ("", "*") or _alike(part, group) for part, group in parts)
    return any(_alike(wanted, group) for group in groups if group)


def has_wildcard(text: str) -> bool:
    """Whether * or ? is in it."""
    return "*" in text or "?" in text


@lru_cache(maxsize=256)
def pattern(wanted: str) -> re.Pattern[str]:
    """As a regular expression: * any characters or none, ? any one, everything else itself.

    What stands between two stars is found where it first occurs and not sought again (an atomic group), so that no
    pattern takes longer than its length times the text's.
    """
    first, *others = (_fixed(part) for part in re.split(r"\*+", wanted))
    if not others:
        return re.compile(first, re.DOTALL)
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    return re.compile(f"{first}{between}.*{others[-1]}", re.DOTALL)


def _fixed(part: str) -> str:
    return "".join("." if letter == "?" else re.escape(letter) for letter in part)


def _alike(wanted: str, group: str) -> bool:
    """By lower case, where each letter is one, or without accents, where æ is ae."""
    asked = _lower(wanted)
    return any(pattern(one).fullmatch(other) for one, other in ((asked, group), (_plain(asked), _plain(group))))


def _lower(text: str) -> str:
    """Composed, in lower case, without what does not count: empty components at the end, spaces around components."""
    composed = unicodedata.normalize("NFC", text).casefold()
    return "^".join(part.strip() for part in composed.split("^")).rstrip("^")


def _plain(lower: str) -> str:
    apart = unicodedata.normalize("NFD", lower.translate(_PLAIN))
    return unicodedata.normalize("NFC", "".join(each for each in apart if not unicodedata.combining(each)))

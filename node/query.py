"""Does an entity match a query? One matcher for QIDO-RS and C-FIND, over DICOM JSON (PS3.4 C.2.2.2, PS3.18 F).

Person names match without regard to case and accents; everything else by its characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pydicom.datadict import keyword_for_tag

from node import moments, names
from node.errors import BadQuery
from storage.objects import is_valid_uid

#: What a key of "*" and "?" may be (PS3.4 C.2.2.2.4).
WILDCARD_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
RANGE_VRS = frozenset(("DA", "TM", "DT"))
NUMBER_VRS = frozenset(("DS", "IS", "SL", "SS", "UL", "US", "SV", "UV", "FD", "FL"))
BINARY_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_EMPTY = '""'
_LONGEST = 1024  # characters of a value

#: Dates with the time that belongs to them (PS3.4 C.2.2.2.5).
_PAIRS = {
    "00080020": "00080030",  # Study
    "00080021": "00080031",  # Series
    "00080022": "00080032",  # Acquisition
    "00080023": "00080033",  # Content
    "00100030": "00100032",  # Patient's Birth
    "00400002": "00400003",  # Scheduled Procedure Step Start
    "00400244": "00400245",  # Performed Procedure Step Start
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key attribute: tag as 8 hex digits, its VR, the values asked for (none: universal), or a sequence's keys."""

    tag: str
    vr: str
    values: tuple[str, ...] = ()
    items: tuple[Key, ...] = ()

    @property
    def keyword(self) -> str:
        """The element's keyword; its tag where it has none."""
        return keyword_for_tag(int(self.tag, 16)) or self.tag

    @property
    def universal(self) -> bool:
        """Whether it matches whatever there is (PS3.4 C.2.2.2.3)."""
        if self.vr == "SQ":
            return all(key.universal for key in self.items)
        return all(value == "" or (value == "*" and self.vr in WILDCARD_VRS) for value in self.values)


@dataclass(frozen=True, slots=True)
class Matching:
    """Kinds of matching that are agreed on or asked for, beyond those that always hold.

    combined: a range of dates and one of times are one range. empty: "" in quotes matches what has no value.
    """

    combined: bool = False
    empty: bool = False


def check(keys: Iterable[Key], matching: Matching) -> None:
    """Raises BadQuery for the first key whose value its VR does not take."""
    for key in keys:
        if key.vr in BINARY_VRS:
            raise BadQuery(f"{key.keyword}: a value of VR {key.vr} cannot be searched for")
        for value in key.values:
            if value and not (matching.empty and value == _EMPTY):
                _check_value(key, value)
        check(key.items, matching)


def matches(keys: Iterable[Key], attributes: Mapping[str, Any], matching: Matching) -> bool:
    """Whether an entity, as DICOM JSON, matches every key. The keys are checked (see `check`)."""
    wanted = {key.tag: key for key in keys if not key.universal}
    if matching.combined:
        for date, time in _PAIRS.items():
            if date in wanted and time in wanted and _combinable(wanted[date], wanted[time]):
                span = _Span.of(wanted.pop(date), wanted.pop(time))
                if not span.holds(_values(attributes, date), _values(attributes, time)):
                    return False
    return all(_matches(key, attributes, matching) for key in wanted.values())


def _matches(key: Key, attributes: Mapping[str, Any], matching: Matching) -> bool:
    found = _values(attributes, key.tag)
    if key.vr == "SQ":
        return any(matches(key.items, item, matching) for item in found if isinstance(item, Mapping))
    if matching.empty and _EMPTY in key.values and not found:
        return True
    return any(_is(key.vr, wanted, value) for wanted in key.values for value in found)


def _values(attributes: Mapping[str, Any], tag: str) -> list[Any]:
    element = attributes.get(tag) or {}
    return [value for value in element.get("Value") or () if value not in (None, "")]


def _is(vr: str, wanted: str, value: Any) -> bool:
    """Does one value of the entity match one value of the key?"""
    if vr == "PN":
        return names.matches(wanted, value if isinstance(value, Mapping) else {"Alphabetic": str(value)})
    if vr in RANGE_VRS:
        return moments.asked(vr, wanted).holds(str(value))
    if vr in NUMBER_VRS:
        return _number(wanted) == _number(str(value))
    text = str(value).strip()
    if vr in WILDCARD_VRS and names.has_wildcard(wanted):
        return names.pattern(wanted.strip()).fullmatch(text) is not None
    return wanted.strip() == text


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        return None


def _check_value(key: Key, value: str) -> None:
    if len(value) > _LONGEST:
        raise BadQuery(f"{key.keyword}: a value of {len(value)} characters is not allowed; allowed: {_LONGEST} at most")
    if key.vr in RANGE_VRS:
        allowed = "" if moments.is_valid(key.vr, value) else moments.ALLOWED[key.vr]
    elif key.vr == "UI":
        allowed = "" if is_valid_uid(value) else "UIDs (PS3.5 9.1), several separated by commas; no wildcards"
    elif key.vr in NUMBER_VRS:
        allowed = "" if _number(value) is not None else "a number; no wildcards"
    else:
        allowed = ""
    if allowed:
        raise BadQuery(f"{key.keyword}: this value is not allowed; allowed: {allowed}")


# ---------------------------------------------------------------- a date and its time as one


def _combinable(date: Key, time: Key) -> bool:
    return all(len(key.values) == 1 and key.values[0] != _EMPTY for key in (date, time)) and "-" in time.values[0]


@dataclass(frozen=True, slots=True)
class _Span:
    """From a date's time to another date's time, both included."""

    lowest: str
    highest: str

    @classmethod
    def of(cls, date: Key, time: Key) -> _Span:
        dates, times = moments.asked("DA", date.values[0]), moments.asked("TM", time.values[0])
        return cls(dates.lowest + times.lowest, dates.highest + times.highest)

    def holds(self, dates: Sequence[Any], times: Sequence[Any]) -> bool:
        return any(
            self.lowest <= moments.sortable("DA", str(date)) + moments.sortable("TM", str(time)) <= self.highest
            for date, time in zip(dates, times, strict=False)
        )

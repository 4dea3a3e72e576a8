"""Dates, times and ranges of them, as keys ask for them (PS3.4 C.2.2.2.1, C.2.2.2.5; VRs DA, TM, DT)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

_DATE = r"\d{8}"
_TIME = r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?"
_OFFSET = r"[+-](?:0\d|1[0-4])[0-5]\d"
_DATETIME = rf"\d{{4}}(?:\d{{2}}(?:\d{{2}}(?:{_TIME})?)?)?(?:{_OFFSET})?"
_ONE = {"DA": re.compile(_DATE), "TM": re.compile(_TIME), "DT": re.compile(_DATETIME)}
_RANGE = {
    vr: re.compile(rf"({text})?\s*-\s*({text})?") for vr, text in (("DA", _DATE), ("TM", _TIME), ("DT", _DATETIME))
}
ALLOWED = {
    "DA": "YYYYMMDD, or a range YYYYMMDD-YYYYMMDD with one end left out or none; no wildcards",
    "TM": "HHMMSS.FFFFFF, shortened from the right, or a range of two separated by '-'; no wildcards",
    "DT": "YYYYMMDDHHMMSS.FFFFFF&ZZXX, shortened from the right, or a range of two separated by '-'; no wildcards",
}
_LOWEST = {"DA": "00000000", "TM": "000000000000", "DT": "00000101000000000000"}
_HIGHEST = {"DA": "99999999", "TM": "235959999999", "DT": "99991231235959999999"}


@dataclass(frozen=True, slots=True)
class Asked:
    """From `lowest` to `highest`, both included, in the form of `sortable`."""

    vr: str
    lowest: str
    highest: str

    def holds(self, value: str) -> bool:
        """Whether an entity's value lies in it."""
        found = sortable(self.vr, value)
        return bool(found) and self.lowest <= found <= self.highest


def is_valid(vr: str, wanted: str) -> bool:
    """Whether a key of this VR may have this value: one moment, or a range."""
    text = wanted.strip()
    return _ONE[vr].fullmatch(text) is not None or (text != "-" and _RANGE[vr].fullmatch(text) is not None)


@lru_cache(maxsize=256)
def asked(vr: str, wanted: str) -> Asked:
    """What a valid key asks for. An end that is less precise includes all that begins with it."""
    text = wanted.strip()
    if _ONE[vr].fullmatch(text):
        # what is left out of a single value is not asked about
        return Asked(vr, sortable(vr, text), _padded(vr, text, _HIGHEST))
    found = _RANGE[vr].fullmatch(text)
    first, last = found.groups() if found else ("", "")
    lowest = sortable(vr, first) if first else _LOWEST[vr]
    return Asked(vr, lowest, _padded(vr, last, _HIGHEST) if last else _HIGHEST[vr])


def sortable(vr: str, value: str) -> str:
    """A value in digits of full length, which sort as the moments do; "" where it is none."""
    text = value.strip()
    if vr == "DA":
        text = text.replace(".", "")  # PS3.5 6.2: the form of ACR-NEMA
    elif vr == "TM":
        text = text.replace(":", "")
    return _padded(vr, text, _LOWEST) if _ONE[vr].fullmatch(text) else ""


def _padded(vr: str, text: str, filling: dict[str, str]) -> str:
    moment, offset = text, ""
    if vr == "DT" and re.search(rf"{_OFFSET}$", text):
        moment, offset = text[:-5], text[-5:]
    digits = moment.replace(".", "")
    full = digits + filling[vr][len(digits) :]
    return _in_utc(full, offset) if offset else full


def _in_utc(digits: str, offset: str) -> str:
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S%f")
        away = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
        return (moment - away if offset[0] == "+" else moment + away).strftime("%Y%m%d%H%M%S%f")
    except (ValueError, OverflowError):
        return digits

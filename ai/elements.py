"""Tolerant access to header elements: what cannot be read is absent, and nothing here raises for it.

Hospitals hold headers with empty elements, wrong VRs, decimal commas and over-long texts. pydicom converts
an element when it is first touched and may raise then; so every access goes through `value`.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

# What pydicom's converters raise for malformed values (charset, struct, decimal and length errors among them).
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    NotImplementedError,
    EOFError,
    OSError,
    struct.error,
    BytesLengthException,
)
_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_DATE_TIME = re.compile(r"\d{14}(\.\d{1,6})?([+-]\d{4})?")


def value(dataset: Dataset, keyword: str) -> Any:
    """The element's value as pydicom gives it, or None where it is absent, empty or unreadable."""
    try:
        found = dataset.get(keyword)
    except _UNREADABLE:
        return None
    return None if found is None or found == "" else found


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values as stripped text, empty ones kept in their place ("DERIVED", "PRIMARY", "")."""
    found = value(dataset, keyword)
    if found is None or isinstance(found, (bytes, Sequence)):
        return ()
    values = found if isinstance(found, (MultiValue, list, tuple)) else (found,)
    return tuple("" if item is None else str(item).strip(" \0") for item in values)


def text(dataset: Dataset, keyword: str) -> str:
    """The value as stripped text, "" where there is none; several values stay joined by a backslash, as sent."""
    return "\\".join(texts(dataset, keyword))


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The single value as a whole number."""
    try:
        return int(text(dataset, keyword))
    except ValueError:
        return None


def lengths(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """A pair of finite numbers above 0, such as a (row, column) pixel spacing in mm."""
    try:
        numbers = tuple(float(item) for item in texts(dataset, keyword))
    except ValueError:
        return None
    if len(numbers) != 2 or not all(math.isfinite(number) and number > 0 for number in numbers):
        return None
    return numbers[0], numbers[1]


def items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence."""
    found = value(dataset, keyword)
    return tuple(found) if isinstance(found, Sequence) else ()


def is_yes(dataset: Dataset, keyword: str) -> bool:
    """Whether a YES/NO element says YES."""
    return text(dataset, keyword).upper() == "YES"


def is_flagged(dataset: Dataset, keyword: str, clear: str = "NO") -> bool:
    """Whether an element is there and says anything but `clear` or nothing; what cannot be read says something."""
    if keyword not in dataset:
        return False
    found = text(dataset, keyword).upper()
    return found != clear if found else not _is_empty(dataset, keyword)


def _is_empty(dataset: Dataset, keyword: str) -> bool:
    try:
        return not dataset.get(keyword)
    except _UNREADABLE:
        return False


def number(dataset: Dataset, keyword: str) -> float | None:
    """The single value as a finite number."""
    try:
        found = float(text(dataset, keyword))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def date(dataset: Dataset, keyword: str) -> str:
    """A DA value as YYYYMMDD; the old form YYYY.MM.DD is accepted (PS3.5 6.2). "" for anything else."""
    digits = text(dataset, keyword).replace(".", "")
    return digits if _DATE.fullmatch(digits) else ""


def time(dataset: Dataset, keyword: str) -> str:
    """A TM value as HHMMSS.FFFFFF or a shorter form; the old form HH:MM:SS is accepted. "" for anything else."""
    digits = text(dataset, keyword).replace(":", "")
    return digits if _TIME.fullmatch(digits) else ""


def date_time(dataset: Dataset, keyword: str) -> str:
    """A DT value to the second or finer; "" for anything else."""
    found = text(dataset, keyword)
    return found if _DATE_TIME.fullmatch(found) else ""


def code_value(item: Dataset) -> str:
    """The code of a coded entry (PS3.3 8.8), short, long or URN; "" where it has none."""
    for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue"):
        if found := text(item, keyword):
            return found
    return ""

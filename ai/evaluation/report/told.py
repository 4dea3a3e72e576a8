"""Numbers on the page: each is looked up by its path in the result and keeps it, so that a script can compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from html import escape
from typing import Any

_MISSING = "–"
#: Tables of so many rows are not broken between pages.
_SHORT = 14


def plain(value: Any) -> Any:
    """Records as mappings, what is no number as None: what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Told:
    """A result, as `plain` gives it. Paths are keys and places with dots between: "rule_out.1.missed_sdc.value"."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self._result = result

    def __getitem__(self, path: str) -> Any:
        found: Any = self._result
        for key in path.split("."):
            found = found[int(key)] if isinstance(found, list) else found[key]
        return found

    def places(self, path: str) -> list[str]:
        """The paths of a list's elements."""
        return [f"{path}.{place}" for place in range(len(self[path]))]

    def text(self, path: str) -> str:
        """A word, escaped."""
        found = self[path]
        return _MISSING if found is None else escape(str(found))

    def number(self, path: str, digits: int = 0) -> str:
        """A number in its own unit."""
        return self._data(path, 1, digits, "")

    def percent(self, path: str, digits: int = 1) -> str:
        """A share as a percentage."""
        return self._data(path, 100, digits, " %")

    def estimate(self, path: str, digits: int = 3) -> str:
        """A value and its interval."""
        if self[f"{path}.value"] is None:
            return _MISSING
        return f"{self.number(f'{path}.value', digits)} {self._interval(path, 1, digits, '')}"

    def share(self, path: str, digits: int = 1, times: float = 100, unit: str = " %") -> str:
        """A share as a percentage (or of another number, `times`), with its interval and the counts."""
        if self[f"{path}.value"] is None:
            return f'{_MISSING} <small class="of">0 of 0</small>'
        counts = f"{self.number(f'{path}.count')} of {self.number(f'{path}.of')}"
        value = self._data(f"{path}.value", times, digits, unit)
        return f'{value} {self._interval(path, times, digits, unit)} <small class="of">{counts}</small>'

    def points(self, path: str, digits: int = 1) -> str:
        """A difference of shares in percentage points, with its sign and interval."""
        if self[f"{path}.value"] is None:
            return _MISSING
        value = self._data(f"{path}.value", 100, digits, "", sign="+")
        return f"{value} {self._interval(path, 100, digits, '', sign='+')}"

    def p(self, path: str) -> str:
        """A p value."""
        found = self[path]
        if found is not None and found < 0.001:
            return f'<data value="{found!r}" data-path="{path}">&lt; 0.001</data>'
        return self.number(path, 3)

    def _interval(self, path: str, times: float, digits: int, unit: str, sign: str = "") -> str:
        low, high = (self._data(f"{path}.{end}", times, digits, "", sign=sign) for end in ("low", "high"))
        if self[f"{path}.low"] is None:
            return '<span class="interval">(no interval)</span>'
        return f'<span class="interval">({low} to {high}{unit})</span>'

    def _data(self, path: str, times: float, digits: int, unit: str, sign: str = "") -> str:
        found = self[path]
        if found is None:
            return _MISSING
        text = f"{found * times:{sign},.{digits}f}".replace("-", "−").replace(",", "\N{NARROW NO-BREAK SPACE}")
        unit = unit.replace(" ", "\N{NO-BREAK SPACE}")
        return f'<data value="{found!r}" data-path="{path}" data-times="{times:g}">{text}</data>{unit}'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1, caption: str = "") -> str:
    """A table of cells that are HTML already. words: so many first columns are words, the others numbers."""
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    heads = "".join(f'<th scope="col"{_kind(place, words)}>{each}</th>' for place, each in enumerate(head))
    body = "".join(f"<tr>{''.join(_cell(place, words, each) for place, each in enumerate(row))}</tr>" for row in rows)
    scroll = "scroll short" if len(rows) <= _SHORT else "scroll"
    return f'<div class="{scroll}"><table>{told}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(place: int, words: int, text: str) -> str:
    return f'<th scope="row">{text}</th>' if place == 0 else f"<td{_kind(place, words)}>{text}</td>"


def _kind(place: int, words: int) -> str:
    return "" if place < words else ' class="n"'

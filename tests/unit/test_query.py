"""The matcher of QIDO-RS and C-FIND: every kind of matching of PS3.4 C.2.2.2, and what is refused."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import moments, names, query
from node.errors import BadQuery
from node.query import Key, Matching

PLAIN = Matching()
COMBINED = Matching(combined=True)
EMPTY = Matching(empty=True)


def entity(**elements: Any) -> dict[str, Any]:
    """DICOM JSON of elements given as t00100020=["P1"] with their values."""
    return {name[1:]: {"Value": value} for name, value in elements.items()}


def matches(vr: str, wanted: str, *values: Any, matching: Matching = PLAIN) -> bool:
    keys = [Key("00100020", vr, tuple(wanted.split("\\")))]
    query.check(keys, matching)
    return query.matches(keys, entity(t00100020=list(values)), matching)


@pytest.mark.parametrize(
    ("vr", "wanted", "value", "expected"),
    [
        ("LO", "P1", "P1", True),
        ("LO", "P1", "P1 ", True),  # spaces at the end do not count
        ("LO", "P1", "p1", False),  # case does, but for person names
        ("LO", "P1", "P11", False),
        ("CS", "MG", "MG", True),
        ("UI", "1.2.3", "1.2.3", True),
        ("UI", "1.2.3", "1.2.3.4", False),
        ("IS", "7", 7, True),
        ("IS", "07", 7, True),
        ("DS", "1.50", "1.5", True),
        ("US", "640", 640, True),
        ("US", "641", 640, False),
        ("DA", "20261124", "20261124", True),
        ("DA", "20261124", "2026.11.24", True),
        ("TM", "0830", "083015", True),
        ("TM", "0830", "083115", False),
        ("DT", "202611", "20261124083015", True),
    ],
)
def test_single_values(vr: str, wanted: str, value: Any, expected: bool) -> None:
    assert matches(vr, wanted, value) is expected


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        ("A*", "A", True),
        ("A*", "ABC", True),
        ("*C", "ABC", True),
        ("A?C", "ABC", True),
        ("A?C", "AC", False),
        ("*B*", "ABC", True),
        ("a*", "ABC", False),
        ("A.C", "ABC", False),  # nothing else is special
        ("[A]*", "[A]B", True),
        ("A**C", "ABBC", True),
    ],
)
def test_wildcards(wanted: str, value: str, expected: bool) -> None:
    assert matches("LO", wanted, value) is expected


@pytest.mark.parametrize("vr", sorted(query.WILDCARD_VRS - {"PN"}))
def test_wildcards_are_for_these_representations(vr: str) -> None:
    assert matches(vr, "A*", "ABC")


@pytest.mark.parametrize("wanted", ["", "*"])
def test_no_value_and_a_star_match_everything_even_nothing(wanted: str) -> None:
    keys = [Key("00100020", "LO", (wanted,) if wanted else ())]
    assert query.matches(keys, {}, PLAIN)
    assert query.matches(keys, entity(t00100020=["P1"]), PLAIN)


def test_anything_else_does_not_match_what_has_no_value() -> None:
    for present in ({}, {"00100020": {"vr": "LO"}}, entity(t00100020=[None]), entity(t00100020=[""])):
        assert not query.matches([Key("00100020", "LO", ("?*",))], present, PLAIN)


@pytest.mark.parametrize(
    ("wanted", "name", "expected"),
    [
        ("Hansen^Kari", "Hansen^Kari", True),
        ("hansen^kari", "HANSEN^KARI", True),
        ("Hansen", "Hansen^Kari", False),
        ("Hansen*", "Hansen^Kari", True),
        ("Hansen^Kari^^", "Hansen^Kari", True),
        ("*kari", "Hansen^Kari", True),
        ("Ødegård*", "Odegard^Åse", True),
        ("odegard*", "Ødegård^Åse", True),
        ("S?ther*", "Sæther^Åse", True),
        ("Saether*", "Sæther^Åse", True),
        ("cadn", "Čáđŋ", True),
        ("Čáđŋ", "CADN", True),
        ("Čáđŋ", "Čáđŋa", False),
        ("Mu\u0308ller", "M\u00fcller", True),  # taken apart or not, it is the same name
    ],
)
def test_person_names_match_without_regard_to_case_and_accents(wanted: str, name: str, expected: bool) -> None:
    assert matches("PN", wanted, {"Alphabetic": name}) is expected


def test_person_names_match_by_any_group_or_group_by_group() -> None:
    name = {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    assert matches("PN", "山田*", name)
    assert matches("PN", "Yamada*=山田*", name)
    assert matches("PN", "=*=やまだ*", name)
    assert not matches("PN", "山田*=山田*", name)


@pytest.mark.parametrize(
    ("vr", "wanted", "value", "expected"),
    [
        ("DA", "20260101-20260131", "20260101", True),
        ("DA", "20260101-20260131", "20260131", True),
        ("DA", "20260101-20260131", "20260201", False),
        ("DA", "20260101-", "20990101", True),
        ("DA", "20260101-", "20251231", False),
        ("DA", "-20260101", "20260101", True),
        ("DA", "-20260101", "20260102", False),
        ("DA", "20260131-20260101", "20260115", False),
        ("DA", "20260101-20260131", "no date", False),
        ("TM", "08-09", "0959", True),  # an end includes all that begins with it
        ("TM", "08-09", "100000", False),
        ("TM", "0800-0815", "081559.5", True),
        ("TM", "-0800", "075959", True),
        ("TM", "0830-", "0829", False),
        ("DT", "20260101-20260131", "20260131235959", True),
        ("DT", "2026-", "20260101", True),
        ("DT", "20260101120000+0100-20260101130000+0100", "20260101113000+0000", True),
        ("DT", "20260101120000+0100-20260101130000+0100", "20260101123000+0000", False),
        ("DT", "20260101-0500", "20260101-0500", True),  # an offset, not a range
    ],
)
def test_ranges(vr: str, wanted: str, value: str, expected: bool) -> None:
    assert matches(vr, wanted, value) is expected


@pytest.mark.parametrize(
    ("date", "times", "found", "expected"),
    [
        ("20260101-20260102", "1800-0600", ("20260101", "1700"), False),
        ("20260101-20260102", "1800-0600", ("20260101", "1900"), True),
        ("20260101-20260102", "1800-0600", ("20260102", "0559"), True),
        ("20260101-20260102", "1800-0600", ("20260102", "0700"), False),
        ("20260101-", "1800-", ("20260102", "0100"), True),
        ("-20260102", "-0600", ("20260101", "2300"), True),
        ("20260101", "0800-0900", ("20260101", "0830"), True),
        ("20260101", "0800-0900", ("20260101", "1830"), False),
    ],
)
def test_a_range_of_dates_and_one_of_times_are_one_where_that_is_agreed(
    date: str, times: str, found: tuple[str, str], expected: bool
) -> None:
    keys = [Key("00080020", "DA", (date,)), Key("00080030", "TM", (times,))]
    assert query.matches(keys, entity(t00080020=[found[0]], t00080030=[found[1]]), COMBINED) is expected


def test_without_that_they_are_two() -> None:
    keys = [Key("00080020", "DA", ("20260101-20260103",)), Key("00080030", "TM", ("0800-0900",))]
    in_between = entity(t00080020=["20260102"], t00080030=["120000"])
    assert query.matches(keys, in_between, COMBINED)
    assert not query.matches(keys, in_between, PLAIN)


def test_a_list_of_uids_or_of_values_matches_any_of_them_and_several_values_of_an_entity_count_each() -> None:
    assert matches("UI", "1.2.3\\1.2.4", "1.2.4")
    assert not matches("UI", "1.2.3\\1.2.4", "1.2.5")
    assert matches("CS", "CT\\MG", "MG")
    assert matches("LO", "P?\\Q*", "Qx")
    assert matches("CS", "PRIMARY", "ORIGINAL", "PRIMARY")


def test_two_quotes_match_what_has_no_value_where_that_is_agreed() -> None:
    keys = [Key("00080050", "SH", ('""',))]
    assert query.matches(keys, {}, EMPTY)
    assert query.matches(keys, {"00080050": {"vr": "SH"}}, EMPTY)
    assert not query.matches(keys, entity(t00080050=["A1"]), EMPTY)
    assert not query.matches(keys, {}, PLAIN)


def test_a_sequence_matches_when_all_keys_match_in_one_item() -> None:
    def asked(code: str, scheme: str) -> list[Key]:
        return [Key("00081032", "SQ", items=(Key("00080100", "SH", (code,)), Key("00080102", "SH", (scheme,))))]

    items = [entity(t00080100=["1"], t00080102=["SCT"]), entity(t00080100=["2"], t00080102=["DCM"])]
    found = entity(t00081032=items)
    assert query.matches(asked("1", "SCT"), found, PLAIN)
    assert query.matches(asked("2", "D*"), found, PLAIN)
    assert not query.matches(asked("1", "DCM"), found, PLAIN), "two items together are not one"
    assert query.matches(asked("", ""), {}, PLAIN), "nothing is asked of it"


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("DA", "2026"),
        ("DA", "2026*"),
        ("DA", "20260101-20260102-"),
        ("DA", "-"),
        ("DA", "today"),
        ("TM", "8:30"),
        ("TM", "*"),
        ("DT", "x-y"),
        ("UI", "1.2.*"),
        ("UI", "abc"),
        ("IS", "one"),
        ("US", "6*"),
        ("OW", "1"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_the_attributes_name(vr: str, value: str) -> None:
    with pytest.raises(BadQuery, match="PatientID: "):
        query.check([Key("00100020", vr, (value,))], PLAIN)


# --- against references that are too slow or too simple to be used

TEXT = st.text("ab*?", max_size=8)


def naive(pattern: str, text: str) -> bool:
    """Wildcards by trying every way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and naive(pattern[1:], text[1:])


@given(TEXT, st.text("ab", max_size=8))
def test_patterns_match_what_trying_every_way_matches(pattern: str, text: str) -> None:
    assert (names.pattern(pattern).fullmatch(text) is not None) is naive(pattern, text)


def test_no_pattern_takes_long() -> None:
    began = time.process_time()
    assert names.pattern("*a" * 30 + "*b").fullmatch("a" * 60) is None
    assert names.pattern("*?" * 30 + "b").fullmatch("a" * 60) is None
    assert time.process_time() - began < 1, "a search must not be able to occupy the node"


DATES = st.dates().map(lambda date: f"{date:%Y%m%d}".zfill(8))


@given(st.one_of(st.none(), DATES), st.one_of(st.none(), DATES), DATES)
def test_a_range_of_dates_holds_what_lies_between_its_ends(first: str | None, last: str | None, date: str) -> None:
    if first is None and last is None:
        return
    expected = (first is None or first <= date) and (last is None or date <= last)
    assert moments.asked("DA", f"{first or ''}-{last or ''}").holds(date) is expected


TIMES = st.times().map(lambda time: f"{time:%H%M%S.%f}")


@given(TIMES, st.sampled_from([2, 4, 6, 8, 13]), TIMES)
def test_a_time_holds_what_begins_with_it(whole: str, length: int, other: str) -> None:
    shortened = whole[:length]
    assert moments.asked("TM", shortened).holds(whole)
    assert moments.asked("TM", shortened).holds(other) is other.startswith(shortened)


@given(st.text(st.characters(codec="utf-8", exclude_characters="*?=^\\"), min_size=1, max_size=10))
def test_a_name_matches_itself_whatever_its_letters(name: str) -> None:
    stripped = name.strip()
    if stripped:
        assert names.matches(name, {"Alphabetic": name})
        assert names.matches(name.upper(), {"Alphabetic": name}) or name.upper().casefold() != name.casefold()


def test_folded_names_are_plain() -> None:
    assert names.folded("Sæther^Åse Čáđŋ=山田") == "saether^ase cadn"
    assert re.fullmatch(r"[a-z^ ]+", names.folded("ØDEGÅRD^Łucja Þóra"))

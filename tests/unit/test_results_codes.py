"""Every code means what an independent table says it means."""

from __future__ import annotations

from pydicom.sr._concepts_dict import concepts

from node.results import (
    _codes,
)


def meanings() -> dict[tuple[str, str], str]:
    """(value, scheme) → meaning, as pydicom has them from PS3.16 and SNOMED CT."""
    return {
        (value, scheme): known[0].replace("\u200b", "")
        for scheme, keywords in concepts.items()
        for codes in keywords.values()
        for value, known in codes.items()
    }


#: SNOMED CT's full names and PS3.16's differ in words; these are the words of the context groups.
WORDED_BY_CONTEXT_GROUP = {
    "129715009", "129716005", "129718006", "129719003", "129769006", "129792006", "133890006",
    "399162004", "51440002", "73056007", "76752008", "80248007",
}  # fmt: skip
#: Two spaces, as DICOM has had them from the start.
SPACED = {"111024", "111025", "111234"}


def test_every_code_means_what_an_independent_table_says() -> None:
    table = meanings()
    wrong = []
    for code in _codes.every():
        said = table.get((code.value, code.scheme))
        if code.scheme not in ("DCM", "SCT") or code.value in WORDED_BY_CONTEXT_GROUP:
            continue
        mine = code.meaning.replace(" ", "") if code.value in SPACED else code.meaning
        theirs = (said or "").replace(" ", "") if code.value in SPACED else said or ""
        if mine.lower() != theirs.lower():
            wrong.append((code, said))
    assert not wrong


def test_a_code_of_a_context_group_is_in_the_table_at_all() -> None:
    table = meanings()
    assert {code.value for code in _codes.every() if (code.value, "SCT") in table} >= WORDED_BY_CONTEXT_GROUP

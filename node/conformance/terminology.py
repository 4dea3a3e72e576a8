"""Annex: codes. Groups of the standard and the private scheme, as the results use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ai.reasons import ReasonCode
from node.conformance.document import Section, Table
from node.conformance.facts import Facts
from node.results import _codes
from node.results._codes import Code

#: Concepts that only some findings have, and the templates they come with.
_SELDOM = {_codes.COMPOSITE_FEATURE: "4004, 4005", _codes.SELECTED_REGION_DESCRIPTION: "4013"}
_SAMPLE_SCHEME = "99SAMPLE"
#: Root template → those it is filled in with here.
_WITH = {
    "1500": "1204, 1001, 1004, 1501, 1410, 320, 1600 to 1603, 4019, 4108",
    "4000": "1204, 4001, 4003, 4006, 4015 to 4018, 4019, 4020, 4108",
    "2010": "1204, 1001, 1004",
}
#: Name → codes. Of a context group those that results use.
GROUPS: dict[str, tuple[Code, ...]] = {
    "CID 6014 Mammography Single Image Finding": tuple(_codes.FINDING_TYPES.values()),
    "CID 6000 Breast Composition": tuple(_codes.COMPOSITIONS.values()),
    "CID 6022 Side": tuple(_codes.BREASTS.values()),
    "CID 244 Laterality": tuple(_codes.SIDES.values()),
    "CID 4014 View for Mammography": tuple(_codes.VIEWS.values()),
    "CID 6047 CAD Processing and Findings Summary": (
        _codes.ALL_WITHOUT_FINDINGS,
        _codes.ALL_WITH_FINDINGS,
        _codes.SOME_WITHOUT_FINDINGS,
        _codes.SOME_WITH_FINDINGS,
        _codes.NONE_SUCCEEDED,
    ),
    "CID 6042 Status of Results": (
        _codes.SUCCEEDED,
        _codes.PARTIALLY_SUCCEEDED,
        _codes.FAILED,
        _codes.NOT_ATTEMPTED,
    ),
    "Triage categories": tuple(_codes.CATEGORIES.values()),
    "Reasons": tuple(_codes.reason_code(code) for code in ReasonCode),
}


def told(code: Code) -> str:
    """E.g. (111059, DCM, "Single Image Finding")."""
    return f'({code.value}, {code.scheme}, "{code.meaning}")'


def group_of(codes: Iterable[Code]) -> str:
    """The group that holds all these codes, "" when none does."""
    found = set(codes)
    return next((name for name, group in GROUPS.items() if found <= set(group)), "")


def section(facts: Facts) -> Section:
    """The annex."""
    groups = [row for name, group in GROUPS.items() for row in ((name, "", ""), *group)]
    return Section(
        "Coded terminology",
        sections=(
            Section(
                "Coding schemes",
                (Table("Coding schemes in result objects", ("Designator", "Codes used"), tuple(_schemes(facts))),),
            ),
            Section(
                "Groups of codes",
                (Table("Codes by group", ("Code value", "Coding scheme", "Code meaning"), tuple(groups)),),
            ),
            Section(
                "Private coding scheme",
                (
                    f"What has no standard code is in the scheme {_codes.PRIVATE_SCHEME}, which objects that use it "
                    "declare in Coding Scheme Identification Sequence. A code is never renamed or used again for "
                    "another thing. A value longer than 16 characters is in Long Code Value (0008,0119). Reasons and "
                    "triage categories are in [[Groups of codes]].",
                    Table("Private concepts", ("Code value", "Code meaning"), tuple(_private())),
                ),
            ),
            Section(
                "Templates",
                (
                    Table("Templates by object", ("Object", "Templates of PS3.16"), tuple(_templates(facts))),
                    "None is extended or specialized.",
                ),
            ),
        ),
    )


def _schemes(facts: Facts) -> Iterator[tuple[str, str]]:
    """Designator → how many of its codes occur in the sampled objects."""
    used: dict[str, set[str]] = {}
    for example in facts.examples:
        for dataset in example.datasets:
            for element in dataset.iterall():
                if element.VR == "SQ" and element.keyword.endswith("CodeSequence"):
                    for item in element.value:
                        value = str(item.get("CodeValue") or item.get("LongCodeValue") or "")
                        used.setdefault(str(item.get("CodingSchemeDesignator", "")), set()).add(value)
    yield from (
        (scheme, str(len(values))) for scheme, values in sorted(used.items()) if scheme not in ("", _SAMPLE_SCHEME)
    )


def _templates(facts: Facts) -> Iterator[tuple[str, str]]:
    """Root templates of the built objects, with those below."""
    for example in facts.examples:
        for dataset in example.datasets[:1]:
            for item in dataset.get("ContentTemplateSequence") or ():
                root = str(item.TemplateIdentifier)
                used = {str(each.value) for each in dataset.iterall() if each.keyword == "CodeValue"}
                parts = [_WITH.get(root, ""), *(more for code, more in _SELDOM.items() if code.value in used)]
                yield example.kind, " with ".join(filter(None, (f"TID {root}", ", ".join(filter(None, parts)))))


def _private() -> Iterator[tuple[str, str]]:
    for code in vars(_codes).values():
        if isinstance(code, Code) and code.scheme == _codes.PRIVATE_SCHEME:
            yield code.value, code.meaning

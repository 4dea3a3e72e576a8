"""What the conformance statement claims of DICOMweb, asked of a running server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydicom.uid import JPEGBaseline8Bit

from node.conformance import web as statement
from node.conformance.web import WebService
from node.query import BINARY_VRS
from node.web import media
from tests.support_exams import STUDY, as_file, view
from tests.support_ups import rest, workitem
from tests.support_web import Web, compressed, web

SERVICES = statement.services()
SEARCHES = {"STUDY": "/studies", "SERIES": "/series", "INSTANCE": "/instances"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as served:
        served.put(view())
        rest(served.node).push(ITEM, workitem())
        yield served


ITEM = "2.25.1"


def path(service: WebService) -> str:
    """The resource of the one image that there is."""
    values = {"study": STUDY, "series": f"{STUDY}.0", "instance": f"{STUDY}.1", "frames": "1", "path": "7FE00010"}
    values |= {"workitem": ITEM, "subscriber": "WEB"}
    return re.sub(r"\{([^}]+)\}", lambda found: values[found[1]], service.resource)


@pytest.mark.parametrize("service", SERVICES, ids=lambda each: f"{each.method} {each.resource}")
def test_the_claimed_media_types_are_the_ones_there_are(served: Web, service: WebService) -> None:
    """A request for something else is told what there is."""
    answer = served.ask(service.method, path(service), "text/never", b"" if service.method == "POST" else None)
    assert answer.status == 406
    allowed = {each.replace('"', "") for each in answer.error.split("allowed: ")[1].split(", ")}
    claimed = set(service.produces)
    assert claimed <= allowed
    assert allowed - claimed <= {media.DICOM_JSON}, "the answer names what the statement does not"


@pytest.mark.parametrize("service", [each for each in SERVICES if each.method == "GET"], ids=lambda each: each.resource)
def test_every_claimed_resource_gives_each_claimed_media_type(served: Web, service: WebService) -> None:
    for media_type in service.produces:
        answer = served.get(path(service), re.sub(r"type=(.+)", r'type="\1"', media_type))
        assert answer.status == 200, f"{media_type}: {answer.body[:200]!r}"
        assert media_type.partition(";")[0].split("+")[-1].split("/")[-1] in answer.headers["Content-Type"]


def test_what_is_taken_is_what_is_claimed(served: Web) -> None:
    (consumed,) = {each.consumes for each in SERVICES if each.service == "STOW-RS"}
    answer = served.ask("POST", "/studies", data=b"x", Content_Type="application/json")
    assert answer.status == 415
    assert consumed[0] in answer.error


def test_an_instance_in_a_lossy_syntax_is_taken_as_claimed(served: Web) -> None:
    """Over HTTP; an association would not accept its presentation context."""
    dataset = compressed(view(study=f"{STUDY}.5"), JPEGBaseline8Bit, lambda _values: b"\xff\xd8\xff\xd9")
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + as_file(dataset) + b"\r\n--x--"
    media_type = f'{media.MULTIPART}; type="{media.DICOM}"; boundary=x'
    answer = served.ask("POST", "/studies", data=body, Content_Type=media_type)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("level", SEARCHES)
def test_every_claimed_attribute_can_be_searched_for(served: Web, level: str) -> None:
    """And is returned unasked where the statement says so; one that is not claimed is an error."""
    found = claimed(level)
    for keyword, vr, _ in found:
        assert vr not in BINARY_VRS
        inner = ".CodeValue" if vr == "SQ" else ""
        answer = served.get(f"{SEARCHES[level]}?{keyword}{inner}=")
        assert answer.status == 200, f"{keyword}: {answer.body[:200]!r}"
    assert served.get(f"{SEARCHES[level]}?PixelAspectRatio=1").status == 400
    (match,) = served.get(f"{SEARCHES[level]}?StudyInstanceUID={STUDY}").json
    empty = {"TimezoneOffsetFromUTC", "StudyDescription", "SeriesDescription", "NumberOfFrames", "Laterality"}
    empty |= {"BodyPartExamined", "RequestAttributesSequence", "SeriesDate", "SeriesTime"}
    empty |= {"PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"}
    always = {tag for keyword, _, tag in found if tag and keyword not in empty}
    assert sorted(always - set(match)) == [], "these are said to be returned always"


def claimed(level: str) -> list[tuple[str, str, str]]:
    """Keyword, VR, and the tag of what is returned always, of the level in the statement's table."""
    rows, found, at = list(statement.attributes()), [], ""
    for keyword, tag, vr, _, when in rows:
        at = keyword.partition(" ")[0].upper() if not tag else at
        if tag and at == level:
            found.append((keyword, vr, re.sub(r"[(),]", "", tag) if when == "always" else ""))
    assert found
    return found


@pytest.mark.parametrize(
    ("keyword", "value", "is_allowed"),
    [
        ("StudyDate", "20260101-", True),
        ("StudyDate", "2026*", False),
        ("StudyInstanceUID", "1.2,1.3", True),
        ("StudyInstanceUID", "1.2.*", False),
        ("Rows", "640", True),
        ("Rows", "6*", False),
        ("PatientName", "TE?T*", True),
    ],
)
def test_matching_is_as_claimed(served: Web, keyword: str, value: str, is_allowed: bool) -> None:
    assert served.get(f"/instances?{keyword}={value}").status == (200 if is_allowed else 400)

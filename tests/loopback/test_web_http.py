"""What every HTTP client may count on: HEAD, OPTIONS, Allow, validators, pages, preferences."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support_exams import STUDY, as_file, exam, view
from tests.support_web import Web, path_of, web

BOUNDARY = 'multipart/related; type="application/dicom"; boundary=x'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("http")) as served:
        served.put(*exam())
        yield served


GIVEN = ("", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/pixeldata", "/rendered", "/thumbnail")


@pytest.mark.parametrize("path", GIVEN)
def test_the_head_alone_is_that_of_the_whole(served: Web, path: str) -> None:
    whole, head = served.get(path_of(view()) + path), served.ask("HEAD", path_of(view()) + path)
    assert (head.status, head.body) == (200, b"")
    assert len(whole.body) > 100
    for name in ("Content-Length", "ETag", "Vary", "Cache-Control"):
        assert head.headers[name] == whole.headers[name], name
    assert head.headers["Content-Type"].partition(";")[0] == whole.headers["Content-Type"].partition(";")[0]


def test_the_head_of_what_is_not_there(served: Web) -> None:
    assert served.ask("HEAD", "/studies/1.2.3").status == 404
    assert served.ask("HEAD", "/studies?StudyDate=x").status == 400


@pytest.mark.parametrize("path", GIVEN)
def test_what_the_asker_has_is_not_sent_again(served: Web, path: str) -> None:
    whole = served.get(path_of(view()) + path)
    again = served.get(path_of(view()) + path, If_None_Match=f'"other", {whole.headers["ETag"]}')
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", whole.headers["ETag"])
    assert served.get(path_of(view()) + path, If_None_Match='W/"other"').status == 200


def test_another_representation_has_another_validator(served: Web) -> None:
    path = f"{path_of(view())}/rendered"
    tags = [served.get(path + query, "image/*").headers["ETag"] for query in ("", "?quality=5", "?window=1,2")]
    tags.append(served.get(path, "image/png").headers["ETag"])
    tags.append(served.get(path_of(view(2)) + "/rendered", "image/*").headers["ETag"])
    assert len(set(tags)) == 5


def test_a_search_and_a_study_change_when_something_comes(served: Web) -> None:
    study = f"{STUDY}.8"
    served.put(view(1, study=study))
    paths = (f"/studies?StudyInstanceUID={study}", f"/studies/{study}/metadata", f"/studies/{study}")
    tags = {path: served.get(path).headers["ETag"] for path in paths}
    for path, tag in tags.items():
        assert served.get(path, If_None_Match=tag).status == 304, path
    served.put(view(2, study=study))
    for path, tag in tags.items():
        assert served.get(path, If_None_Match=tag).status == 200, path


def test_what_a_path_takes_is_told(served: Web) -> None:
    for path, allowed in (
        ("/studies", "GET, HEAD, OPTIONS, POST"),
        (f"/studies/{STUDY}", "GET, HEAD, OPTIONS, POST"),
        (f"/studies/{STUDY}/metadata", "GET, HEAD, OPTIONS"),
        ("/workitems/1.2.3", "GET, HEAD, OPTIONS, POST"),
        ("/workitems/1.2.3/state", "OPTIONS, PUT"),
    ):
        answer = served.ask("OPTIONS", path)
        assert (answer.status, answer.headers["Allow"]) == (204, allowed), path
        assert 'rel="service-desc"' in answer.headers["Link"]
        refused = served.ask("PATCH", path)
        assert (refused.status, refused.headers["Allow"]) == (405, allowed), path
        assert allowed in refused.error
    assert served.ask("OPTIONS", "/studies").headers["Accept-Post"].startswith("multipart/related")
    assert served.ask("OPTIONS", "/nothing").status == 404


def test_pages_follow_each_other_by_their_links(served: Web) -> None:
    url, seen = f"/instances?StudyInstanceUID={STUDY}&limit=3", []
    answer = served.get(url)
    assert "more matches" in answer.headers["Warning"]
    for _ in range(2):
        seen += [each["00080018"]["Value"][0] for each in answer.json]
        links = dict(reversed(link.split("; ")) for link in (answer.headers["Link"] or "").split(", ") if link)
        if 'rel="next"' not in links:
            break
        answer = served.get(links['rel="next"'].strip("<>"))
    assert sorted(seen) == [f"{STUDY}.{number}" for number in range(1, 5)]
    assert answer.headers["Warning"] is None
    before = served.get(links['rel="prev"'].strip("<>"))
    assert len(before.json) == 3


def store(served: Web, *numbers: int, prefer: str) -> tuple[int, dict[str, object], str | None]:
    parts = b"".join(
        b"--x\r\nContent-Type: application/dicom\r\n\r\n" + as_file(view(number, study=f"{STUDY}.9")) + b"\r\n"
        for number in numbers
    )
    answer = served.ask("POST", "/studies", data=parts + b"--x--", Content_Type=BOUNDARY, Prefer=prefer)
    return answer.status, answer.json, answer.headers["Preference-Applied"]


def test_a_sender_may_ask_to_hear_only_of_what_went_wrong(served: Web) -> None:
    status, told, applied = store(served, 1, 2, prefer="return=minimal")
    assert (status, applied) == (200, "return=minimal")
    assert list(told) == ["00081190"], "where the study is, and nothing else"
    status, told, applied = store(served, 1, 2, prefer='respond-async, return="representation"')
    assert (status, applied, len(told["00081199"]["Value"])) == (200, "return=representation", 2)
    assert store(served, 1, prefer="return=everything")[2] is None

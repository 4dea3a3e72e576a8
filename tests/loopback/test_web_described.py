"""The description of the interface against the running server: schemathesis asks whatever the description allows.

MAMMO_NODE_DESCRIPTION_EXAMPLES=200 asks at random, so much of every operation; without, the same few each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from node.web.described import routes
from node.web.routes import READY
from tests.support_exams import STUDY, as_file, view
from tests.support_ups import rest, workitem
from tests.support_web import Web, multi_frame, web

LONG = os.environ.get("MAMMO_NODE_DESCRIPTION_EXAMPLES")
EXAMPLES = int(LONG or 3)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    allow_header_conformance,
]
ITEM = "2.25.1"
#: What is there, so that not everything that is asked for is missing.
THERE = {"study": STUDY, "series": f"{STUDY}.0", "instance": f"{STUDY}.1", "workitem": ITEM, "path": "7FE00010"}
THERE |= {"frames": "1"}


@schemathesis.serializer("multipart/related")
def one_part(_context: Any, value: Any) -> dict[str, Any]:
    """Whatever was made up, as an instance, which it is not."""
    content = bytes(getattr(value, "data", value))
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--x--"
    return {"data": body, "headers": {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("described")) as served:
        served.put(view(), multi_frame(study=f"{STUDY}.4"))
        rest(served.node).push(ITEM, workitem())
        yield served


@pytest.fixture(scope="module")
def described(served: Web) -> dict[str, Any]:
    return served.get(served.base.removesuffix("/dicom-web") + "/openapi.json").json


def test_every_route_is_described_with_what_it_takes_and_gives(described: dict[str, Any]) -> None:
    for route in routes():
        operation = described["paths"]["/dicom-web" + route.path.replace(":path", "")][route.method.lower()]
        assert operation["summary"] == route.sentence
        shared = described["components"]["parameters"]
        parameters = [
            shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in operation["parameters"]
        ]
        named = {each["name"] for each in parameters if each["in"] == "path"}
        assert named == {part.strip("{}").partition(":")[0] for part in route.path.split("/") if part[:1] == "{"}
        assert ("requestBody" in operation) or route.method in ("GET", "DELETE") or "/subscribers/" in route.path
        done = [status for status in operation["responses"] if status < "300"]
        assert done, route
        if route.method == "GET":
            assert all(operation["responses"][status]["content"] for status in done), route


@pytest.mark.timeout(3600 if LONG else 300)
def test_whatever_the_description_allows_is_answered_as_it_says(served: Web) -> None:
    schema = schemathesis.openapi.from_url(served.base.removesuffix("/dicom-web") + "/openapi.json")
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if not LONG and operation.method in ("head", "options"):
            continue
        asked += ask(operation)
    assert asked > 50


def ask(operation: Any) -> int:
    """Ask it, each time with arguments made up anew, or with those of something that is there."""
    asked = 0

    @settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy(), there=st.booleans())
    def one(case: Any, there: bool) -> None:
        nonlocal asked
        asked += 1
        if there and case.path_parameters:
            case.path_parameters.update({name: THERE[name] for name in case.path_parameters if name in THERE})
        # without a reader the node is not ready, and says so
        checks = [each for each in CHECKS if operation.path != READY or each is not not_a_server_error]
        case.call_and_validate(checks=checks)

    one()
    return asked


def test_a_study_is_stored_by_the_description_alone(served: Web, described: dict[str, Any]) -> None:
    """What schemathesis cannot make up, an instance, by the path and the media type that the description names."""
    operation = described["paths"]["/dicom-web/studies"]["post"]
    (media_type,) = operation["requestBody"]["content"]
    part_type = operation["requestBody"]["content"][media_type]["schema"]["contentMediaType"].partition("type=")[2]
    body = f"--x\r\nContent-Type: {part_type}\r\n\r\n".encode() + as_file(view(study=f"{STUDY}.5")) + b"\r\n--x--"
    answer = served.ask("POST", "/studies", data=body, Content_Type=f'{media_type}; type="{part_type}"; boundary=x')
    assert str(answer.status) in operation["responses"]
    assert answer.status == 200

"""The description of the interface (OpenAPI 3.1): what FastAPI knows of the routes, and what it cannot of DICOMweb.

Parameters, media types, answers and sign-in, each from where the code has it. Served at `capabilities.DESCRIPTION`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag

from node.findable import COMPUTED, KEPT
from node.search import levels_down_to
from node.web import bodies, media
from node.web.query_parameters import OPTIONS
from storage.catalogue import Level

_UID = {"type": "string", "maxLength": 64, "pattern": r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*$"}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_YES_NO = {"type": "string", "enum": ["true", "false"]}
_PATH: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "study": ("Study Instance UID", _UID),
    "series": ("Series Instance UID", _UID),
    "instance": ("SOP Instance UID", _UID),
    "workitem": ("SOP Instance UID of the work item", _UID),
    "frames": ("Numbers of frames, from 1", {"type": "string", "pattern": r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"}),
    "path": (
        "Tag of the element, or tag/item/tag",
        {"type": "string", "pattern": r"^[0-9A-F]{8}(/[0-9]{1,4}/[0-9A-F]{8})*$"},
    ),
    "subscriber": ("AE title", {"type": "string", "pattern": r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$"}),
}
_SEARCH: Mapping[str, Mapping[str, Any]] = {
    "emptyvaluematching": _YES_NO,
    "fuzzymatching": _YES_NO,
    "multiplevaluematching": _YES_NO,
    "limit": _COUNT,
    "offset": _COUNT,
    "includefield": {"type": "string"},
    "charset": {"type": "string"},
}
_PICTURE: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "quality": ("Of JPEG", {"type": "integer", "minimum": 1, "maximum": 100}),
    "window": ("centre,width,function", {"type": "string"}),
}
_VIEWPORT = ("width,height, or width,height,left,top,width,height", {"type": "string"})
#: The statuses that any request may get, beside those of its own.
_ANY = (400, 401, 403, 404, 406, 421, 429, 500, 503)
_OF_SERVICE: Mapping[str, tuple[int, ...]] = {
    "QIDO-RS": (413,),
    "STOW-RS": (409, 413, 415, 507),
    "UPS-RS": (409, 413, 415),
}
_DONE: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("STOW-RS", "/studies"): (200, 202),
    ("UPS-RS", "/workitems"): (201,),
    ("UPS-RS", "/cancelrequest"): (202,),
    ("UPS-RS", "/subscribers/{subscriber}"): (201,),
}
_MEANS = {
    200: "Done",
    201: "Made",
    202: "Done in part, or taken up",
    204: "Nothing to say but the head",
    304: "Not modified: the asker has it",
    400: "The request is not as it should be",
    401: "A sign-in is needed",
    403: "This account, or this sender, may not",
    404: "It is not here",
    406: "None of the media types asked for can be given",
    409: "It cannot be done as things are; of a store: nothing was stored, see the Failure Reasons",
    413: "Too large, or too broad",
    415: "The body's media type is not taken",
    421: "This node is not called that",
    429: "Too many requests, or failed sign-ins",
    500: "What is stored cannot be used, or a fault of the product",
    503: "It cannot be done at the moment; try again",
    507: "There is no room; try again later",
}
_SCHEMAS: Mapping[str, Any] = {
    "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    "DataSet": {
        "type": "object",
        "description": "DICOM JSON (PS3.18 F), by tag",
        "patternProperties": {
            "^[0-9A-F]{8}$": {
                "type": "object",
                "required": ["vr"],
                "properties": {
                    "vr": {"type": "string", "minLength": 2, "maxLength": 2},
                    "Value": {"type": "array"},
                    "BulkDataURI": {"type": "string"},
                    "InlineBinary": {"type": "string"},
                },
            }
        },
        "additionalProperties": False,
    },
    "DataSets": {"type": "array", "items": {"$ref": "#/components/schemas/DataSet"}},
}
_SIGN_IN = {
    "password": {"type": "http", "scheme": "basic", "description": "A local account"},
    "token": {"type": "http", "scheme": "bearer", "description": "A token of this node, or of the OpenID provider"},
}


def completed(found: dict[str, Any], prefix: str, *, is_open: bool) -> dict[str, Any]:
    """FastAPI's description with what it lacks. prefix: where DICOMweb begins. is_open: some need no sign-in."""
    parameters: dict[str, Any] = {}
    found["components"] = {"schemas": dict(_SCHEMAS), "parameters": parameters, "securitySchemes": _SIGN_IN}
    found["security"] = [*([{}] if is_open else []), *({name: []} for name in _SIGN_IN)]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            _complete(operation, method.upper(), path.removeprefix(prefix))
            operation["parameters"] = [_shared(each, parameters) for each in operation["parameters"]]
    return found


def _shared(parameter: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """A reference to the parameter among those that are shared, where it is added; what differs by path stays here."""
    if parameter["name"] in ("accept", "workitem"):
        return parameter
    shared.setdefault(parameter["name"], parameter)
    return {"$ref": f"#/components/parameters/{parameter['name']}"}


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    service = str(operation["tags"][0])
    operation["summary"] = operation.pop("description", operation["summary"]).partition("\n")[0]
    named = [each for each in operation.get("parameters", ()) if each["in"] == "path"]
    operation["parameters"] = [
        *(_parameter("path", each["name"], *_PATH[each["name"]]) for each in named),
        *_query(service, method, path),
        *_headers(service, method),
    ]
    taken = bodies.consumed(service, method, path) if _is_dicomweb(service) else ()
    if taken:
        schema = {"$ref": "#/components/schemas/DataSet"} if media.JSON in taken else _binary(taken[0])
        needed = not path.endswith("/cancelrequest")
        operation["requestBody"] = {"required": needed, "content": {_bare(each): {"schema": schema} for each in taken}}
    operation["responses"] = dict(_answers(service, method, path))


def _is_dicomweb(service: str) -> bool:
    return service.endswith("-RS")


# ---------------------------------------------------------------- parameters


def _parameter(place: str, name: str, told: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    found = {"in": place, "name": name, "schema": dict(schema), "required": place == "path"}
    return {**found, "description": told} if told else found


def _query(service: str, method: str, path: str) -> Iterator[dict[str, Any]]:
    given = bodies.produced(service, path) if _is_dicomweb(service) and method != "OPTIONS" else ()
    if given:
        yield _parameter("query", "accept", "Wins over the header", {"type": "string", "examples": list(given)})
    if service == "QIDO-RS" and method != "OPTIONS":
        yield from (_parameter("query", name, "", _SEARCH[name]) for name in OPTIONS if name in _SEARCH)
        yield from _keys(path)
    elif method in ("GET", "HEAD") and path.endswith(("/rendered", "/thumbnail")):
        yield _parameter("query", "viewport", *_VIEWPORT)
        if path.endswith("/rendered"):
            yield from (_parameter("query", name, *told) for name, told in _PICTURE.items())
    elif service == "UPS-RS":
        yield from _of_work(method, path)
    elif service == "monitoring" and method != "OPTIONS":
        yield _parameter("query", "week", "ISO 8601; without, this one", {"type": "string", "examples": ["2026-W48"]})


def _keys(path: str) -> Iterator[dict[str, Any]]:
    """The attributes that a level can be searched by."""
    level = Level[{"studies": "STUDY", "series": "SERIES", "instances": "INSTANCE"}[path.rpartition("/")[2]]]
    tags = frozenset().union(*(KEPT[each] | COMPUTED[each] for each in levels_down_to(level)))
    for tag in sorted(tags):
        vr = dictionary_VR(int(tag, 16)).partition(" or ")[0]
        inner = ".CodeValue" if vr == "SQ" else ""
        yield _parameter(
            "query", keyword_for_tag(int(tag, 16)) + inner, f"({tag[:4]},{tag[4:]}) {vr}", {"type": "string"}
        )


def _of_work(method: str, path: str) -> Iterator[dict[str, Any]]:
    if path == "/workitems" and method in ("GET", "HEAD"):
        yield from (_parameter("query", name, "", _SEARCH[name]) for name in OPTIONS if name in _SEARCH)
    elif path == "/workitems":
        yield _parameter("query", "workitem", "UID of the new work item", _UID)
    elif path == "/workitems/{workitem}" and method == "POST":
        yield _parameter("query", "transaction-uid", "Of whoever performs it", _UID)
    elif path.endswith("/{subscriber}") and method == "POST":
        yield _parameter("query", "deletionlock", "", _YES_NO)
        yield _parameter("query", "filter", "A=x,B=y; of the filtered worklist", {"type": "string"})


def _headers(service: str, method: str) -> Iterator[dict[str, Any]]:
    if service in ("QIDO-RS", "WADO-RS") and method in ("GET", "HEAD"):
        yield _parameter("header", "If-None-Match", "ETag of what the asker has", {"type": "string"})
    if service == "STOW-RS" and method == "POST":
        levels = {"type": "string", "enum": ["return=minimal", "return=representation"]}
        yield _parameter("header", "Prefer", "How much the answer shall tell", levels)


# ---------------------------------------------------------------- answers


def _answers(service: str, method: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    error = {"schema": {"$ref": "#/components/schemas/Error"}}
    for status in _done(service, method, path):
        yield str(status), _answer(status, {} if method == "HEAD" else _content(service, method, path))
    if service in ("QIDO-RS", "WADO-RS") and method in ("GET", "HEAD"):
        yield "304", _answer(304, {})
    for status in sorted({*_ANY, *_OF_SERVICE.get(service, ())}):
        told = {} if method == "HEAD" else {media.JSON: error}
        if status == 409 and service == "STOW-RS":
            told = _content(service, method, path)
        if status == 503 and path.endswith("/ready"):
            told = {media.JSON: {"schema": {"type": "object"}}}
        yield str(status), _answer(status, told)


def _done(service: str, method: str, path: str) -> tuple[int, ...]:
    if method == "OPTIONS":
        return (204,)
    own = (statuses for (of, end), statuses in _DONE.items() if of == service and path.endswith(end))
    if service == "STOW-RS":
        return _DONE["STOW-RS", "/studies"]
    return next(own, (200,)) if method == "POST" else (200,)


def _answer(status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": _MEANS[status]}
    return {**found, "content": dict(content)} if content else found


def _content(service: str, method: str, path: str) -> dict[str, Any]:
    """The body of a success, by media type."""
    if method == "OPTIONS" or (service == "UPS-RS" and method != "GET"):
        return {}
    if not _is_dicomweb(service):
        plain = path.endswith("/metrics")
        return {"text/plain" if plain else media.JSON: {"schema": {"type": "string" if plain else "object"}}}
    several = service != "STOW-RS"
    sets = {"schema": {"$ref": f"#/components/schemas/DataSet{'s' if several else ''}"}}
    found: dict[str, Any] = {}
    for each in bodies.produced(service, path):
        found.setdefault(_bare(each), sets if each in (media.DICOM_JSON, media.JSON) else {"schema": _binary(each)})
    return found


def _bare(media_type: str) -> str:
    """Without its parameters, as OpenAPI has media types."""
    return media_type.partition(";")[0]


def _binary(media_type: str) -> dict[str, Any]:
    """Neither text nor JSON. Of multipart the first kind of part is told."""
    return {"type": "string", "format": "binary", "contentMediaType": media_type}

"""Whether an answer has changed since it was given: ETag and If-None-Match (RFC 9110 8.8.3, 13.1.2).

The validators are weak: the boundary of a multipart answer is another one each time, what is between is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from fastapi import Request, Response

from node.identity import SOFTWARE_VERSION
from storage.records import Held

#: May be kept by whoever asked, and by nobody between; what is kept is asked about before it is used.
_KEPT = {"Cache-Control": "private, no-cache", "Vary": "Accept"}


def of_files(request: Request, base: str, held: Sequence[Held], make: Callable[[], Response]) -> Response:
    """What `make` makes of these files for this request; 304 without making it, where the asker has just that.

    base: where DICOMweb begins as the asker sees it, which stands in the links within the answer.
    """
    accept = request.headers.getlist("accept")
    files = (f"{each.sop_instance_uid} {each.sha256}" for each in held)
    tag = _tag([SOFTWARE_VERSION, base, request.url.path, request.url.query, *accept, *files])
    return _not_modified(tag) if _is_had(request, tag) else _marked(make(), tag)


def of_content(request: Request, answer: Response) -> Response:
    """An answer that is made whole before it can be known; 304 in its place, where the asker has just that."""
    names = [name for name in ("Link", "Warning", "Content-Type") if name in answer.headers]
    links = (f"{name}: {answer.headers[name]}" for name in names)
    tag = _tag([*links, hashlib.sha256(answer.body).hexdigest()])
    return _not_modified(tag) if _is_had(request, tag) else _marked(answer, tag)


def _tag(parts: Iterable[str]) -> str:
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass"))
    return f'W/"{digest.hexdigest()[:32]}"'


def _is_had(request: Request, tag: str) -> bool:
    """By the weak comparison. `*` (whatever there is) is true of everything that can be had."""
    said = ",".join(request.headers.getlist("if-none-match"))
    opaque = {each.strip().removeprefix("W/") for each in said.split(",")}
    return "*" in opaque or tag.removeprefix("W/") in opaque


def _marked(answer: Response, tag: str) -> Response:
    answer.headers.update({"ETag": tag, **_KEPT})
    return answer


def _not_modified(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, **_KEPT})

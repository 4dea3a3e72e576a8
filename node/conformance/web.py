"""DICOMweb services (PS3.18): the routes there are, and what each takes and gives."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pydicom.datadict import dictionary_VR, keyword_for_tag

import node.web
from ai.encoding import COLOUR, ENCODERS
from node import findable, intake, query
from node.config import Config
from node.conformance.document import Block, Bullets, Section, Table
from node.destinations import _stow_answer
from node.errors import NodeError, RetriableDelivery
from node.web import bodies, media, qido
from node.web.described import routes
from storage.catalogue import Level

#: Modules of the process that decodes; what it raises comes through the others.
_CHILD = ("decoder_process", "pictures")
#: The way of delivery that stores over DICOMweb.
AGENT = "dicomweb_store"
#: What each parameter of a search does.
PARAMETERS = {
    "accept": "media types, in place of the header",
    "charset": "taken and ignored: answers are in UTF-8",
    "emptyvaluematching": '`""` matches what has no value',
    "fuzzymatching": "not done, and the answer's Warning says so",
    "includefield": "attributes to return besides, or `all`",
    "limit": "most matches in the answer",
    "multiplevaluematching": "several values of one attribute, separated by a backslash",
    "offset": "matches to leave out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebService:
    """A resource and a method. consumes, produces: media types."""

    service: str
    method: str
    resource: str
    what: str
    consumes: tuple[str, ...] = ()
    produces: tuple[str, ...] = ()


def services() -> tuple[WebService, ...]:
    """All that can be served."""
    return tuple(
        WebService(
            service=route.service,
            method=route.method,
            resource=route.path.replace(":path", ""),
            what=route.sentence,
            consumes=bodies.consumed(route.service, route.method, route.path),
            produces=bodies.produced(route.service, route.path.replace(":path", "")),
        )
        for route in routes()
    )


def section(offered: Sequence[WebService], config: Config) -> Section:
    """The services' own section."""
    at = config.web
    served = (
        f"Served at http://{at.host}:{at.port or '(any free port)'}{at.path}"
        if at.port is not None
        else "Not served in this configuration: `web.port` is null. Where it is set, this is served"
    )
    rows = tuple(
        (each.service, each.method, f"`{each.resource}`", each.what, "; ".join(each.consumes), "; ".join(each.produces))
        for each in offered
    )
    head = ("Service", "Method", "Resource", "What it does", "Consumes", "Produces")
    blocks: tuple[Block, ...] = (
        f"{served}, as origin server.",
        Table("Resources", head, rows),
        "Single frames, instances and pictures can also be had outside multipart. A multipart answer streams. The "
        "media type of a compressed frame goes with its transfer syntax, below.",
        Bullets(
            (
                "An instance, or a frame, is given as it is stored, in Explicit or Implicit VR Little Endian, or "
                f"compressed anew: {', '.join(ENCODERS)}; losslessly, and looked at before it is given. Of colour "
                f"images only {', '.join(sorted(COLOUR))}; of signed values only 1.2.840.10008.1.2.5.",
                "HEAD is answered as GET is, without the body. OPTIONS of a path gives its methods (Allow), and a link "
                "to the description of the interface (OpenAPI) at /openapi.json.",
                "What is given has a weak ETag; with If-None-Match it is not sent again (304).",
                "Bulk data that is compressed pixel data comes uncompressed. Study, series and instance `rendered` "
                "give every frame of every image as multipart; of one instance the first frame, where "
                "multipart is not accepted.",
            )
        ),
        Table("Frames in their own transfer syntax", ("Transfer syntax", "Media type"), tuple(media.OF_SYNTAX.items())),
    )
    return Section("DICOMweb services", blocks, (_search(config), _store(config), _errors(), _agent(config)))


def agents(config: Config) -> tuple[tuple[str, str], ...]:
    """The destinations that are stored to over DICOMweb, each with its server's URL."""
    return tuple(
        (name, each.server.url)
        for name, each in config.destinations.items()
        if each.type == AGENT and each.server is not None
    )


def _search(config: Config) -> Section:
    return Section(
        "Searches (QIDO-RS)",
        (
            Table("Query parameters that are no attribute", ("Parameter", "What it does"), tuple(PARAMETERS.items())),
            Table(
                "Attributes that can be searched for and returned",
                ("Attribute", "Tag", "VR", "Matching", "Returned"),
                tuple(attributes()),
            ),
            Bullets(
                (
                    "An empty value matches everything.",
                    "A range of dates and one of the times that belong to them are one range.",
                    f"At most {config.web.maximum_results} matches are given at a time; the answer's Warning says that "
                    "there are more, and its Link where they are.",
                    "An attribute that is not known is an error (400), and so is a value that its VR does not take.",
                )
            ),
        ),
    )


def attributes() -> Iterator[tuple[str, ...]]:
    """Rows of the table of search attributes, by level."""
    for level in Level:
        yield f"{level.name.capitalize()} level", "", "", "", ""
        for tag in sorted(findable.KEPT[level] | findable.COMPUTED[level]):
            vr = dictionary_VR(int(tag, 16)).partition(" or ")[0]
            keyword = keyword_for_tag(int(tag, 16))
            when = "always" if tag in qido.RETURNED[level] else "when asked for"
            yield keyword, f"({tag[:4]},{tag[4:]})", vr, matching(vr), when


def matching(vr: str) -> str:
    """The kinds of matching of a value representation, as the matcher has them."""
    kinds = {
        "single value, wildcards, without regard to case and accents": vr == "PN",
        "single value, wildcards": vr in query.WILDCARD_VRS and vr != "PN",
        "single value, range": vr in query.RANGE_VRS,
        "list of UIDs": vr == "UI",
        "number": vr in query.NUMBER_VRS,
        "sequence: attributes of one item": vr == "SQ",
    }
    return next((kind for kind, holds in kinds.items() if holds), "single value")


def _store(config: Config) -> Section:
    return Section(
        "Storing (STOW-RS)",
        (
            Bullets(
                (
                    "Whole instances, in any transfer syntax; metadata with separate bulk data is not taken.",
                    "They go through the same door as those of C-STORE: the same rules, the same statuses as Failure "
                    "Reason (0008,1197), see [[What a C-STORE is answered with]]. Routing rules see the sender as "
                    f"{config.web.calling_ae_title}.",
                    f"A body may have {config.web.maximum_request_bytes} bytes, and each instance "
                    f"{config.network.max_object_bytes}.",
                    "200: all are stored. 202: some are not, or one is held with other content. 409: none is stored; "
                    "507 or 503 where that was for want of room.",
                    "Prefer: return=minimal leaves out of the answer what is stored and gives nothing to say.",
                )
            ),
        ),
    )


def _errors() -> Section:
    rows = [(str(error.http_status), str(error.__doc__).partition("\n")[0]) for error in errors()]
    return Section(
        "HTTP status codes of errors",
        (
            Table("Errors", ("Status", "When"), tuple(rows)),
            'The body is JSON, `{"error": …}`, and says what is wrong and what is allowed. Besides: 404 and 405 for a '
            "path or a method that is not there, 421 for a Host that is not this node's, 500 for a fault of the "
            "product.",
        ),
    )


def errors() -> list[type[NodeError]]:
    """The errors that the web side and the intake know by name."""
    names = [each.name for each in pkgutil.iter_modules(node.web.__path__) if each.name not in _CHILD]
    modules = [intake, *(importlib.import_module(f"node.web.{name}") for name in names)]
    known = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    found = [each for each in known if issubclass(each, NodeError) and each is not NodeError]
    return sorted(found, key=lambda each: (each.http_status, each.__name__))


def _agent(config: Config) -> Section:
    servers = [
        (
            name,
            each.server.url,
            f"{each.server.connection_timeout_s:g}",
            f"{each.server.answer_timeout_s:g}",
        )
        for name, each in config.destinations.items()
        if each.type == AGENT and each.server is not None
    ]
    if not servers:
        return Section("As user agent", ("Nothing is sent over DICOMweb in this configuration.",))
    return Section(
        "As user agent",
        (
            Table("Servers", ("Destination", "URL", "Connection, s", "Answer, s"), tuple(servers)),
            Bullets(
                (
                    f"Results are stored (STOW-RS), one instance for each request, as {media.MULTIPART}; "
                    f"type={media.DICOM}, as they were made. The answer is asked for as {_stow_answer.MEDIA_TYPES}.",
                    "Over https the server's certificate is checked. What a sign-in needs goes with every request from "
                    "a file. A redirection is not followed.",
                    "Where an answer may mean that the server has the object already, it is searched for (QIDO-RS) by "
                    "SOP Instance UID, and found is delivered.",
                )
            ),
            Table(
                "Reaction to an answer that does not say what became of the object",
                ("Status", "Reaction"),
                tuple(reactions()),
            ),
            "A Failure Reason (0008,1197) decides where there is one: 0xA7xx is tried again, 0x0111 (duplicate) is "
            "delivered, every other is given up. How often is tried is in "
            "[[How the answers of a destination are taken]].",
        ),
    )


def reactions() -> Iterator[tuple[str, str]]:
    """Every HTTP status from 200, with an empty body, and what the sender makes of it: asked of the sender itself."""
    for reaction, group in groupby(range(200, 600), key=_reaction):
        codes = list(group)
        yield str(codes[0]) if len(codes) == 1 else f"{codes[0]}–{codes[-1]}", reaction


def _reaction(status: int) -> str:
    error = _stow_answer.judge(status, b"", "1.2.3").error
    if error is None:
        return "delivered"
    return "tried again" if isinstance(error, RetriableDelivery) else "given up, and shown to a person"

"""DICOMweb services (PS3.18), as the statement tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.config import Config
from node.conformance.document import Section, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class WebService:
    """A resource and a method. consumes, produces: media types. parameters: of the query, with what they do."""

    service: str
    method: str
    resource: str
    what: str
    consumes: tuple[str, ...] = ()
    produces: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


def services(_config: Config) -> tuple[WebService, ...]:
    """The services that the configured node offers."""
    return ()


def section(offered: Sequence[WebService]) -> Section:
    """The services' own section."""
    if not offered:
        return Section("DICOMweb services", ("None are offered and none are used.",))
    rows = tuple(
        (each.service, each.method, f"`{each.resource}`", each.what, ", ".join(each.consumes), ", ".join(each.produces))
        for each in offered
    )
    head = ("Service", "Method", "Resource", "What it does", "Consumes", "Produces")
    return Section("DICOMweb services", (Table("Resources of the origin server", head, rows),))

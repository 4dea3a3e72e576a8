"""QIDO-RS: search for studies, series and instances (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from node import findable, search
from node.findable import COMPUTED, KEPT
from node.query import Matching
from node.search import Search
from node.web import answers, media, routes, validators
from node.web.query_parameters import Asked, asked
from node.web.rooms import Rooms, check_uids
from storage.catalogue import Found, Level

_CHARACTER_SET = {"vr": "CS", "Value": ["ISO_IR 192"]}
_UIDS = ("0020000D", "0020000E", "00080018")

#: What comes back without being asked for (PS3.18 Tables 10.6.3-3 to 10.6.3-5), by level.
RETURNED: Mapping[Level, frozenset[str]] = {
    Level.STUDY: findable.tags(
        """StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName TimezoneOffsetFromUTC
        StudyDescription PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID
        NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances"""
    ),
    Level.SERIES: findable.tags(
        """Modality SeriesDescription SeriesInstanceUID SeriesNumber NumberOfSeriesRelatedInstances
        PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence SeriesDate SeriesTime
        BodyPartExamined Laterality"""
    ),
    Level.INSTANCE: findable.tags(
        "SOPClassUID SOPInstanceUID InstanceNumber Rows Columns BitsAllocated NumberOfFrames"
    ),
}


class Searching:
    """The search transactions."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """Their routes."""
        return routes.router(
            "QIDO-RS",
            {
                "/studies": self.studies,
                "/series": self.series,
                "/instances": self.instances,
                routes.STUDY + "/series": self.series_of_study,
                routes.STUDY + "/instances": self.instances_of_study,
                routes.SERIES + "/instances": self.instances_of_series,
            },
        )

    def studies(self, request: Request) -> Response:
        """Search for studies."""
        return self._search(request, Level.STUDY)

    def series(self, request: Request) -> Response:
        """Search for series in all studies."""
        return self._search(request, Level.SERIES)

    def instances(self, request: Request) -> Response:
        """Search for instances in all studies."""
        return self._search(request, Level.INSTANCE)

    def series_of_study(self, request: Request, study: str) -> Response:
        """Search for series of a study."""
        return self._search(request, Level.SERIES, study)

    def instances_of_study(self, request: Request, study: str) -> Response:
        """Search for instances of a study."""
        return self._search(request, Level.INSTANCE, study)

    def instances_of_series(self, request: Request, study: str, series: str) -> Response:
        """Search for instances of a series."""
        return self._search(request, Level.INSTANCE, study, series)

    def _search(self, request: Request, level: Level, *within: str) -> Response:
        media_type = media.check(request, media.DICOM_JSON, media.JSON)
        check_uids(*within)
        query = asked(request.query_params.multi_items(), self._rooms.settings.maximum_results)
        returned = _returned(level, within, query)
        results = search.search(
            self._rooms.holdings.catalogue,
            Search(
                level=level,
                keys=query.keys,
                within=within,
                matching=Matching(combined=True, empty=query.empty_value_matching),
                offset=query.offset,
                limit=query.limit,
            ),
        )
        base = self._rooms.base_url(request)
        warnings = [*query.warnings, *(["there are more matches; ask for them with offset"] if results.more else [])]
        headers = {"Warning": ", ".join(f'299 {self._rooms.name} "{each}"' for each in warnings)} if warnings else {}
        resource = base + request.url.path.removeprefix(self._rooms.settings.path)
        if links := _pages(request, resource, query, more=results.more):
            headers["Link"] = links
        matches = [_answer(found, returned, base) for found in results.matches]
        return validators.of_content(request, answers.dicom_json(matches, media_type, headers=headers))


def _returned(level: Level, within: tuple[str, ...], query: Asked) -> frozenset[str]:
    """The tags of the answer: of the level and the levels above that the path does not name, and those asked for."""
    levels = search.levels_down_to(level)
    every = frozenset().union(*(KEPT[each] | COMPUTED[each] for each in levels))
    if query.include_all:
        return every
    unnamed = levels[len(within) :] or [level]
    wanted = frozenset().union(*(RETURNED[each] for each in unnamed), _UIDS[: len(levels)])
    return wanted | (query.included & every) | {key.tag for key in query.keys}


def _pages(request: Request, resource: str, query: Asked, *, more: bool) -> str:
    """Where the matches before and after these are (RFC 8288); "" where there are none."""
    offsets = {}
    if query.offset and query.limit:
        offsets["prev"] = max(0, query.offset - query.limit)
    if more and query.limit:
        offsets["next"] = query.offset + query.limit
    others = [each for each in request.query_params.multi_items() if each[0] not in ("offset", "limit")]
    pages = {name: urlencode([*others, ("limit", query.limit), ("offset", at)]) for name, at in offsets.items()}
    return ", ".join(f'<{resource}?{page}>; rel="{name}"' for name, page in pages.items())


def _answer(found: Found, returned: Iterable[str], base: str) -> dict[str, Any]:
    attributes = {tag: found.attributes[tag] for tag in returned if tag in found.attributes}
    path = "/".join(f"{name}/{uid}" for name, uid in zip(("studies", "series", "instances"), found.uids, strict=False))
    attributes["00080005"] = _CHARACTER_SET
    attributes[findable.INSTANCE_AVAILABILITY] = {"vr": "CS", "Value": ["ONLINE"]}
    attributes[findable.RETRIEVE_URL] = {"vr": "UR", "Value": [f"{base}/{path}"]}
    return dict(sorted(attributes.items()))

"""STOW-RS: instances in over HTTP, through the same door as C-STORE (PS3.18 10.5)."""

from __future__ import annotations

import mmap
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from node import logs
from node.books import Passage
from node.errors import BadQuery, NodeError, NotUnderstood, OutOfResources, RefusedByRule, TooLarge
from node.findable import RETRIEVE_URL
from node.intake import Accepted, Incoming, Outcome
from node.part10 import Envelope, envelope
from node.web import answers, media, routes
from node.web.gate import person_of
from node.web.multipart_in import Parts, boundary_of
from node.web.rooms import Rooms, check_uids

log = logs.get(__name__)

_BATCH_BYTES = 1024 * 1024
_DRAINED_BYTES = 64 * 1024 * 1024
_COERCED = 0xB000  # stored, though not as a replacement of what is held
_PROCESSING_FAILURE = 0x0110


class Storing:
    """The store transaction."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """Its routes."""
        return routes.router(
            "STOW-RS",
            {
                "/studies": self.any_study,
                routes.STUDY: self.one_study,
            },
            "POST",
        )

    async def any_study(self, request: Request) -> Response:
        """Store instances of whatever studies."""
        return await self._store(request, "")

    async def one_study(self, request: Request, study: str) -> Response:
        """Store instances of one study."""
        return await self._store(request, study)

    async def _store(self, request: Request, study: str) -> Response:
        receiving = _Receiving(self._rooms, study, self._passage(request))
        try:
            media_type = media.check(request, media.DICOM_JSON, media.JSON)
            check_uids(*filter(None, [study]))
            await self._receive(request, receiving)
            receiving.ending = "answered"
        except NodeError:
            receiving.ending = "request refused"
            await _drained(request)
            raise
        except ClientDisconnect:
            log.warning("the sender went away", stored=len(receiving.stored))
            receiving.ending = "connection lost"
            raise
        finally:
            await run_in_threadpool(receiving.end)
        minimal = _preferred(request) == "minimal"
        answer = receiving.answer(self._rooms.base_url(request), media_type, minimal=minimal)
        if _preferred(request):
            answer.headers["Preference-Applied"] = f"return={_preferred(request)}"
        return answer

    def _passage(self, request: Request) -> Passage:
        address = request.client.host if request.client is not None else ""
        return self._rooms.books.passage(
            "STOW-RS", logs.at_hand("request"), self._rooms.settings.calling_ae_title, address, _user(request)
        )

    async def _receive(self, request: Request, receiving: _Receiving) -> None:
        limit = self._rooms.settings.maximum_request_bytes
        boundary = boundary_of(request.headers.get("content-type", ""), media.DICOM)
        if int(request.headers.get("content-length") or 0) > limit:
            raise TooLarge(f"the body has more than web.maximum_request_bytes, {limit} bytes")
        parts = Parts(boundary, self._rooms.holdings.incoming, self._rooms.maximum_object_bytes, receiving.part)
        try:
            async for batch in _batches(request, limit):
                await run_in_threadpool(parts.feed, batch)
            parts.finish()
        finally:
            parts.close()


def _user(request: Request) -> str:
    person = person_of(request)
    return person.name if person is not None else ""


def _preferred(request: Request) -> str:
    """How much the answer shall tell (Prefer: return=…, RFC 7240 4.2): minimal, representation, or "" not said."""
    for said in ",".join(request.headers.getlist("prefer")).split(","):
        name, _, value = said.partition(";")[0].partition("=")
        if name.strip().lower() == "return" and value.strip().strip('"') in ("minimal", "representation"):
            return value.strip().strip('"')
    return ""


async def _batches(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces large enough to be worth a turn of a thread. Raises TooLarge."""
    batch, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body has more than web.maximum_request_bytes, {limit} bytes")
        batch += chunk
        if len(batch) >= _BATCH_BYTES:
            yield bytes(batch)
            batch.clear()
    yield bytes(batch)


async def _drained(request: Request) -> None:
    """Take a little more of a body that is refused: many senders read the answer only when all is sent."""
    size = 0
    with suppress(RuntimeError, ClientDisconnect):  # it is all here already, or nobody is there any more
        async for chunk in request.stream():
            size += len(chunk)
            if size > _DRAINED_BYTES:
                return


@dataclass(frozen=True, slots=True)
class _Failure:
    """An instance that was not stored, and why; found: what it says it is, None where it does not say.

    sums_up: where nothing was stored, http_status answers for the whole request.
    """

    found: Envelope | None
    reason: int
    http_status: int
    sums_up: bool = False


@dataclass(slots=True)
class _Receiving:
    """One request: what became of each of its instances."""

    rooms: Rooms
    study: str
    passage: Passage
    ending: str = "failed"
    stored: list[tuple[Envelope, Accepted]] = field(default_factory=list)
    failed: list[_Failure] = field(default_factory=list)

    def part(self, file: IO[bytes]) -> None:
        """Store one part; whatever is wrong with it, the others are stored all the same."""
        found = None
        try:
            content = _content(file)
            found = envelope(content)
            accepted = self._accept(found, content)
            self.stored.append((found, accepted))
            coerced = accepted.outcome is Outcome.KEPT_ASIDE
            self.passage.kept(found.sop_instance_uid, accepted, _COERCED if coerced else 0)
        except NodeError as error:
            log.warning("not accepted", status=f"0x{error.dimse_status:04X}", why=str(error))
            sums_up = isinstance(error, OutOfResources | RefusedByRule)
            self.failed.append(_Failure(found, error.dimse_status, error.http_status, sums_up))
            self.passage.refused(found.sop_instance_uid if found else "", error.dimse_status, str(error))
        except Exception:  # the sender is told, and the other instances are stored
            log.exception("not accepted")
            self.failed.append(_Failure(found, _PROCESSING_FAILURE, 409))
            self.passage.refused(found.sop_instance_uid if found else "", _PROCESSING_FAILURE, "internal error")

    def _accept(self, found: Envelope, content: memoryview) -> Accepted:
        incoming = Incoming(
            encoded=content[found.offset :],
            transfer_syntax_uid=found.transfer_syntax_uid,
            sop_class_uid=found.sop_class_uid,
            sop_instance_uid=found.sop_instance_uid,
            calling_ae_title=self.rooms.settings.calling_ae_title,
            more_to_come=True,
            only_study=self.study,
        )
        with logs.about(sop=found.sop_instance_uid):
            accepted = self.rooms.intake.accept(incoming)
            log.info("accepted", outcome=accepted.outcome, study=accepted.study_instance_uid)
        return accepted

    def end(self) -> None:
        """Nothing more of these studies comes with this request, as when an association is released."""
        for study in dict.fromkeys(accepted.study_instance_uid for _, accepted in self.stored):
            self.rooms.intake.released(study)
        self.passage.ended(self.ending)

    # ---------------------------------------------------------------- the answer (PS3.18 10.5.3)

    def answer(self, base: str, media_type: str, *, minimal: bool = False) -> Response:
        """The Store Instances Response, and the code that sums it up.

        minimal: without the instances that are stored and give nothing to say.
        """
        if not self.stored and not self.failed:
            raise BadQuery("the body holds no instance")
        sequences = {
            "00081198": [_failed(each.found, each.reason) for each in self.failed if each.found is not None],
            "00081199": [
                _stored(found, accepted, base)
                for found, accepted in self.stored
                if not minimal or accepted.outcome is Outcome.KEPT_ASIDE
            ],
            "0008119A": [{"00081197": _number(each.reason)} for each in self.failed if each.found is None],
        }
        body = {tag: {"vr": "SQ", "Value": items} for tag, items in sequences.items() if items}
        studies = list(dict.fromkeys(accepted.study_instance_uid for _, accepted in self.stored))
        if len(studies) == 1:
            body[RETRIEVE_URL] = {"vr": "UR", "Value": [f"{base}/studies/{studies[0]}"]}
        return answers.dicom_json(body, media_type, self._status())

    def _status(self) -> int:
        if not self.stored:
            codes = [each.http_status if each.sums_up else 409 for each in self.failed]
            # what may be sent again later outweighs what may not
            return max(codes) if all(each.sums_up for each in self.failed) else 409
        coerced = any(accepted.outcome is Outcome.KEPT_ASIDE for _, accepted in self.stored)
        return 202 if self.failed or coerced else 200


def _content(file: IO[bytes]) -> memoryview:
    """The file's bytes, mapped and not read; the mapping ends with the last reference to it."""
    if not os.fstat(file.fileno()).st_size:
        raise NotUnderstood("the part is empty")
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _stored(found: Envelope, accepted: Accepted, base: str) -> dict[str, Any]:
    item = _named(found)
    url = f"{base}/studies/{accepted.study_instance_uid}/series/{accepted.series_instance_uid}"
    item[RETRIEVE_URL] = {"vr": "UR", "Value": [f"{url}/instances/{found.sop_instance_uid}"]}
    if accepted.outcome is Outcome.KEPT_ASIDE:
        item["00081196"] = _number(_COERCED)  # Warning Reason
    return item


def _failed(found: Envelope, reason: int) -> dict[str, Any]:
    return {**_named(found), "00081197": _number(reason)}  # Failure Reason


def _named(found: Envelope) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [found.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [found.sop_instance_uid]},
    }


def _number(value: int) -> dict[str, Any]:
    return {"vr": "US", "Value": [value]}

"""The event channel of UPS-RS: a websocket over which a subscriber hears of work items (PS3.18 8.10.4, 8.10.5)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from node import logs
from node.dicom_json import encoded
from node.errors import NotAuthorized
from node.ups import events
from node.ups.attributes import made
from node.ups.faults import InvalidValue
from node.web.needs import CHANNEL
from node.web.rooms import Rooms
from node.web.ups import check_origin, checked_ae_title
from storage.ups import Reports, WorkitemEvent

log = logs.get(__name__)

_TICK_S = 0.25
_REFUSED = 1008


class EventChannel:
    """What waits for a subscriber is sent as soon as it opens its channel, and from then on as it happens."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def router(self) -> APIRouter:
        """Its route."""
        found = APIRouter()
        found.add_api_websocket_route("/ws/subscribers/{subscriber}", self.opened, name=CHANNEL)
        return found

    async def opened(self, channel: WebSocket, subscriber: str) -> None:
        """One channel, until either side ends it."""
        try:
            check_origin(channel, self._rooms)
            ae_title = checked_ae_title(subscriber)
        except (NotAuthorized, InvalidValue) as error:
            log.warning("event channel refused", why=str(error))
            await channel.close(_REFUSED)
            return
        await channel.accept()
        log.info("event channel opened")
        listening = asyncio.create_task(_listen(channel))
        try:
            await self._tell(channel, ae_title, listening)
        finally:
            listening.cancel()
            log.info("event channel ended")

    async def _tell(self, channel: WebSocket, ae_title: str, listening: asyncio.Task[None]) -> None:
        reports = Reports(self._rooms.database)
        while not listening.done():
            waiting = await run_in_threadpool(reports.waiting, ae_title)
            with suppress(WebSocketDisconnect, RuntimeError):  # it has gone; what it did not get waits
                for each in waiting:
                    await channel.send_text(_text(each))
                    await run_in_threadpool(reports.told, [each.id])
            if not waiting:
                await asyncio.wait({listening}, timeout=_TICK_S)


async def _listen(channel: WebSocket) -> None:
    """Until the subscriber ends the channel; what it says is not for us."""
    while (await channel.receive())["type"] != "websocket.disconnect":
        pass


def _text(event: WorkitemEvent) -> str:
    """An event report as DICOM JSON with its command elements (PS3.18 8.10.5)."""
    command = made(
        AffectedSOPClassUID=events.SOP_CLASS,
        MessageID=event.id % 65536,
        AffectedSOPInstanceUID=event.sop_instance_uid,
        EventTypeID=event.event_type,
    )
    return encoded({**command, **event.report}).decode()

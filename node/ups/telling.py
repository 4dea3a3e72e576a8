"""Reports go out to those who subscribed over DIMSE; what is over and done with is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from node import logs
from node.config import Config
from node.errors import DeliveryError
from node.settings import Peer
from storage.database import Database
from storage.ups import Reports, WorkitemEvent, Workitems

log = logs.get(__name__)

_TICK_S = 0.2
_LEASE = timedelta(seconds=120)  # longer than telling takes; after a crash it is told again
_FIRST_S, _LONGEST_S = 2.0, 300.0
_TIDYING_S = 600.0
_PATIENCE_S = 2.0

#: Sends events to a peer under this node's AE title, in order, and tells the id of each that was taken.
#: Raises DeliveryError.
Send = Callable[[Peer, str, Sequence[WorkitemEvent], Callable[[int], None]], None]


class Teller:
    """One thread. A subscriber that does not take its reports gets them later, in order."""

    def __init__(self, config: Config, database: Database, send: Send) -> None:
        self._config = config
        self._items, self._reports = Workitems(database), Reports(database)
        self._send = send
        self._tidied: datetime | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="work item reports", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left as well."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is on its way is told again after the next start."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)

    def _live(self) -> None:
        while not self._ended.wait(_TICK_S):
            try:
                while not self._ended.is_set() and self._round(datetime.now(UTC)):
                    pass
                self._tidy(datetime.now(UTC))
            except Exception:
                log.exception("reports of work items failed")
                self._ended.wait(_FIRST_S)

    def _round(self, now: datetime) -> bool:
        """Tell one AE; False when nobody is to be told."""
        due = self._reports.claim(now, now + _LEASE)
        if not due:
            return False
        ae_title = due[0].ae_title
        peer = next((each for each in self._config.peers.values() if each.ae_title == ae_title), None)
        if peer is None:  # it was one when it subscribed
            self._reports.told([each.id for each in due])
            log.warning("reports given up: the subscriber is not among the peers any more", ae_title=ae_title)
            return True
        try:
            self._send(peer, self._config.node.ae_title, due, lambda taken: self._reports.told([taken]))
        except DeliveryError as error:
            wait_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(due[0].attempts, 20))
            self._reports.not_told(ae_title, datetime.now(UTC) + timedelta(seconds=wait_s))
            log.warning("reports not taken", ae_title=ae_title, why=str(error), again_s=wait_s)
        return True

    def _tidy(self, now: datetime) -> None:
        if self._tidied is not None and (now - self._tidied).total_seconds() < _TIDYING_S:
            return
        self._tidied = now
        settings = self._config.ups
        self._items.forget(now - timedelta(days=settings.kept_days))
        given_up = self._reports.forget(now - timedelta(seconds=settings.told_for_s))
        if given_up:
            log.warning("reports given up: their subscribers did not take them in time", count=given_up)

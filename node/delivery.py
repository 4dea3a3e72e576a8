"""Send what is pending for one destination, judge each answer, retry later or give up visibly. Pure but for `send`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from node import destinations, results
from node.config import Config
from node.destinations import Outgoing, Sent, Target
from node.errors import PermanentDelivery
from node.settings_destinations import Destination
from storage.records import Delivery, DeliveryState

_ARRIVED = frozenset({DeliveryState.DELIVERED, DeliveryState.COMMITTED})
_STOPPED = frozenset({DeliveryState.FAILED, DeliveryState.HELD})
_ON_ITS_WAY = frozenset({DeliveryState.PENDING, DeliveryState.UNCOMMITTED})


def retry_after_s(settings: Destination, attempts: int) -> float:
    """Seconds to wait after `attempts` failed ones: doubling from first_retry_s to max_retry_s."""
    return min(settings.max_retry_s, settings.first_retry_s * 2.0 ** min(attempts - 1, 30))


def judged(delivery: Delivery, sent: Sent, settings: Destination, now: datetime) -> Delivery:
    """The delivery after one more attempt."""
    tried = replace(delivery, attempts=delivery.attempts + 1, last_status=sent.status)
    if sent.error is None:
        return replace(tried, state=DeliveryState.DELIVERED, last_error="", delivered_at=now)
    tried = replace(tried, last_error=str(sent.error))
    if isinstance(sent.error, PermanentDelivery):
        return replace(tried, state=DeliveryState.FAILED)
    if tried.attempts >= settings.max_attempts:
        return replace(tried, state=DeliveryState.FAILED, last_error=f"{sent.error} (given up after {tried.attempts})")
    return replace(tried, due_at=now + timedelta(seconds=retry_after_s(settings, tried.attempts)))


@dataclass(frozen=True, slots=True)
class Standing:
    """How one revision stands at one destination: all its deliveries there, and how many objects could not be made.

    What takes the old result back waits until the destination has all of the new one: it must never have neither.
    """

    deliveries: tuple[Delivery, ...]
    not_made: int = 0

    def to_send(self) -> list[Delivery]:
        """The pending ones whose turn it is."""
        before = self._before()
        arrived = not self.not_made and all(item.state in _ARRIVED for item in before)
        return [i for i in self.deliveries if i.state is DeliveryState.PENDING and (arrived or i in before)]

    def kept_back(self) -> list[Delivery]:
        """Those that wait in vain, as failed: something before them was given up. Requeued together, they go."""
        before = self._before()
        lost = self.not_made + sum(item.state in _STOPPED for item in before)
        if not lost or any(item.state in _ON_ITS_WAY for item in before):
            return []
        why = f"kept back: {lost} of the new revision's objects did not get there"
        waiting = [i for i in self.deliveries if i.state is DeliveryState.PENDING and i not in before]
        return [replace(item, state=DeliveryState.FAILED, last_error=why) for item in waiting]

    def not_asked(self) -> list[Delivery]:
        """Those sent whose commitment is still to be asked for."""
        return [item for item in self.deliveries if item.state is DeliveryState.UNCOMMITTED and not item.asks]

    def _before(self) -> list[Delivery]:
        return [item for item in self.deliveries if not results.is_sent_last(item.kind)]


def send(config: Config, destination: str, objects: Sequence[Outgoing]) -> Iterator[Sent]:
    """Send objects to a destination of the config, telling of each as it is answered."""
    settings = config.destinations[destination]
    target = Target(
        name=destination,
        destination=settings,
        peer=config.peers.get(settings.peer) if settings.peer else None,
        calling_ae_title=config.node.ae_title,
    )
    yield from destinations.load(settings.type).send(objects, target)

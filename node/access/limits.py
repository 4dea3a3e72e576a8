"""How often an address may ask, and how often it may fail to sign in."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_ADDRESSES = 100_000  # remembered; the one longest unheard of goes first


class Limit:
    """At most `count` in `seconds`, for each address: a bucket of that many that fills evenly again."""

    def __init__(self, count: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._count, self._per_s, self._now = count, count / seconds, now
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Whole seconds until it may again; 0: it may."""
        with self._lock:
            left = self._now_left(_network(address))
        return 0 if left >= 1 else math.ceil((1 - left) / self._per_s)

    def take(self, address: str) -> None:
        """Count one."""
        key = _network(address)
        with self._lock:
            self._left[key] = (max(self._now_left(key) - 1, 0.0), self._now())
            self._left.move_to_end(key)
            if len(self._left) > _ADDRESSES:
                self._left.popitem(last=False)

    def _now_left(self, key: str) -> float:
        left, at = self._left.get(key, (float(self._count), self._now()))
        return min(self._count, left + (self._now() - at) * self._per_s)


def _network(address: str) -> str:
    """Whoever has one IPv6 address has the 2^64 of its network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))

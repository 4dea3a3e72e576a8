"""One reader for each way to read that the rules ask for, each with its own models in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from node.errors import ConfigError
from node.reader import Reader
from node.routing import Router
from node.settings_routing import Rule


class Readers:
    """Readers by their name under `readings`; None is the usual one. Each is started when a rule first names it."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._lock = threading.Lock()
        self._readers: dict[str | None, Reader] = {}

    def start(self, rules: Iterable[Rule] | None = None) -> None:
        """Have a reader for every way to read that these rules (None: those that count) name, self-checked.

        Raises ConfigError when one cannot serve; those that served before go on.
        """
        with self._lock:
            for name, settings in self._router.readings(rules).items():
                if name not in self._readers:
                    reader = Reader(settings)
                    self._readers[name] = reader  # before its start, so that a stop meanwhile reaches it
                    try:
                        reader.start()
                    except ConfigError as error:
                        reader.stop()
                        del self._readers[name]
                        raise ConfigError(f"readings.{name}: {error}" if name else str(error)) from error

    def of(self, rule_names: Iterable[str]) -> Reader:
        """The reader for an exam whose instances these rules took."""
        return self._readers[self._name(rule_names)]

    def ready(self) -> dict[str, bool]:
        """Whether each serves, by its name; the usual one is "reading"."""
        started = dict(self._readers)
        return {name or "reading": name in started and started[name].serves for name in self._router.readings()}

    def stop(self) -> None:
        """End them all, also in the middle of an exam."""
        for reader in list(self._readers.values()):
            reader.stop()

    def _name(self, rule_names: Iterable[str]) -> str | None:
        name = self._router.reading(rule_names)
        return name if name in self._readers else None

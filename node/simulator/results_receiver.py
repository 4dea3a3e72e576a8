"""A RIS that takes results (ORU^R01 over MLLP) and says what came, without naming anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from node.hl7.acknowledging import acknowledged
from node.hl7.er7 import Message, Unreadable
from node.hl7.listener import Hl7Listener
from node.hl7.said import NotTaken
from node.settings_hl7 import Hl7Settings

_TOLD = {"TRIAGE": "", "FLAG": "flag", "SCORE": "score", "BAND": "band", "DENSITY": "density"}


class ResultsReceiver:
    """Listens on loopback. came: MSH-10 → how often it came. told: MSH-10 → study and triage category."""

    def __init__(self, port: int, code: str, tell: Callable[[str], None]) -> None:
        """code: AA, or AE or AR for every message; tell: called with a line for each."""
        self._listener = Hl7Listener(Hl7Settings(port=port), self._answer)
        self._code, self._tell = code, tell
        self.came: Counter[str] = Counter()
        self.told: dict[str, tuple[str, str]] = {}

    @property
    def port(self) -> int | None:
        """Where it listens."""
        return self._listener.port

    def start(self) -> None:
        """Listen. Raises OSError."""
        self._listener.start()

    def stop(self) -> None:
        """Stop listening."""
        self._listener.stop()

    def _answer(self, content: bytes) -> bytes:
        now = datetime.now(UTC)
        try:
            message = Message(content)
        except Unreadable as error:
            self._tell(f"not understood: {error}")
            return acknowledged(None, now, NotTaken(str(error), "100", code="AR")).encode()
        fault = NotTaken("as the rehearsal asked for", "204", code=self._code) if self._code != "AA" else None
        if message.kind != "ORU^R01":
            fault = NotTaken("only results are taken here", "200", "MSH^1^9", "AR")
        self.came[message.control_id] += 1
        self.told[message.control_id] = message.get("OBR", 3), _values(message).get("TRIAGE", "")
        again = " again" if self.came[message.control_id] > 1 else ""
        self._tell(f"{message.control_id}{again}: {described(message)}, answered {fault.code if fault else 'AA'}")
        return acknowledged(message, now, fault).encode()


def described(message: Message) -> str:
    """A result by its study and what a RIS sorts by."""
    found = _values(message)
    said = [f"{word} {found[key]}".strip() for key, word in _TOLD.items() if key in found]
    return " ".join(["study", message.get("OBR", 3) or "unknown", *said])


def _values(message: Message) -> dict[str, str]:
    """OBX-3 → OBX-5."""
    numbers = range(1, message.count("OBX") + 1)
    return {message.get("OBX", 3, occurrence=n): message.get("OBX", 5, occurrence=n) for n in numbers}

"""What an acknowledgement means for the message it answers (HL7 v2.5.1, chapter 2.9.2, HL70008, HL70357)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from node.errors import DeliveryError, PermanentDelivery, RetriableDelivery
from node.hl7.er7 import Message

_ACCEPTED = frozenset({"AA", "CA"})
_REFUSED = {"AE": "an error in it", "CE": "an error in it", "AR": "it is rejected", "CR": "it is rejected"}
#: Of HL70357: the record is locked; the application failed. Time, or the receiver's people, put that right.
_FOR_NOW = frozenset({"206", "207"})
_LONGEST_TEXT = 200
#: A run of digits, also written with signs between, as long as a date or part of a number that identifies somebody.
_NUMBER = re.compile(r"\d(?:[-./ ]?\d){5,}")


def judged(answer: Message, private: Iterable[str]) -> DeliveryError | None:
    """None when the message was accepted; else what was said against it.

    private: the patient's own values, which the receiver may have repeated and which stay out of what is told.
    Retriable: an answer that is none, and the receiver's own trouble (206, 207). Permanent: AE and AR else.
    """
    code = answer.get("MSA", 1).upper()
    if code in _ACCEPTED:
        return None
    if code not in _REFUSED:
        return RetriableDelivery("the receiver's answer has no acknowledgement code")
    reason = answer.get("ERR", 3) or answer.get("ERR", 1, 4)
    texts = dict.fromkeys(filter(None, (answer.get("ERR", 8), answer.get("MSA", 3), answer.get("ERR", 3, 2))))
    said = masked("; ".join(texts), private)[:_LONGEST_TEXT]
    told = f"the receiver answered {code}, {_REFUSED[code]}"
    told += (f", error {masked(reason, private)[:_LONGEST_TEXT]}" if reason else "") + (f": {said}" if said else "")
    return RetriableDelivery(told) if reason in _FOR_NOW else PermanentDelivery(told)


def masked(text: str, private: Iterable[str]) -> str:
    """The text without the values, however they are written, and without long numbers: they may be anybody's."""
    plain = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", text))
    words = {unicodedata.normalize("NFC", word) for value in private for word in re.split(r"[\s^=]+", value)}
    for word in sorted((each for each in words if len(each) > 1), key=len, reverse=True):
        plain = re.sub(re.escape(word), "…", plain, flags=re.IGNORECASE)
    return _NUMBER.sub("…", plain)

"""The error tree. Refused / retriable / permanent are types.

Each knows its DIMSE status (PS3.4 B.2.3) and its HTTP code.
"""

from __future__ import annotations


class NodeError(Exception):
    """Base of every error this node raises on purpose. The message says what is wrong and what to do."""

    dimse_status: int = 0xC000
    http_status: int = 500


class ConfigError(NodeError):
    """The configuration cannot be used: the message has a line per fault with key, value and what is allowed."""

    http_status = 500


# --- intake: the sender is told, nothing is kept (or it is kept aside)


class Refused(NodeError):
    """An instance is not accepted."""

    http_status = 400


class NotUnderstood(Refused):
    """The bytes are not a usable DICOM instance (0xC000 cannot understand); kept in quarantine."""

    dimse_status = 0xC000


class MismatchedInstance(Refused):
    """The data set does not match what the command said it is (0xA900)."""

    dimse_status = 0xA900
    http_status = 409


class UnsupportedSOPClass(Refused):
    """No rule takes this SOP class (0x0122 SOP class not supported)."""

    dimse_status = 0x0122
    http_status = 409


class NotAuthorized(Refused):
    """The sender may not do this (0x0124 not authorized)."""

    dimse_status = 0x0124
    http_status = 403


class OutOfResources(NodeError):
    """The disk is under its watermark, or storage failed: try again later (0xA700)."""

    dimse_status = 0xA700
    http_status = 507


class OutOfDatabase(OutOfResources):
    """The database is locked, full or gone: try again later (0xA700)."""

    http_status = 503


# --- delivery: judged by `node.delivery`


class DeliveryError(NodeError):
    """A result object was not delivered."""

    http_status = 502

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RetriableDelivery(DeliveryError):
    """The peer may take it later: no connection, association rejected or aborted, 0xA7xx, a time limit."""


class PermanentDelivery(DeliveryError):
    """The peer will never take it as it is: no presentation context, 0xA9xx, 0xCxxx. A person must look."""


# --- looking things up


class NotFound(NodeError):
    """No such study, delivery, destination, model, …; the message names what there is."""

    http_status = 404


class ReadingFailed(NodeError):
    """An attempt to read an exam that gave no answer; another may."""


class ReaderDied(ReadingFailed):
    """The reading process ended, or took too long, while it read this exam and no other."""


class ReaderOutOfMemory(ReadingFailed):
    """The reading process had too little memory for this exam, and it read no other."""


class ReaderUnavailable(ReadingFailed):
    """No reading process can be started on any device: that says nothing of the exam."""


class ReaderStopped(NodeError):
    """The node is stopping; the exam at hand is read after the next start."""


# --- asked over HTTP


class BadQuery(NodeError):
    """A search or a request that cannot be understood; the message names the attribute and what is allowed."""

    dimse_status = 0xA900
    http_status = 400


class TooBroad(NodeError):
    """A search would have to look at too much, one by one; the message says what narrows it."""

    dimse_status = 0xA700
    http_status = 413


class NotAcceptable(NodeError):
    """None of the media types asked for can be given; the message names those that can."""

    http_status = 406


class TooLarge(NodeError):
    """The request's body is larger than allowed."""

    http_status = 413


class UnsupportedMediaType(NodeError):
    """The request's body is of a type that is not taken; the message names those that are."""

    http_status = 415


class NotUsable(NodeError):
    """A stored object is missing, altered or not decodable: it is not given out."""

    http_status = 500


class Unavailable(NodeError):
    """The database, or a decoder, cannot serve at the moment: try again."""

    http_status = 503

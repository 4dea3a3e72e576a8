"""Logging: one line per event, with the ids of the association, study or job at hand, and nothing of the patient.

Three things keep patients out: keys that name an element of the patient are dropped (and the line says so),
pydicom objects are dropped whatever their key, and of a foreign exception only its type and place are told,
because messages of pydicom and SQLAlchemy quote values. Messages of this project's own errors hold none.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from logging.handlers import WatchedFileHandler
from typing import Any

import structlog
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from node.errors import NodeError
from node.settings import LoggingSettings

OUR_LOGGERS = ("node", "ai", "storage")
HANDLER_NAME = "mammo-node"

#: Keys, written without "_" and in lower case, that are dropped beside everything that begins with "patient".
IDENTIFYING_KEYS = frozenset(
    {
        "accessionnumber",
        "birthdate",
        "issuerofpatientid",
        "otherpatientids",
        "otherpatientidssequence",
        "otherpatientnames",
        "personname",
        "referringphysicianname",
        "dataset",
        "identifier",
    }
)

EventDict = MutableMapping[str, Any]


def configure(settings: LoggingSettings) -> None:
    """Send this project's events, and warnings of the libraries, where `settings` says.

    May be called again; the newest settings hold.
    """
    handler: logging.Handler = WatchedFileHandler(settings.file) if settings.file else logging.StreamHandler(sys.stderr)
    handler.set_name(HANDLER_NAME)
    handler.setFormatter(_formatter(settings))
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.get_name() == HANDLER_NAME]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(settings.level.upper())
    # both quote the value they complain about
    logging.getLogger("pynetdicom.utils").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `log = logs.get(__name__)`, then `log.info("instance stored", bytes=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def about(**ids: str | int) -> AbstractContextManager[None]:
    """Within this context every event carries `ids`, such as association=…, study_instance_uid=…, job=…."""
    return structlog.contextvars.bound_contextvars(**ids)


def at_hand(name: str) -> str:
    """The id `name` of this context, as `about` set it; "" without one."""
    return str(structlog.contextvars.get_contextvars().get(name, ""))


def without_patient_data(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Processor: drop what may tell of a patient, and name the dropped keys."""
    dropped = [key for key, value in event.items() if _identifies(key, value)]
    for key in dropped:
        del event[key]
    if dropped:
        event["dropped_keys"] = dropped
    return event


def without_foreign_messages(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Processor: an exception becomes its type, its places, and its message where that is known to be safe."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exception() if given is True else None
    if isinstance(given, tuple):
        error = given[1]
    if error is not None:
        event["error"] = [_told(each) for each in _chain(error)]
    return event


def _identifies(key: object, value: object) -> bool:
    if isinstance(value, Dataset | DataElement | PersonName):
        return True
    if isinstance(value, Mapping):
        return any(_identifies(inner, each) for inner, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(_identifies("", each) for each in value)
    plain = str(key).replace("_", "").lower()
    return plain.startswith("patient") or plain in IDENTIFYING_KEYS


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what led to it, newest first."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return chain


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    message = f": {error}" if isinstance(error, NodeError | OSError) else ""
    return f"{type(error).__name__}{message}" + (f" at {places}" if places else "")


def _shared() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_patient_data,
        without_foreign_messages,
    ]


def _formatter(settings: LoggingSettings) -> logging.Formatter:
    if settings.format == "json":
        renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=settings.file is None and sys.stderr.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), structlog.stdlib.ExtraAdder(), *_shared()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )

"""Calling a DICOMweb or FHIR server: what goes with every request, and why a call had no answer."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import requests

from node.errors import ConfigError, RetriableDelivery
from node.settings_destinations import DicomwebServer

LARGEST_ANSWER = 1_000_000
#: A sign-in that ran out, a server that is busy, or in the wrong state for now: a person or time puts it right.
FOR_NOW = frozenset({401, 403, 407, 408, 421, 423, 425, 429})
_CHUNK = 65_536
_HEADER = re.compile(r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~][ -~\t]*)$")
_LARGEST_HEADERS_FILE = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer. content: at most the beginning that LARGEST_ANSWER allows."""

    status: int
    content: bytes


class Connection:
    """What is asked of one server, on one connection where the server keeps it. Use it as a context.

    The environment has no say: neither a proxy nor a .netrc of whoever started the node is for patients' data.
    """

    def __init__(self, server: DicomwebServer) -> None:
        """Raises ConfigError when headers or certificates cannot be used."""
        self._server = server
        self._session = requests.Session()
        self._session.trust_env = False
        if server.headers_file is not None:
            self._session.headers.update(headers(server.headers_file))
        if server.ca_file is not None:
            self._session.verify = str(trusted(server.ca_file))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """The answer to a request. A redirection is an answer: nothing is sent to where it leads.

        Raises RetriableDelivery when there is none, in words without anything of what was sent.
        """
        try:
            return self._ask(method, path, headers, body)
        except requests.RequestException as error:
            raise RetriableDelivery(_why(error, self._server)) from None

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        server, begun = self._server, time.monotonic()
        timeouts = (server.connection_timeout_s, server.answer_timeout_s)
        content = bytearray()
        with self._session.request(
            method,
            server.url + path,
            data=body,
            headers=dict(headers),
            timeout=timeouts,
            allow_redirects=False,
            stream=True,
        ) as answer:
            for chunk in answer.iter_content(_CHUNK):
                content += chunk
                if len(content) > LARGEST_ANSWER:
                    break
                if time.monotonic() - begun > sum(timeouts):
                    raise requests.ReadTimeout
        return Answer(answer.status_code, bytes(content[:LARGEST_ANSWER]))


def headers(path: Path) -> dict[str, str]:
    """The file's lines "Name: value"; empty lines and those with # are passed over.

    Raises ConfigError, which names the line but never says what is in it.
    """
    try:
        with path.open(encoding="ascii") as file:
            lines = file.read(_LARGEST_HEADERS_FILE).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {_reason(error)}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _HEADER.match(line.rstrip())
        if match is None:
            raise ConfigError(f'{path}, line {number}: is not of the form "Name: value"')
        found[match[1]] = match[2]
    return found


def trusted(path: Path) -> Path:
    """The file itself, when there are certificates in it. Raises ConfigError."""
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} has no usable certificates (PEM): {_reason(error)}") from None
    return path


def _why(error: requests.RequestException, server: DicomwebServer) -> str:
    where = urlsplit(server.url).netloc
    match error:
        case requests.exceptions.SSLError():
            return f"{where}: no trusted connection: {_certificate_fault(error) or 'TLS failed'}"
        case requests.ConnectTimeout():
            return f"{where} could not be connected to in {server.connection_timeout_s:g} s"
        case requests.Timeout():
            return f"{where} did not answer in {server.answer_timeout_s:g} s"
        case _:
            return f"{where} cannot be reached, or ended the connection"


def _certificate_fault(error: BaseException) -> str:
    """What TLS has against the server's certificate; "" when it is something else."""
    current: object = error
    while isinstance(current, BaseException):
        if isinstance(current, ssl.SSLCertVerificationError):
            return current.verify_message
        inner = getattr(current, "reason", None) or next(iter(current.args), None)
        current = inner if isinstance(inner, BaseException) else current.__context__
    return ""


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__

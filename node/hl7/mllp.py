"""Sending one message over MLLP and waiting for its acknowledgement. The framing is python-hl7's."""

from __future__ import annotations

import asyncio
import os
import ssl
from asyncio import IncompleteReadError

from hl7.mllp import HL7StreamReader, HL7StreamWriter, InvalidBlockError, open_hl7_connection

from node.dimse import tls
from node.errors import ConfigError, RetriableDelivery
from node.hl7.er7 import Message, Unreadable
from node.settings_hl7 import Hl7Receiver

_LARGEST_ANSWER = 1_000_000


class Line:
    """A connection to a receiver. Use `exchange` from a thread without an event loop."""

    def __init__(self, receiver: Hl7Receiver) -> None:
        """Raises ConfigError where the files of TLS cannot be used."""
        self._receiver = receiver
        self._context = tls.client_context(receiver.tls) if receiver.tls is not None else None

    def exchange(self, content: str, identifier: str) -> Message:
        """Send a message and return the answer to it. identifier: its MSH-10.

        Raises RetriableDelivery when there is no connection or no answer.
        """
        return asyncio.run(self._exchange(content.encode("utf-8"), identifier))

    def look(self) -> None:
        """Connect, and say nothing. Raises RetriableDelivery when there is no connection."""
        asyncio.run(self._look())

    async def _look(self) -> None:
        _, writer = await self._connected()
        writer.transport.abort()

    async def _exchange(self, content: bytes, identifier: str) -> Message:
        reader, writer = await self._connected()
        try:
            async with asyncio.timeout(self._receiver.answer_timeout_s):
                writer.writeblock(content)
                await writer.drain()
                return await self._answer(reader, identifier)
        except TimeoutError:
            text = f"{self._where} did not acknowledge it in {self._receiver.answer_timeout_s:g} s"
            raise RetriableDelivery(text) from None
        except (OSError, IncompleteReadError):
            raise RetriableDelivery(f"{self._where} ended the connection without acknowledging it") from None
        except (Unreadable, InvalidBlockError, ValueError):
            raise RetriableDelivery(f"{self._where} answered with something that is no acknowledgement") from None
        finally:
            writer.transport.abort()  # there is nothing left to be said

    async def _answer(self, reader: HL7StreamReader, identifier: str) -> Message:
        """The acknowledgement of this message; late ones of others, sent before, are passed over."""
        while True:
            answer = Message(await reader.readblock())
            if answer.get("MSA", 2) == identifier:
                return answer

    async def _connected(self) -> tuple[HL7StreamReader, HL7StreamWriter]:
        at, own = self._receiver, self._receiver.tls
        name = (own.certificate_name or at.host) if own is not None else None
        try:
            async with asyncio.timeout(at.connection_timeout_s):
                found: tuple[HL7StreamReader, HL7StreamWriter] = await open_hl7_connection(
                    at.host, at.port, limit=_LARGEST_ANSWER, ssl=self._context, server_hostname=name
                )
                return found
        except TimeoutError:
            text = f"{self._where} could not be connected to in {at.connection_timeout_s:g} s"
            raise RetriableDelivery(text) from None
        except ssl.SSLError as error:
            why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "TLS failed"
            raise RetriableDelivery(f"{self._where}: no trusted connection: {why}") from None
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else "its name is not known"
            raise RetriableDelivery(f"{self._where} cannot be reached: {why}") from None

    @property
    def _where(self) -> str:
        return f"{self._receiver.host}:{self._receiver.port}"


def line(receiver: Hl7Receiver) -> Line:
    """A line to the receiver. Raises RetriableDelivery where the files of TLS cannot be used now."""
    try:
        return Line(receiver)
    except ConfigError as error:
        raise RetriableDelivery(str(error)) from error

"""Pseudonyms of women: the same in every table of this node, and nobody without its key can tell whose.

HMAC-SHA256 (RFC 2104) of issuer and Patient ID with a key that never leaves the node. Without the key, names cannot be
tried out, although there are few possible identity numbers. Who loses the key gets other pseudonyms.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from node.errors import ConfigError

_KEY_BYTES, _DIGITS = 32, 20


class Pseudonyms:
    """Pseudonyms by the key in `key_file`, which is made when it is not there, readable by its owner alone.

    Raises ConfigError when it cannot be read or made, or is no such key.
    """

    def __init__(self, key_file: Path) -> None:
        try:
            self._key = _made(key_file) if not key_file.exists() else key_file.read_bytes()
        except OSError as error:
            raise ConfigError(f"the key of the pseudonyms, {key_file}: {error.strerror}") from error
        if len(self._key) != _KEY_BYTES:
            raise ConfigError(f"the key of the pseudonyms, {key_file}: {len(self._key)} bytes; allowed: {_KEY_BYTES}")

    def of(self, patient_id: str, issuer_of_patient_id: str) -> str:
        """Of a woman by her Patient ID and its issuer."""
        return self._digest(b"patient", issuer_of_patient_id, patient_id)

    def in_audit(self, patient_id: str) -> str:
        """Of a Patient ID in the audit trail: another than in tables, so that the one does not tell of the other."""
        return self._digest(b"audit", patient_id)

    def of_study(self, study_instance_uid: str) -> str:
        """Of the woman of one exam, where nothing tells who she is."""
        return self._digest(b"study", "", study_instance_uid)

    def _digest(self, kind: bytes, *parts: str) -> str:
        # each part with its length, so that no two pairs run together
        told = b"".join(len(each.encode()).to_bytes(4, "big") + each.encode() for each in parts)
        return hmac.new(self._key, kind + told, hashlib.sha256).hexdigest()[:_DIGITS]


def _made(key_file: Path) -> bytes:
    """A new key, written whole or not at all; of two that make one at once, the first one's."""
    key_file.parent.mkdir(parents=True, exist_ok=True)
    key, new = secrets.token_bytes(_KEY_BYTES), key_file.with_name(f"{key_file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        os.link(new, key_file)
    except FileExistsError:
        return key_file.read_bytes()
    finally:
        new.unlink()
    return key

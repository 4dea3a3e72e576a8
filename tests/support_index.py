"""Received instances as the index keeps them, for tests that are not about what is in their files."""

from __future__ import annotations

from datetime import datetime

from storage.records import Instance


def received(study: str, at: datetime, number: int = 1, **changes: object) -> Instance:
    """An instance of a study, received at that moment, to be read; there is no file."""
    values: dict[str, object] = {
        "sop_instance_uid": f"{study}.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2",
        "study_instance_uid": study,
        "series_instance_uid": f"{study}.0",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "path": "none",
        "sha256": "",
        "size_bytes": 1,
        "received_at": at,
        "calling_ae_title": "ROOM1",
        "to_read": True,
        "rule": "screening",
        **changes,
    }
    return Instance(**values)  # type: ignore[arg-type]

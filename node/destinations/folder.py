"""Files in a folder: one DICOM file per object, named by its SOP Instance UID, below its destination's folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from node.destinations import Outgoing, Sent, Target
from node.errors import PermanentDelivery, RetriableDelivery


def send(objects: Sequence[Outgoing], target: Target) -> Iterator[Sent]:
    """Copies the files; each appears whole or not at all, and once."""
    folder = target.destination.folder
    for item in objects:
        if folder is None:
            error = PermanentDelivery(f"destinations.{target.name}.folder: there is no folder to put files in")
            yield Sent(sop_instance_uid=item.sop_instance_uid, error=error)
            continue
        try:
            _copy(item, folder)
        except OSError as problem:
            retry = RetriableDelivery(f"{folder}: {problem.strerror or problem}")
            yield Sent(sop_instance_uid=item.sop_instance_uid, error=retry)
        else:
            yield Sent(sop_instance_uid=item.sop_instance_uid)


def _copy(item: Outgoing, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{item.sop_instance_uid}.dcm"
    temporary = folder / f".{item.sop_instance_uid}.part"
    with item.path.open("rb") as source, temporary.open("wb") as copy:
        shutil.copyfileobj(source, copy)
        copy.flush()
        os.fsync(copy.fileno())
    temporary.replace(final)

"""What is said about instances that were to be kept, and whether this node keeps what it is asked to (PS3.4 J)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from node.settings_commitment import CommitmentSettings
from storage.catalogue import Catalogue
from storage.commitments import CommitmentRequest, Reference, RequestState
from storage.objects import AlteredObject, ObjectStore
from storage.records import Held

#: Failure Reasons (0008,1197) of PS3.3 C.14.1.1.
NO_SUCH_INSTANCE, CLASS_CONFLICT, PROCESSING_FAILURE, DUPLICATE_TRANSACTION = 0x0112, 0x0119, 0x0110, 0x0131
_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider says: instances it keeps, and those that it does not, each with a Failure Reason."""

    transaction_uid: str
    kept: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...] = ()


def answer(request: CommitmentRequest, catalogue: Catalogue, store: ObjectStore) -> Answer:
    """Our own word: kept is what is indexed, and whose file is, read through, the one that was stored."""
    kept, failed = [], []
    for start in range(0, len(request.references), _AT_A_TIME):
        group = request.references[start : start + _AT_A_TIME]
        files = catalogue.files({"sop_instance_uid": [each.sop_instance_uid for each in group]})
        held = {each.sop_instance_uid: each for each in files}
        for reference in group:
            reason = _reason(reference, held.get(reference.sop_instance_uid), store)
            if reason is None:
                kept.append(reference)
            else:
                failed.append((reference, reason))
    return Answer(request.transaction_uid, tuple(kept), tuple(failed))


def _reason(reference: Reference, held: Held | None, store: ObjectStore) -> int | None:
    """Why we do not keep it; None: we do."""
    if held is None:
        return NO_SUCH_INSTANCE
    if held.sop_class_uid != reference.sop_class_uid:
        return CLASS_CONFLICT
    try:
        store.verify(held.path, held.sha256)
    except (AlteredObject, OSError):
        return PROCESSING_FAILURE
    return None


def told(request: CommitmentRequest, now: datetime) -> CommitmentRequest:
    """The request once its answer was taken."""
    return replace(request, state=RequestState.REPORTED, attempts=request.attempts + 1, reported_at=now, last_error="")


def not_told(request: CommitmentRequest, why: str, settings: CommitmentSettings, now: datetime) -> CommitmentRequest:
    """The request after its answer could not be sent: due later, or given up."""
    tried = replace(request, attempts=request.attempts + 1, last_error=why)
    if tried.attempts >= settings.max_attempts:
        return replace(tried, state=RequestState.FAILED, last_error=f"{why} (given up after {tried.attempts})")
    wait_s = min(settings.max_retry_s, settings.first_retry_s * 2.0 ** min(tried.attempts - 1, 30))
    return replace(tried, due_at=now + timedelta(seconds=wait_s))

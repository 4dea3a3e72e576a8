"""A study's state follows from its deliveries."""

from __future__ import annotations

from node.pipeline.rooms import tell
from storage.database import Database
from storage.index import Index
from storage.outbox import Outbox
from storage.records import DeliveryState, StudyState

_ON_ITS_WAY = frozenset({DeliveryState.PENDING, DeliveryState.UNCOMMITTED})
_STOPPED = frozenset({DeliveryState.FAILED, DeliveryState.HELD})


def settle(joined: Database, study_instance_uid: str, revision: int) -> None:
    """Move the study when nothing is on its way any more. Touches it first, so that two settle in turn."""
    index, outbox = Index(joined), Outbox(joined)
    index.touch(study_instance_uid)
    every = outbox.deliveries(study_instance_uid, revision=revision)
    if any(item.state in _ON_ITS_WAY for item in every):
        return
    not_made = [result for result in outbox.results(study_instance_uid, revision) if result.error]
    if any(item.state in _STOPPED for item in every):
        after, text = StudyState.UNDELIVERED, StudyState.UNDELIVERED.sentence
    elif not_made or not every:
        after, text = StudyState.HELD, f"{len(not_made)} result objects could not be made"
    else:
        after, text = StudyState.ANSWERED, StudyState.ANSWERED.sentence
    if index.advance(study_instance_uid, revision, {StudyState.DELIVERING: after}):
        tell(index, study_instance_uid, revision, "answer", text)

"""What an upgrade of the schema cannot do by itself: searches find also what was kept before there were searches."""

from __future__ import annotations

from node import findable, logs
from node.exams import header
from storage.catalogue import Catalogue
from storage.objects import ObjectStore

log = logs.get(__name__)


def make_findable(catalogue: Catalogue, store: ObjectStore) -> int:
    """Add what searches find of every instance that they do not; returns how many. Run again, it does only the rest."""
    made = 0
    for held in catalogue.not_findable():
        try:
            entry = findable.entry(header(store.path(held.path)))
        except Exception:
            log.exception("not findable: its file cannot be read", sop=held.sop_instance_uid)
            continue
        catalogue.add(entry)
        made += 1
    if made:
        log.info("made findable what was kept before there were searches", instances=made)
    return made

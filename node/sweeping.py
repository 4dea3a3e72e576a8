"""The look through the files: those that no row names, and rows whose file is gone. Nothing is removed unasked.

A file without a row is what a process left that died between file and row; its sender was never told success.
"""

from __future__ import annotations

from datetime import datetime

from node import logs
from node.settings_storage import PipelineSettings
from storage.objects import Listed, ObjectStore
from storage.sweeps import Sweep, Sweeps
from storage.workers import Workers

log = logs.get(__name__)

#: A younger file may be of an instance that is coming in at this moment.
SETTLED_S = 86400.0
#: An unfinished file that nobody wrote to for this long, and whose writer is not heard of, is nobody's.
HALF_WRITTEN_S = 3600.0
_MOST_NAMED = 20


def sweep(
    sweeps: Sweeps, store: ObjectStore, now: datetime, *, older_than_s: float = SETTLED_S, remove: bool = False
) -> Sweep:
    """Look through all files, keep the result, and return it. remove: orphans are removed."""
    found, asides = _Found(), sweeps.named_asides()
    with_rows = set()
    for study in sweeps.studies():
        with_rows.add(study)
        there, named = store.listed(study), sweeps.named(study)
        found.missing(study, named - there.keys())
        found.orphans({path: each for path, each in there.items() if path not in named | asides}, older_than_s)
    for study in store.studies():
        if study not in with_rows:
            there = store.listed(study)
            found.orphans({path: each for path, each in there.items() if path not in asides}, older_than_s)
    result = found.result(now)
    sweeps.save(result)
    log.info("swept", orphans=result.orphans, orphan_bytes=result.orphan_bytes, missing=result.missing)
    if remove:
        for path in found.paths:
            store.remove(path)
    return result


def clear_half_written(workers: Workers, store: ObjectStore, settings: PipelineSettings) -> int:
    """Remove unfinished files of workers that are not heard of any more, on this host or another; returns how many.

    One that is cut off and still lives finds its file gone, answers 0xA700 and is sent the instance again.
    """
    living = {each.holder for each in workers.all() if not each.ended and each.silent_s <= settings.takeover_s}
    removed = store.clear_incoming(living, older_than_s=HALF_WRITTEN_S)
    if removed:
        log.info("files removed that dead workers left half-written", files=removed)
    return removed


class _Found:
    """What the look has come upon so far."""

    def __init__(self) -> None:
        self.paths: dict[str, int] = {}
        self._missing: dict[str, int] = {}

    def missing(self, study: str, paths: set[str]) -> None:
        for path in sorted(paths):
            log.error("a kept file is gone", study=study, path=path)
        if paths:
            self._missing[study] = len(paths)

    def orphans(self, files: dict[str, Listed], older_than_s: float) -> None:
        self.paths |= {path: each.size_bytes for path, each in files.items() if each.age_s >= older_than_s}

    def result(self, now: datetime) -> Sweep:
        return Sweep(
            at=now,
            orphans=len(self.paths),
            orphan_bytes=sum(self.paths.values()),
            missing=sum(self._missing.values()),
            missing_studies=tuple(self._missing)[:_MOST_NAMED],
        )

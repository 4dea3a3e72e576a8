"""When is an exam whole? All four standard views → after a short grace; otherwise when nothing came for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from ai.exam import STANDARD_VIEWS
from node.settings import CompletenessSettings

#: With all four views there but the sender's association still open, a repeat may be on its way: wait this long for
#: the association to be released (or to turn to another study), then go on without.
OPEN_ASSOCIATION_WAIT_S = 10.0

_ALL_VIEWS = frozenset(str(view) for view in STANDARD_VIEWS)


def is_complete(views: frozenset[str]) -> bool:
    """Whether all four standard views are there."""
    return views >= _ALL_VIEWS


def due_at(views: frozenset[str], now: datetime, settings: CompletenessSettings, *, still_open: bool) -> datetime:
    """When a study holding the standard `views` ("R CC", …) counts as whole, if nothing more comes.

    still_open: the association that brought the latest instance may bring more.
    """
    if not is_complete(views):
        wait_s = settings.quiet_s
    elif still_open:
        wait_s = min(settings.quiet_s, max(OPEN_ASSOCIATION_WAIT_S, settings.standard_views_grace_s))
    else:
        wait_s = settings.standard_views_grace_s
    return now + timedelta(seconds=wait_s)


def longest_wait(settings: CompletenessSettings) -> timedelta:
    """No exam waits longer than this for its next image."""
    return timedelta(seconds=max(settings.quiet_s, settings.standard_views_grace_s))

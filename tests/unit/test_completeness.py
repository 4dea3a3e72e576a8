"""When is an exam whole?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.completeness import OPEN_ASSOCIATION_WAIT_S, due_at, is_complete
from node.settings import CompletenessSettings

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ALL = frozenset({"R CC", "L CC", "R MLO", "L MLO"})
SETTINGS = CompletenessSettings(standard_views_grace_s=1.5, quiet_s=60)


def wait_s(views: frozenset[str], settings: CompletenessSettings = SETTINGS, *, still_open: bool = False) -> float:
    return (due_at(views, NOW, settings, still_open=still_open) - NOW).total_seconds()


def test_four_views_wait_for_the_grace_only() -> None:
    assert wait_s(ALL) == 1.5


def test_four_views_on_an_open_association_wait_for_a_repeat() -> None:
    assert wait_s(ALL, still_open=True) == OPEN_ASSOCIATION_WAIT_S


@pytest.mark.parametrize("still_open", [True, False])
@pytest.mark.parametrize("missing", sorted(ALL))
def test_three_views_wait_for_quiet(missing: str, still_open: bool) -> None:
    assert not is_complete(ALL - {missing})
    assert wait_s(ALL - {missing}, still_open=still_open) == 60


def test_an_open_association_never_waits_longer_than_quiet() -> None:
    assert wait_s(ALL, CompletenessSettings(standard_views_grace_s=1, quiet_s=3), still_open=True) == 3


@given(st.frozensets(st.sampled_from(["", "R CC", "L CC", "R MLO", "L MLO", "R ML"])), st.booleans())
def test_every_exam_is_whole_at_some_time(views: frozenset[str], still_open: bool) -> None:
    assert 0 <= wait_s(views, still_open=still_open) <= SETTINGS.quiet_s

"""A PACS that is down while exams wait: other destinations do not notice, and when it is back all come once."""

from __future__ import annotations

from pathlib import Path

from tests.support_outage import night


def test_a_night_without_the_pacs(tmp_path: Path) -> None:
    outage = night(tmp_path, 12)
    print(outage)
    assert outage.elsewhere == 12, "another destination waited for the PACS"
    assert (outage.lost, outage.doubled) == (0, 0)
    assert outage.seconds < 60

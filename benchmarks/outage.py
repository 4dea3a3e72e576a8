"""A night without the PACS, with many exams waiting: `python benchmarks/outage.py [EXAMS]` (500 for the whole night).

Prints how many exams the other destination had meanwhile, what was lost or doubled at the PACS after its return, and
the seconds until it had everything. Ends with 1 unless nothing was lost or doubled.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from node import logs
from node.settings import LoggingSettings
from tests.support_outage import night


def main() -> None:
    exams = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    logs.configure(LoggingSettings(level="error"))
    with tempfile.TemporaryDirectory() as folder:
        outage = night(Path(folder), exams, max_retry_s=60)
    print(outage)
    sys.exit(bool(outage.lost or outage.doubled))


if __name__ == "__main__":
    main()

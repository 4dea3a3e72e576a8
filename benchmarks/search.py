"""How long searches take among many exams: `python benchmarks/search.py [EXAMS] [DATABASE_URL]`.

Fills an empty database (SQLite in a temporary folder unless a URL is given) with EXAMS exams of one series and one
instance each, and prints the median of what QIDO-RS does for the usual questions, and of what the node itself asks.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from node import overview, search
from node.config import Config
from node.errors import TooBroad
from node.health import Health
from node.holdings import Holdings
from node.metrics import Metrics
from node.query import Key, Matching
from node.search import Search
from storage.catalogue import Catalogue, Level
from storage.database import Database
from storage.figures import Figures
from storage.forwards import Forwards
from storage.index import Index
from storage.outbox import Outbox
from storage.records import DeliveryState, StudyState
from storage.schema import make_engine
from storage.tallies import Tallies
from tests.support_exams import settings
from tests.support_index import received
from tests.support_many import ROOT, fill


def main() -> None:
    exams = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{Path(folder) / 'node.sqlite'}"
        config = settings(Path(folder), storage={"database_url": url, "object_folder": f"{folder}/objects"})
        database = Database(make_engine(url))
        database.create_schema()
        began = time.monotonic()
        fill(database, exams)
        print(f"{exams} exams put in, {time.monotonic() - began:.0f} s")
        watch(database, config)
        measure(Catalogue(database), exams)
        database.engine.dispose()


def measure(catalogue: Catalogue, exams: int) -> None:
    uid = f"{ROOT}.{exams // 3}"
    for told, level, keys in (
        ("patient ID", Level.STUDY, [Key("00100020", "LO", (f"P{exams // 3}",))]),
        ("study date", Level.STUDY, [Key("00080020", "DA", ("20200315",))]),
        ("range of dates", Level.STUDY, [Key("00080020", "DA", ("20200301-20200331",))]),
        ("accession number", Level.STUDY, [Key("00080050", "SH", (f"A{exams // 3}",))]),
        ("study UID", Level.STUDY, [Key("0020000D", "UI", (uid,))]),
        ("name family*", Level.STUDY, [Key("00100010", "PN", ("FAMILY4711*",))]),
        ("nothing, page 1", Level.STUDY, []),
        ("nothing, page 50", Level.STUDY, []),
        ("date and modality", Level.STUDY, [Key("00080020", "DA", ("20200315",)), Key("00080061", "CS", ("MG",))]),
        ("patient ID, instances", Level.INSTANCE, [Key("00100020", "LO", (f"P{exams // 3}",))]),
        ("name *part*", Level.STUDY, [Key("00100010", "PN", ("*ily4711^*",))]),
        ("study description", Level.STUDY, [Key("00081030", "LO", ("*nowhere*",))]),
        ("study time", Level.STUDY, [Key("00080030", "TM", ("09-10",))]),
    ):
        offset = 5000 if told.endswith("50") else 0
        asked = Search(level=level, keys=tuple(keys), matching=Matching(combined=True), limit=101, offset=offset)
        try:
            count = len(search.search(catalogue, asked).matches)
        except TooBroad as error:
            print(f"{told:25} {error}")
            continue
        took = [timed(lambda asked=asked: search.search(catalogue, asked)) for _ in range(7)]
        wall, cpu = (statistics.median(each[which] * 1000 for each in took) for which in (0, 1))
        fastest = min(each[0] for each in took) * 1000
        print(f"{told:25} {wall:9.1f} ms, fastest {fastest:9.1f}, CPU here {cpu:7.1f}; {count} matches")


def watch(database: Database, config: Config) -> None:
    """What `exams`, `status`, Prometheus, every round of the housekeeper and every image that comes ask."""
    index, figures, held = Index(database), Figures(database), Holdings.of(database)
    metrics, long_ago = Metrics(config, database, Health(config, database, None)), datetime(1990, 1, 1, tzinfo=UTC)
    numbers = count()

    def intake() -> None:
        image = received(f"{ROOT}.999999999.{next(numbers)}", datetime.now(UTC))
        index.add_instance(image, lambda _views: datetime.now(UTC) + timedelta(minutes=1))

    asked: dict[str, Callable[[], object]] = {
        "first page of exams": lambda: overview.exam_lines(held, tuple(StudyState), 100),
        "page of waiting exams": lambda: overview.exam_lines(held, [StudyState.DELIVERING, StudyState.HELD], 100),
        "page of answered exams": lambda: overview.exam_lines(held, [StudyState.ANSWERED], 100),
        "exams that are whole": lambda: index.due_studies(long_ago),
        "exams by state": Tallies(database).studies,
        "deliveries, counted": Tallies(database).deliveries,
        "bytes kept": Tallies(database).kept_bytes,
        "oldest delivery": figures.oldest_deliveries,
        "last errors": figures.last_errors,
        "retention finds nothing": lambda: index.expired(long_ago, 500),
        "what the reconciler asks": lambda: reconciler(database),
        "status": lambda: overview.status(config),
        "metrics": metrics.text,
        "an image is indexed": intake,
    }
    for told, ask in asked.items():
        took = [timed(ask) for _ in range(7)]
        wall, cpu = (statistics.median(each[which] * 1000 for each in took) for which in (0, 1))
        print(f"{told:25} {wall:9.1f} ms, fastest {min(each[0] for each in took) * 1000:9.1f}, CPU here {cpu:7.1f}")


def reconciler(database: Database) -> None:
    """See `node.pipeline.orders`; beside this it asks the engine which jobs wait."""
    Index(database).hasten_all(datetime.now(UTC) + timedelta(days=1))
    Index(database).studies([StudyState.READING, StudyState.REPORTING])
    Outbox(database).deliveries(states=[DeliveryState.PENDING, DeliveryState.UNCOMMITTED])
    Forwards(database).queued()
    Forwards(database).waiting()


def timed(what: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds; on a busy machine the second says more (of a database that runs in this process)."""
    began, cpu = time.monotonic(), time.process_time()
    what()
    return time.monotonic() - began, time.process_time() - cpu


if __name__ == "__main__":
    main()

"""The shape of the code: who imports whom, and how large things are."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import HOUSE_NUMBERS
from tests.house import rules
from tests.house.rules import Source
from tests.support import REPOSITORY

PRODUCT = rules.sources(REPOSITORY, ["ai", "node", "storage"])
EVERYTHING = [*PRODUCT, *rules.sources(REPOSITORY, ["tests", "scripts", "benchmarks"])]

#: The borders, where anything may go wrong and every error must become an answer: these may catch Exception.
BORDERS = {
    "ai/decoding.py": "codecs and the parser meet whatever a sender made",
    "ai/detection.py": "whatever a model does, the others of its batch get their answer",
    "ai/inference.py": "whatever a model does, the exam gets an answer",
    "ai/priors.py": "whatever a prior does, the exam at hand is read",
    "ai/read_ahead.py": "whatever an exam does, the next ones are read",
    "ai/sources.py": "whatever an image does, the exam gets an answer",
    "node/audit/queries.py": "the parser meets whatever a peer asked",
    "node/backfill.py": "one damaged file must not keep the others from being found",
    "node/cli.py": "a person gets words, not a traceback",
    "node/dimse/commitment_scp.py": "one failed round must not end the rounds",
    "node/dimse/mpps.py": "every request gets a status",
    "node/dimse/scp.py": "every request gets a status",
    "node/dimse/ups.py": "every request gets a status",
    "node/dimse/upper.py": "whatever a peer sends ends its association and no other",
    "node/duties.py": "one failed round must not end the rounds",
    "node/hl7/receiving.py": "every message gets an acknowledgement",
    "node/header.py": "the parser meets whatever a sender made",
    "node/housekeeping.py": "one failed round must not end the rounds",
    "node/intake.py": "the parser meets whatever a sender made",
    "node/keeper.py": "one failed turn must not end the turns",
    "node/part10.py": "the parser meets whatever a sender made",
    "node/pipeline/fetching.py": "whatever a PACS does, the exam is read",
    "node/pipeline/heartbeat.py": "a worker that works must go on telling that it lives",
    "node/pipeline/stages.py": "one failed job must not end the worker",
    "node/reader_process.py": "the node is told why a reading failed",
    "node/reporting.py": "a result object that cannot be made is kept as failed",
    "node/stored_file.py": "a damaged file fails the parser in many ways",
    "node/ups/performing.py": "one failed look must not end the looking",
    "node/ups/telling.py": "one failed round must not end the rounds",
    "node/web/border.py": "every request gets an answer",
    "node/web/decoder_process.py": "the node is told why an image was not decoded",
    "node/web/stow.py": "every instance of a request gets its status",
}


def faults(rule: Callable[[Source], Iterator[str]], sources: list[Source]) -> str:
    """The rule's faults in all the sources, one per line."""
    return "\n".join(fault for source in sources for fault in rule(source))


def test_import_contracts_of_pyproject_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache", "--no-logo"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_import_circle() -> None:
    assert rules.circles(rules.import_graph(PRODUCT)) == []


def test_every_folder_of_code_is_a_package() -> None:
    """Without its __init__.py a folder escapes the import contracts and is not installed."""
    folders = {REPOSITORY / source.path.rpartition("/")[0] for source in PRODUCT}
    assert sorted(str(each.relative_to(REPOSITORY)) for each in folders if not (each / "__init__.py").is_file()) == []


@pytest.mark.parametrize(
    "rule",
    [
        rules.imports_in_functions,
        rules.global_statements,
        rules.silent_excepts,
        rules.long_functions,
        rules.many_parameters,
        rules.unannotated,
    ],
    ids=lambda rule: rule.__name__,
)
def test_the_product_keeps_the_rule(rule: Callable[[Source], Iterator[str]]) -> None:
    assert not faults(rule, PRODUCT), faults(rule, PRODUCT)


def test_no_file_is_too_long() -> None:
    assert not faults(rules.long_files, EVERYTHING), faults(rules.long_files, EVERYTHING)


def test_only_the_command_line_prints() -> None:
    found = faults(rules.prints, [source for source in PRODUCT if source.path != "node/cli.py"])
    assert not found, found


def test_everything_is_caught_only_at_the_borders() -> None:
    found = faults(rules.broad_excepts, [source for source in PRODUCT if source.path not in BORDERS])
    assert not found, f"catch what can happen by its type, or make it a border:\n{found}"


def test_every_border_exists() -> None:
    missing = sorted(set(BORDERS) - {source.path for source in PRODUCT} - {"node/cli.py"})
    assert missing == [], "the list of borders names files that are gone"


def test_the_house_in_numbers(record_property: Callable[[str, object], None]) -> None:
    """Not a limit but a measurement, printed at the end of the run."""
    sizes = {source.path: source.text.count("\n") for source in PRODUCT}
    lengths = {
        f"{source.path} {each.name}()": rules.length(each) for source in PRODUCT for each in rules.functions(source)
    }
    longest_file, longest = max(sizes, key=sizes.__getitem__), max(lengths, key=lengths.__getitem__)
    under = sum(each <= 25 for each in lengths.values()) / len(lengths)
    record_property(HOUSE_NUMBERS, f"files {len(sizes)}, median {statistics.median(sizes.values()):g} lines")
    record_property(HOUSE_NUMBERS, f"longest file {sizes[longest_file]} lines: {longest_file}")
    record_property(
        HOUSE_NUMBERS,
        f"functions {len(lengths)}, median {statistics.median(lengths.values()):g} lines, {under:.0%} at most 25",
    )
    record_property(HOUSE_NUMBERS, f"longest function {lengths[longest]} lines: {longest}")
    assert under >= 0.9, "nine functions in ten have at most 25 lines"

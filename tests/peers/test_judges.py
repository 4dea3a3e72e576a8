"""Validators that nobody here wrote judge every result object, and notice when one is broken on purpose.

`../shared/tools/judge-results` runs dciodvfy (IOD, evidence), PixelMed's DicomSRValidator (templates) and dcmtk's
dsrdump. Every start of the SR validator compiles its templates for 6-8 s of one core, so it sees a selection in which
every branch of the trees is met, and the quick judges the whole matrix; `make judge` shows it everything.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.results import mammography_cad_sr, measurement_sr, summary_sc
from node.results._assertions import walk
from tests.support import JUDGES_ENV, REPOSITORY, absent, require_tool
from tests.support_readings import (
    encoded,
    single,
)
from tests.support_results import CASES

JUDGE = REPOSITORY.parent / "shared" / "tools" / "judge-results"
PIXELMED = Path("/usr/share/java/pixelmed.jar")
SOP_CLASSES = ("comprehensive_3d", "comprehensive", "enhanced")
WHOLE_MATRIX = bool(os.environ.get("MAMMO_NODE_WHOLE_MATRIX"))
CAD_CASES = (
    "negative",
    "bilateral_revised",
    "one_breast_left_out",
    "latin_1",
    "not_read_many_reasons",
    "not_read_model_failed",
)
MEASURED: dict[str, tuple[str, ...]] = {
    "comprehensive_3d": ("positive", "with_prior_and_composition", "not_read_many_reasons"),
    "comprehensive": ("negative", "one_breast_absent", "not_read_no_mammogram"),
    "enhanced": ("latin_1", "not_read_three_views", "indeterminate_uncalibrated"),
}


def cad(case: str) -> Dataset:
    return single(mammography_cad_sr.build(CASES[case](), mammography_cad_sr.OPTIONS()))


def measured(case: str, sop_class: str = "comprehensive_3d") -> Dataset:
    return single(measurement_sr.build(CASES[case](), measurement_sr.OPTIONS.model_validate({"sop_class": sop_class})))


def card(case: str) -> Dataset:
    return single(summary_sc.build(CASES[case](), summary_sc.OPTIONS()))


@pytest.fixture(scope="module", autouse=True)
def _judges() -> None:
    if not JUDGE.exists():
        absent("../shared/tools/judge-results is not beside the repository")
    for tool in ("dciodvfy", "dsrdump", "dcmdump", "java"):
        require_tool(tool)
    if not PIXELMED.exists():
        absent("PixelMed is not installed: apt-get install libpixelmed-java")


def judged(paths: list[Path]) -> str:
    """What the judges say of the files."""
    done = subprocess.run([JUDGE, *paths], capture_output=True, text=True, env=JUDGES_ENV, check=False)
    assert done.returncode in (0, 1), f"the judges did not run: {done.stdout}{done.stderr}"
    return done.stdout


def written(folder: Path, objects: Iterator[tuple[str, Dataset]]) -> list[Path]:
    paths = []
    for name, dataset in objects:
        paths.append(folder / f"{name}.dcm")
        paths[-1].write_bytes(encoded(dataset))
    return paths


def judge_in_two(paths: list[Path]) -> str:
    """The files judged by two processes at a time, each half as it comes."""
    with ThreadPoolExecutor(2) as pool:
        return "".join(pool.map(judged, (paths[0::2], paths[1::2])))


def everything() -> Iterator[tuple[str, Dataset]]:
    for case in CASES:
        yield f"cad_{case}", cad(case)
        for sop_class in SOP_CLASSES:
            yield f"{sop_class}_{case}", measured(case, sop_class)


def for_the_sr_validator() -> Iterator[tuple[str, Dataset]]:
    if WHOLE_MATRIX:
        yield from everything()
        return
    for case in CAD_CASES:
        yield f"cad_{case}", cad(case)
    for sop_class, cases in MEASURED.items():
        for case in cases:
            yield f"{sop_class}_{case}", measured(case, sop_class)


@pytest.mark.timeout(1200)
def test_every_judge_passes_every_kind_of_report(tmp_path: Path) -> None:
    paths = written(tmp_path, for_the_sr_validator())
    said = judge_in_two(paths)
    assert said.count("  ok\n") == len(paths), f"a judge found fault:\n{said}"


def lines(*command: str | Path) -> list[str]:
    """What a judge says of one file, without what it says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    own = "VR checker does not support|template constraints not yet|needed to build DICOMDIR|DeviceUID.0018,1002"
    said = [line for line in done.stderr.splitlines() if not re.search(own, line)]
    return [*said, *([f"Error: ended with {done.returncode}"] if done.returncode < 0 else [])]


def test_the_quick_judges_pass_the_whole_matrix(tmp_path: Path) -> None:
    """dciodvfy without an error, and in the CAD SR without a warning; dsrdump without either."""
    faults = []
    for path in written(tmp_path, everything()):
        pattern = "Error|Warning" if path.stem.startswith("cad_") else "Error"
        said = [line for line in lines("dciodvfy", "-new", path) if re.match(pattern, line)]
        said += [line for line in lines("dsrdump", "-Ec", "-Er", path) if re.match("Error|[WEF]: ", line)]
        faults += [f"{path.stem}: {line}" for line in said]
    assert not faults, "\n".join(faults)


def test_every_card_is_a_valid_secondary_capture(tmp_path: Path) -> None:
    paths = written(tmp_path, ((f"card_{case}", card(case)) for case in CASES))
    said = judged(paths)
    assert said.count("  ok\n") == len(paths), f"a judge found fault:\n{said}"


# --- broken on purpose: a judge that says nothing here is broken itself


def no_completion_flag(dataset: Dataset) -> None:
    del dataset.CompletionFlag


def evidence_of_another(dataset: Dataset) -> None:
    series = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def no_photometric_interpretation(dataset: Dataset) -> None:
    del dataset.PhotometricInterpretation


def wrong_relationship(dataset: Dataset) -> None:
    node = next(node for node in walk(dataset) if node.item.get("RelationshipType") == "HAS CONCEPT MOD")
    node.item.RelationshipType = "CONTAINS"


def wrong_target(dataset: Dataset) -> None:
    node = next(node for node in walk(dataset) if "ReferencedContentItemIdentifier" in node.item)
    node.item.ReferencedContentItemIdentifier = [1, 2, 99]


def illegal_percentage(dataset: Dataset) -> None:
    for node in walk(dataset):
        if node.item.get("ValueType") == "NUM" and node.item.ConceptNameCodeSequence[0].CodeValue == "111012":
            node.item.MeasuredValueSequence[0].NumericValue = "150"


Make = Callable[[str], Dataset]
Break = Callable[[Dataset], None]
BROKEN_TREE: dict[str, tuple[Make, Break]] = {
    "cad_with_a_wrong_relationship": (cad, wrong_relationship),
    "cad_with_a_reference_to_nothing": (cad, wrong_target),
    "cad_with_an_illegal_percentage": (cad, illegal_percentage),
    "report_with_a_wrong_relationship": (measured, wrong_relationship),
}
BROKEN_IOD: dict[str, tuple[Make, Break]] = {
    "cad_without_completion_flag": (cad, no_completion_flag),
    "report_without_the_evidence_it_refers_to": (measured, evidence_of_another),
    "card_without_photometric_interpretation": (card, no_photometric_interpretation),
}


def broken(controls: dict[str, tuple[Make, Break]]) -> Iterator[tuple[str, Dataset]]:
    for name, (make, breaks) in controls.items():
        dataset = make("positive")
        breaks(dataset)
        yield name, dataset


@pytest.mark.timeout(300)
def test_the_sr_validator_notices_a_broken_tree(tmp_path: Path) -> None:
    said = judge_in_two(written(tmp_path, broken(BROKEN_TREE)))
    unnoticed = [name for name in BROKEN_TREE if not re.search(rf"{name}\.dcm .*FALLS SHORT", said)]
    assert not unnoticed, f"no judge noticed {unnoticed}:\n{said}"


def test_dciodvfy_notices_a_broken_object(tmp_path: Path) -> None:
    paths = written(tmp_path, broken(BROKEN_IOD))
    unnoticed = [p.stem for p in paths if not any(line.startswith("Error") for line in lines("dciodvfy", "-new", p))]
    assert not unnoticed, f"dciodvfy did not notice {unnoticed}"

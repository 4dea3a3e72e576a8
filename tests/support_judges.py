"""The programs that judge result objects, and the matrix of objects they are shown.

`../shared/tools/judge-results` runs dciodvfy (IOD, evidence), PixelMed's DicomSRValidator (templates) and dcmtk's
dsrdump. dcentvfy compares the objects of one study with each other and with the images; dcmtk's dcmpschk reads
presentation states.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from node import results
from node.results import Report
from tests.support import JUDGES_ENV, REPOSITORY, absent, require_tool
from tests.support_readings import encoded
from tests.support_results import CASES, MATRIX, REASONS, revised

JUDGE = REPOSITORY.parent / "shared" / "tools" / "judge-results"
PIXELMED = Path("/usr/share/java/pixelmed.jar")
WHOLE_MATRIX = bool(os.environ.get("MAMMO_NODE_WHOLE_MATRIX"))

#: Name of a variant → kind and options. Structured reports and key objects first: the SR validator reads those.
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "cad": ("mammography_cad_sr", {}),
    "comprehensive_3d": ("measurement_sr", {}),
    "comprehensive": ("measurement_sr", {"sop_class": "comprehensive"}),
    "enhanced": ("measurement_sr", {"sop_class": "enhanced"}),
    "per_image": ("measurement_sr", {"per": "image"}),
    "key_objects": ("key_objects", {}),
    "rejection_note": ("rejection_note", {}),
    "card": ("summary_sc", {}),
    "overlay": ("overlay_sc", {"views": "read", "longer_side": 1024}),
    "presentation": ("presentation_state", {"breasts": "read"}),
}
STRUCTURED = tuple(VARIANTS)[:7]

#: What the judges say of their own limits: character sets, templates, an attribute younger than they are.
_OF_ITSELF = (
    "VR checker does not support|unsupported SpecificCharacterSet|template constraints not yet|"
    "needed to build DICOMDIR|DeviceUID.0018,1002"
)

Named = tuple[str, Dataset]


def require_judges() -> None:
    """Skip the test where a judge is missing."""
    if not JUDGE.exists():
        absent("../shared/tools/judge-results is not beside the repository")
    for tool in ("dciodvfy", "dcentvfy", "dsrdump", "dcmdump", "dcmpschk", "java"):
        require_tool(tool)
    if not PIXELMED.exists():
        absent("PixelMed is not installed: apt-get install libpixelmed-java")


def reported(case: str, variant: str) -> Report:
    """The report of a case; of a second revision where the kind has something to say only then."""
    one = MATRIX[case]()
    return revised(one) if variant == "rejection_note" else one


def objects(variant: str, case: str) -> dict[str, Dataset]:
    """Part → object."""
    kind, options = VARIANTS[variant]
    module = results.load(kind)
    return dict(module.build(reported(case, variant), module.OPTIONS.model_validate(options)))


def one(variant: str, case: str) -> Dataset:
    """The first object of a variant."""
    return next(iter(objects(variant, case).values()))


def named(variant: str, cases: Iterable[str]) -> Iterator[Named]:
    for case in cases:
        for part, dataset in objects(variant, case).items():
            yield "-".join(filter(None, (variant, case, part.replace(" ", "_")))), dataset


#: Variants of the same tree share the cases between them; `make judge` shows each variant every case.
_SHARED = {"comprehensive": slice(0, None, 2), "enhanced": slice(1, None, 2), "per_image": slice(0, None, 3)}


def every(variant: str) -> Iterator[Named]:
    """A variant of every kind of exam; the usual reports (and, at length, cards) for each reason not to read one."""
    cases = list(CASES)
    yield from named(variant, cases if WHOLE_MATRIX else cases[_SHARED.get(variant, slice(None))])
    if variant in ("cad", "comprehensive_3d") or (variant == "card" and WHOLE_MATRIX):
        yield from named(variant, REASONS)


def written(folder: Path, pairs: Iterable[Named]) -> list[Path]:
    paths = []
    for name, dataset in pairs:
        paths.append(folder / f"{name}.dcm")
        paths[-1].write_bytes(encoded(dataset))
    return paths


def judged(paths: list[Path]) -> str:
    """What the judges say of the files."""
    done = subprocess.run([JUDGE, *paths], capture_output=True, text=True, env=JUDGES_ENV, check=False)
    assert done.returncode in (0, 1), f"the judges did not run: {done.stdout}{done.stderr}"
    return done.stdout


def judge_in_two(paths: list[Path]) -> str:
    """The files judged by two processes at a time, each half as it comes."""
    with ThreadPoolExecutor(2) as pool:
        return "".join(pool.map(judged, (paths[0::2], paths[1::2])))


def lines(*command: str | Path) -> list[str]:
    """What a judge says of one file, without what it says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if not re.search(_OF_ITSELF, line)]
    return [*said, *([f"Error: ended with {done.returncode}"] if done.returncode < 0 else [])]


def quick_faults(path: Path) -> list[str]:
    """What dciodvfy finds, in the CAD report and the key objects warnings too; and dcmtk's reader of the kind."""
    kind = path.stem.partition("-")[0]
    strict = kind in ("cad", "key_objects", "rejection_note", "presentation")
    said = [line for line in lines("dciodvfy", "-new", path) if re.match("Error|Warning" if strict else "Error", line)]
    if kind in STRUCTURED:
        said += [line for line in lines("dsrdump", "-Ec", "-Er", path) if re.match("Error|[WEF]: ", line)]
    if kind == "presentation":
        said += presentation_faults(path)
    return [f"{path.stem}: {line}" for line in said]


def presentation_faults(path: Path) -> list[str]:
    """What dcmpschk finds. It reads no character set but Latin-1, and stops at a name in another: here names go."""
    dataset = dcmread(path)
    dataset.PatientName, dataset.ReferringPhysicianName = "Demo^Anna", ""
    nameless = path.with_suffix(".nameless")
    dataset.save_as(nameless)
    said = lines("dcmpschk", nameless)
    return [] if any("Test passed" in line for line in said) else said


def together(check: Callable[[Path], list[str]], paths: Iterable[Path]) -> list[str]:
    """The faults of all files, two looked at at a time."""
    with ThreadPoolExecutor(2) as pool:
        return [fault for faults in pool.map(check, paths) for fault in faults]

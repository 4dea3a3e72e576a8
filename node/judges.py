"""Outside validators of DICOM files, each run and understood: what it judges, how it complains, and its last words.

No judge is believed for its silence or its exit status: DicomSRValidator ends with 0 when it could not compile its
templates, dcmpschk always does. Each must say the words it says only when it has read the file and come to the end;
without them it is BROKEN, which is not a pass.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage, SecondaryCaptureImageStorage

from ai.exam import View
from node.results import _assertions
from node.results._assertions_references import overlay_faults, presentation_faults

_PIXELMED = Path("/usr/share/java/pixelmed.jar")
_TIMEOUT_S = 300.0
_SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
_KEY_OBJECTS = _SR_CLASSES + "59"
_INSTALL = "apt-get install --no-install-recommends"


class Outcome(StrEnum):
    """What a judge makes of a file."""

    PASS = "pass"
    SHORT = "falls short"
    BROKEN = "did not finish"  # the judge; the file may be anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judge's word on one file, or on several together (`file` is then their study)."""

    file: str
    judge: str
    outcome: Outcome
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """An outside program. needs: programs and files it must find, by the Debian package that brings them.

    judges: of which SOP classes. last_words: patterns that all stand in its output once it has come to the end.
    faults, warnings: patterns of its lines, from the first on that `begins` matches; excused: lines that tell of the
    judge's own limits.
    """

    name: str
    judges: Callable[[str], bool]
    command: tuple[str, ...]
    needs: Mapping[str, str]
    last_words: tuple[str, ...]
    faults: str
    warnings: str = r"Warning"
    excused: str = r"(?!)"
    begins: str = r""

    @property
    def missing(self) -> list[str]:
        """Packages of what is not installed."""
        absent = [package for what, package in self.needs.items() if not (shutil.which(what) or Path(what).is_file())]
        return list(dict.fromkeys(absent))

    def judge(self, files: Sequence[Path], said_of: str) -> Verdict:
        """Run it over the files. said_of: what the verdict is about."""
        done = _run([*self.command, *map(str, files)])
        if done is None:
            return Verdict(file=said_of, judge=self.name, outcome=Outcome.BROKEN, faults=("it took too long",))
        begun = re.search(self.begins, done, re.MULTILINE)
        counted = done[begun.start() :] if begun else ""
        lines = [line.strip() for line in counted.splitlines() if not re.search(self.excused, line)]
        faults = tuple(line for line in lines if re.search(self.faults, line))
        warnings = tuple(line for line in lines if line not in faults and re.search(self.warnings, line))
        unsaid = [words for words in self._last_words(files) if not re.search(words, done, re.MULTILINE)]
        if faults:
            outcome = Outcome.SHORT
        elif unsaid:
            outcome, faults = Outcome.BROKEN, (f"it did not say what it says at its end; it said: {_end(done)}",)
        else:
            outcome = Outcome.PASS
        return Verdict(file=said_of, judge=self.name, outcome=outcome, faults=faults, warnings=warnings)

    def _last_words(self, files: Sequence[Path]) -> list[str]:
        """The patterns, with "{file}" for each of the files."""
        return [words.replace("{file}", re.escape(str(file))) for words in self.last_words for file in files]


def _is_report(sop_class_uid: str) -> bool:
    """A structured report with a content tree of a template (PS3.4 B.5)."""
    return sop_class_uid.startswith(_SR_CLASSES) and sop_class_uid != _KEY_OBJECTS


DCIODVFY = Judge(
    name="dciodvfy",
    judges=lambda _: True,
    command=("dciodvfy", "-new"),
    needs={"dciodvfy": "dicom3tools"},
    last_words=(r"^[A-Z]\w+$",),  # the name of the IOD it recognised, alone on a line
    faults=r"^Error|^Abort",
    warnings=r"^Warning",
)
SR_VALIDATOR = Judge(
    name="DicomSRValidator",
    judges=lambda uid: uid.startswith(_SR_CLASSES),
    # Java 17 limits XPath expressions to fewer operators than the templates have, unless told otherwise
    command=(
        "java",
        "-Djdk.xml.xpathExprGrpLimit=0",
        "-Djdk.xml.xpathExprOpLimit=0",
        "-Djdk.xml.xpathTotalOpLimit=0",
        "-XX:TieredStopAtLevel=1",  # a short-lived program: the optimising compiler costs more than it gains
        "-XX:+UseSerialGC",
        "-cp",
        str(_PIXELMED),
        "com.pixelmed.validate.DicomSRValidator",
    ),
    needs={"java": "default-jre-headless", str(_PIXELMED): "libpixelmed-java"},
    last_words=(r"^Found Root Template", r"^IOD validation complete"),
    faults=r"^Error|Internal Error|[Ii]llegal relationship",
    warnings=r"^Warning",
)
DSRDUMP = Judge(
    name="dsrdump",
    judges=lambda uid: uid.startswith(_SR_CLASSES),
    command=("dsrdump", "-Ec", "-Er"),
    needs={"dsrdump": "dcmtk"},
    last_words=(r"^<CONTAINER:",),  # the tree's root; it prints no tree that it cannot read
    faults=r"^[EF]: |^W: (?!The VR checker|Check for template)",
    excused=r"^W: (The VR checker does not support|Check for template constraints not yet)",
)
DCMPSCHK = Judge(
    name="dcmpschk",
    judges=lambda uid: uid == GrayscaleSoftcopyPresentationStateStorage,
    command=("dcmpschk", "-v"),
    needs={"dcmpschk": "dcmtk"},
    last_words=(r"Pass 3 - Semantic Check", r"Test (passed|failed)"),
    # the passes before it take every letter outside ASCII for a fault, in whatever character set
    begins=r"Pass 3 - Semantic Check",
    faults=r"^[EF]: |^W: (?!Testing:|Test failed)",
    warnings=r"(?!)",
)
DCENTVFY = Judge(
    name="dcentvfy",
    judges=lambda _: True,
    command=("dcentvfy", "-v"),
    needs={"dcentvfy": "dicom3tools"},
    last_words=(r"^{file} Done processing", r"^Checking IE Patient"),
    faults=r"^Error|^Abort",
    warnings=r"^Warning",
)
OF_A_FILE = (DCIODVFY, SR_VALIDATOR, DSRDUMP, DCMPSCHK)
OUTSIDE = (*OF_A_FILE, DCENTVFY)
OWN = "mammo-node"


@dataclass(frozen=True, slots=True)
class Judged:
    """A file to judge: its SOP class, and its study."""

    path: Path
    sop_class_uid: str
    study_instance_uid: str


def install(judges: Sequence[Judge]) -> str:
    """The command that installs what these judges lack; "" when nothing is missing."""
    packages = sorted({package for judge in judges for package in judge.missing})
    return f"{_INSTALL} {' '.join(packages)}" if packages else ""


def of_file(file: Judged, judges: Sequence[Judge], images: Mapping[str, Dataset]) -> list[Verdict]:
    """Every word on one file. images: headers of what it may have been made from, by SOP Instance UID."""
    fit = [judge for judge in judges if judge in OF_A_FILE and judge.judges(file.sop_class_uid)]
    verdicts = [judge.judge([file.path], str(file.path)) for judge in fit]
    rule = _OWN_RULES.get(file.sop_class_uid, _report_faults if _is_report(file.sop_class_uid) else None)
    return [*verdicts, _own(file, images, rule)] if images and rule is not None else verdicts


def of_study(study: str, files: Sequence[Path], judges: Sequence[Judge]) -> list[Verdict]:
    """Whether the files of a study agree on patient, study, series and equipment."""
    return [judge.judge(files, study) for judge in judges if judge is DCENTVFY and len(files) > 1]


def _report_faults(dataset: Dataset, sources: Sequence[Dataset]) -> list[str]:
    return _assertions.check(dataset, sources)


def _capture_faults(dataset: Dataset, sources: Sequence[Dataset]) -> list[str]:
    """Of an overlay, which names the view it shows; or of the summary card, which shows several."""
    if "ViewCodeSequence" in dataset:
        return overlay_faults(dataset, sources[0])
    faults = []
    if {str(source.StudyInstanceUID) for source in sources} != {str(dataset.StudyInstanceUID)}:
        faults.append("Study Instance UID is not that of its sources")
    if len(dataset.PixelData) != dataset.Rows * dataset.Columns * 3:
        faults.append("the pixel data are not Rows × Columns × 3 bytes")
    if dataset.BurnedInAnnotation != "YES":
        faults.append("the annotation is burned in and not said to be")
    return faults


#: Besides the structured reports: SOP class → what no outside judge sees in it.
_OWN_RULES: dict[str, Callable[[Dataset, Sequence[Dataset]], list[str]]] = {
    GrayscaleSoftcopyPresentationStateStorage: presentation_faults,
    SecondaryCaptureImageStorage: _capture_faults,
}


def _own(
    file: Judged, images: Mapping[str, Dataset], rule: Callable[[Dataset, Sequence[Dataset]], list[str]]
) -> Verdict:
    """Coordinates in the image, percentages, tracking, that words and numbers agree."""
    dataset = dcmread(file.path)
    sources = [images[uid] for uid in _references(dataset) if uid in images]
    if not sources:
        told = ("none of the images it names is among --images",)
        return Verdict(file=str(file.path), judge=OWN, outcome=Outcome.BROKEN, faults=told)
    try:
        faults = tuple(rule(dataset, sources))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        faults = (f"it is not built as this node builds it: {type(error).__name__}: {error}",)
    outcome = Outcome.SHORT if faults else Outcome.PASS
    return Verdict(file=str(file.path), judge=OWN, outcome=outcome, faults=faults)


def _references(dataset: Dataset) -> list[str]:
    """Every instance that is referred to, once: of a report in the order of its evidence (PS3.3 C.17.2)."""
    places = dataset.get("CurrentRequestedProcedureEvidenceSequence") or [dataset]
    elements = (element for place in places for element in place.iterall())
    return list(dict.fromkeys(str(each.value) for each in elements if each.keyword == "ReferencedSOPInstanceUID"))


def images_of(paths: Sequence[Path]) -> dict[str, Dataset]:
    """Headers of the mammography images among the files, by SOP Instance UID."""
    found: dict[str, Dataset] = {}
    for path in paths:
        try:
            header = dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError):
            continue
        if View.from_dataset(header).modality == "MG":
            found[str(header.SOPInstanceUID)] = header
    return found


def _run(command: Sequence[str]) -> str | None:
    """A program's whole output; None when it took too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout + done.stderr


def _end(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[0][:160] if lines else "nothing"

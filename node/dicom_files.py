"""DICOM files that a person names: files, or folders with everything below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from node.destinations import Outgoing
from node.errors import ConfigError

_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR is a table of contents, not an instance
_UIDS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFile:
    """A file and what is in it."""

    path: Path
    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str

    @property
    def outgoing(self) -> Outgoing:
        """As something to send."""
        return Outgoing(sop_instance_uid=self.sop_instance_uid, sop_class_uid=self.sop_class_uid, path=self.path)


@dataclass(frozen=True, slots=True)
class Found:
    """DICOM files in the order of their names, and what else was there."""

    files: tuple[DicomFile, ...]
    others: tuple[Path, ...]

    def by_study(self) -> dict[str, list[DicomFile]]:
        """The files of each study."""
        studies: dict[str, list[DicomFile]] = {}
        for file in self.files:
            studies.setdefault(file.study_instance_uid, []).append(file)
        return studies


def find(paths: Iterable[Path]) -> Found:
    """Everything at `paths`. Raises ConfigError when a path is missing, or when there is no DICOM file at all."""
    files, others = [], []
    for path in _files(paths):
        file = dicom_file(path)
        if file is not None:
            files.append(file)
        else:
            others.append(path)
    if not files:
        raise ConfigError(f"no DICOM file is there ({len(others)} other files)")
    return Found(tuple(files), tuple(others))


def dicom_file(path: Path) -> DicomFile | None:
    """The file's UIDs, or None where it is no DICOM instance in a file (PS3.10)."""
    try:
        header = dcmread(path, specific_tags=_UIDS, stop_before_pixels=True)
        found = _of(path, header)
    except (InvalidDicomError, OSError, ValueError, AttributeError, EOFError):
        return None
    return None if found.sop_class_uid == _MEDIA_DIRECTORY else found


def _of(path: Path, header: Dataset) -> DicomFile:
    return DicomFile(
        path=path,
        study_instance_uid=str(header.StudyInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        sop_instance_uid=str(header.SOPInstanceUID),
    )


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file())
        elif path.is_file():
            yield path
        else:
            raise ConfigError(f"{path}: there is no such file or folder")

"""A small disk that fills up: a tmpfs of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import absent


class SmallDisk:
    """A file system of a few megabytes and few files at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leaving: int) -> None:
        """Leave only so many bytes free."""
        free = shutil.disk_usage(self.folder).free
        with (self.folder / "filling").open("wb") as file:
            file.write(b"\0" * max(0, free - leaving))

    def use_up_files(self, leaving: int) -> None:
        """Leave room for only so many more files and folders."""
        (self.folder / "fillings").mkdir()
        for number in range(os.statvfs(self.folder).f_ffree - leaving):
            (self.folder / "fillings" / str(number)).touch()

    def clear(self) -> None:
        """Make room again."""
        (self.folder / "filling").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "fillings", ignore_errors=True)


@contextmanager
def small_disk(folder: Path, megabytes: int = 8, files: int = 200) -> Iterator[SmallDisk]:
    """The disk, for the length of the block."""
    if os.geteuid() != 0:
        absent("a small disk can only be mounted by root")
    folder.mkdir(parents=True)
    options = f"size={megabytes}m,nr_inodes={files}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, timeout=20)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=20)

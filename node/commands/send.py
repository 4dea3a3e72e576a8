"""Send DICOM files to a peer (C-STORE)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from node import console, dicom_files
from node.console import ConfigOption, ExitCode, JsonOption
from node.destinations import Sent
from node.dicom_files import DicomFile, Found
from node.dimse import scu
from node.peers import named_peer
from node.settings import Peer


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("send")(send)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSent:
    """What became of one file. status: the peer's DIMSE status, None when it gave none."""

    file: str
    sop_instance_uid: str
    ok: bool
    status: int | None
    error: str


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders with everything below them.")],
    to: Annotated[str, typer.Option("--to", help="A peer of the configuration, or AE_TITLE@HOST:PORT.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Send DICOM files to a peer (C-STORE), one association per study. Ends with 1 when any was not taken."""
    settings = console.configuration(config)
    peer = named_peer(settings, to)
    found = dicom_files.find(paths)
    told = []
    with console.progress() as progress:
        task = progress.add_task(f"sending to {to}", total=len(found.files))
        for each in _send(found, peer, settings.node.ae_title):
            told.append(each)
            progress.advance(task)
    failed = [each for each in told if not each.ok]
    if json:
        console.print_json({"sent": len(told) - len(failed), "failed": len(failed), "files": told})
    else:
        _show(told, failed, found)
    if failed:
        console.end(ExitCode.WRONG)


def _send(found: Found, peer: Peer, calling_ae_title: str) -> Iterator[FileSent]:
    for files in found.by_study().values():
        paths = iter(files)
        for sent in scu.store([file.outgoing for file in files], peer, calling_ae_title):
            yield _told(next(paths), sent)


def _told(file: DicomFile, sent: Sent) -> FileSent:
    return FileSent(
        file=str(file.path),
        sop_instance_uid=file.sop_instance_uid,
        ok=sent.error is None,
        status=sent.status,
        error=str(sent.error or ""),
    )


def _show(told: list[FileSent], failed: list[FileSent], found: Found) -> None:
    for each in failed:
        console.complain(f"{each.file}: {each.error}")
    others = f"; {len(found.others)} files that are not DICOM were left out" if found.others else ""
    console.say(f"{len(told) - len(failed)} of {len(told)} files sent, {len(found.by_study())} studies{others}")

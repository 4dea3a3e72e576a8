"""Make synthetic screening exams as DICOM files, with the truth about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ai.exam import STANDARD_VIEWS, ImageLaterality
from ai.findings import BreastComposition
from ai.phantom import VENDOR_LOOKS, ExamSpec, Identity, Lesion, LesionKind, place
from node import console
from node.console import JsonOption
from node.errors import ConfigError
from node.simulator import exams, scenarios
from node.simulator.exams import MadeExam

_SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "jpeg-lossless": JPEGLosslessSV1,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
    "htj2k": HTJ2KLossless,
    "rle": RLELossless,
}
_VIEWS = {str(view).replace(" ", "-"): view for view in STANDARD_VIEWS}
_VENDORS = {look.name: look for look in VENDOR_LOOKS}
_T = TypeVar("_T")

_Out = Annotated[Path, typer.Option("--out", help="Folder; each exam gets one of its own below it.")]
_Scenario = Annotated[
    list[str] | None,
    typer.Option("--scenario", help="An exam of the demonstration, by a part of its name, or all; may be repeated."),
]
_Seed = Annotated[int, typer.Option("--seed", help="The same seed and options give the same exam.")]
_Lesion = Annotated[
    list[LesionKind] | None,
    typer.Option("--lesion", case_sensitive=False, help="What grows in her; may be repeated."),
]
_Side = Annotated[
    ImageLaterality | None, typer.Option("--side", help="The breast with the lesions; by default the seed decides.")
]
_Density = Annotated[BreastComposition, typer.Option("--density", help="Breast composition.")]
_Vendor = Annotated[str, typer.Option("--vendor", help=f"Make of system: {', '.join(_VENDORS)}.")]
_Syntax = Annotated[str, typer.Option("--transfer-syntax", help=f"One of {', '.join(_SYNTAXES)}.")]
_Implant = Annotated[bool, typer.Option("--implant", help="With breast implants.")]
_Raw = Annotated[bool, typer.Option("--with-raw", help="Each image also For Processing.")]
_Omit = Annotated[list[str] | None, typer.Option("--omit", help="A view that was not taken, e.g. L-MLO; repeatable.")]
_Repeat = Annotated[str | None, typer.Option("--repeat", help="A view taken twice, e.g. R-CC; the second is late.")]
_PatientName = Annotated[str, typer.Option("--patient-name", help="DICOM PN, e.g. Lind^Astrid; written in UTF-8.")]
_PatientId = Annotated[str, typer.Option("--patient-id", help="By default SYN- and the seed.")]
_Priors = Annotated[int, typer.Option("--priors", min=0, max=5, help="Earlier screening rounds of her, as well.")]
_Pitch = Annotated[float | None, typer.Option("--pitch-mm", help="Coarser pixels than the system's, for quick trials.")]


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("simulate-exam")(simulate_exam)


def simulate_exam(
    *,
    out: _Out,
    scenario: _Scenario = None,
    seed: _Seed = 1,
    lesion: _Lesion = None,
    side: _Side = None,
    density: _Density = BreastComposition.B,
    vendor: _Vendor = "fjordlys",
    transfer_syntax: _Syntax = "explicit",
    implant: _Implant = False,
    with_raw: _Raw = False,
    omit: _Omit = None,
    repeat: _Repeat = None,
    patient_name: _PatientName = "Synthetic^Woman",
    patient_id: _PatientId = "",
    priors: _Priors = 0,
    pitch_mm: _Pitch = None,
    json: JsonOption = False,
) -> None:
    """Make a synthetic screening exam (or the demonstration's) as DICOM files, with truth.json beside them."""
    if scenario:
        specs = scenarios.chosen(seed, scenario)
    else:
        spec = ExamSpec(
            name=f"exam {seed}",
            seed=seed,
            identity=Identity(
                patient_name=patient_name, patient_id=patient_id or f"SYN-{seed:05d}", character_set="ISO_IR 192"
            ),
            density=density,
            lesions=tuple(_lesions(seed, lesion or (), side)),
            implant=implant,
            look=_one_of(_VENDORS, vendor, "--vendor"),
            transfer_syntax_uid=_one_of(_SYNTAXES, transfer_syntax, "--transfer-syntax"),
            omitted=tuple(_one_of(_VIEWS, view, "--omit") for view in omit or ()),
            repeated=_one_of(_VIEWS, repeat, "--repeat") if repeat else None,
            with_for_processing=with_raw,
        )
        specs = [spec, *(spec.earlier_round(number) for number in range(1, priors + 1))]
    _make([replace(spec, pitch_mm=pitch_mm) for spec in specs], out, json)


def _lesions(seed: int, kinds: Sequence[LesionKind], side: ImageLaterality | None) -> Iterator[Lesion]:
    for number, kind in enumerate(kinds):
        yield place(kind, seed=seed, number=number, image_laterality=side)


def _one_of(table: Mapping[str, _T], name: str, option: str) -> _T:
    if name not in table:
        raise ConfigError(f"{option} {name}: there is {', '.join(table)}")
    return table[name]


def _make(specs: Sequence[ExamSpec], out: Path, json: bool) -> None:
    made: list[MadeExam] = []
    with console.progress() as progress:
        task = progress.add_task("making exams", total=len(specs))
        for exam in exams.make_all(specs, out):
            made.append(exam)
            progress.advance(task)
    if json:
        console.print_json(made)
        return
    for exam in made:
        console.say(f"{exam.images[0].path.parent}: {exam.name}, {len(exam.images)} images, {exam.truth}")

"""Train a model on a cohort table and its images, or on synthetic exams, and write its bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from ai import cohort
from ai.cohort import CohortError
from ai.models import ModelCard
from ai.models.demo_net import CARD
from ai.training import table
from ai.training.fit import CheckpointError, FitSettings
from ai.training.make import Material, Sizes, make_bundle, synthetic
from ai.training.table import Prepared
from ai.training.world import World
from node import console
from node.console import ExitCode, JsonOption
from node.errors import ConfigError

_LABELLING = "Research. Trained on one site's own exams. Not for clinical use."


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("train")(train)


_Table = Annotated[
    Path | None, typer.Argument(help="Cohort table, CSV or Parquet, with the columns images and outcome.")
]
_Out = Annotated[Path, typer.Option("--out", help="The bundle's folder; curves.png lies beside the bundle's files.")]
_Synthetic = Annotated[
    float | None,
    typer.Option("--synthetic", min=0.001, max=100, help="Instead of a table: drawn exams, 1 for the usual numbers."),
]
_Seed = Annotated[int, typer.Option("--seed", help="The same seed and exams give the same model on one machine.")]
_USUAL_STEPS = FitSettings().steps
_Steps = Annotated[int, typer.Option("--steps", min=1, help="Steps of the fit.")]
_Patience = Annotated[
    int, typer.Option("--patience", min=0, help="Stop after so many looks without a better model; 0: never.")
]
_Precision = Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16, on a GPU.")]
_Device = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:N; under torchrun, cuda is a GPU each.")]
_ReaderWeight = Annotated[
    float, typer.Option("--reader-weight", min=0, max=0.9, help="Share of a label that is what the readers saw.")
]
_Cache = Annotated[Path | None, typer.Option("--cache", help="Folder of prepared images; by default OUT.cache.")]
_Name = Annotated[str, typer.Option("--name", help="The model's name on its card.")]
_Version = Annotated[str, typer.Option("--model-version", help="The model's version on its card.")]


@dataclass(frozen=True, slots=True)
class _Order:
    """What is asked for."""

    path: Path | None
    out: Path
    synthetic: float | None
    seed: int
    settings: FitSettings
    reader_weight: float
    cache: Path
    name: str
    version: str


def train(
    cohort_table: _Table = None,
    *,
    out: _Out = Path("bundle"),
    drawn: _Synthetic = None,
    seed: _Seed = 7,
    steps: _Steps = _USUAL_STEPS,
    patience: _Patience = 0,
    precision: _Precision = "fp32",
    device: _Device = "cpu",
    reader_weight: _ReaderWeight = 0.2,
    cache: _Cache = None,
    name: _Name = "",
    model_version: _Version = "1",
    json: JsonOption = False,
) -> None:
    """Train a model on a cohort table and its images, or on synthetic exams, and write its bundle.

    Interrupted, it goes on from OUT.checkpoint when it is called again. Several GPUs: torchrun -m node.cli train ….
    Ends with 1 when exams of the table could not be used, 2 when the table or the options cannot.
    """
    if (cohort_table is None) is (drawn is None):
        raise ConfigError("give either a cohort table or --synthetic")
    if precision not in ("fp32", "bf16", "fp16"):
        raise ConfigError(f"--precision: value '{precision}' is not allowed; allowed: fp32, bf16, fp16")
    settings = FitSettings(steps=steps, patience=patience, precision=precision, evaluate_every=max(1, steps // 10))  # type: ignore[arg-type]
    kept = cache or out.with_name(f"{out.name}.cache")
    order = _Order(cohort_table, out, drawn, seed, settings, reader_weight, kept, name, model_version)
    try:
        world = World.joined(device)
    except ValueError as error:
        raise ConfigError(f"--device: {error}") from error
    try:
        card, prepared = _trained(order, world)
    except (CohortError, CheckpointError, ValueError) as error:
        raise ConfigError(str(error)) from error
    finally:
        world.leave()
    if card is not None:
        _tell(card, prepared, order, json=json)
    if prepared is not None and prepared.refusals:
        console.end(ExitCode.WRONG)


def _trained(order: _Order, world: World) -> tuple[ModelCard | None, Prepared | None]:
    with console.progress() as progress:
        material, prepared = _material(order, progress)
        bar = progress.add_task("fitting", total=order.settings.steps)

        def report(step: int, loss: float) -> None:
            progress.update(bar, completed=step, description=f"fitting, loss {loss:.3f}")

        card = make_bundle(
            order.out,
            material,
            card=_card(order, prepared),
            version=f"{'synthetic' if order.path is None else order.path.stem}-{order.seed}",
            seed=order.seed,
            settings=order.settings,
            world=world,
            report=report,
            checkpoint=order.out.with_name(f"{order.out.name}.checkpoint"),
        )
    return card, prepared


def _material(order: _Order, progress: Progress) -> tuple[Material, Prepared | None]:
    if order.path is None:
        usual, times = Sizes(), order.synthetic or 1.0
        sizes = Sizes(**{each: max(2, round(getattr(usual, each) * times)) for each in usual.__slots__})
        bar = progress.add_task("drawing", total=None)
        material = synthetic(order.seed, sizes, order.cache)
        progress.remove_task(bar)
        return material, None
    rows = cohort.read(order.path, table.NEEDED)
    bar = progress.add_task("preparing images", total=rows.height)
    prepared = table.prepare(
        rows,
        order.path.parent,
        seed=order.seed,
        reader_weight=order.reader_weight,
        cache=order.cache,
        done=lambda count: progress.update(bar, completed=count),
    )
    parts = prepared.parts
    missing = [name for name, exams in parts.items() if not exams]
    if missing:
        why = "; ".join(f"{why}: {count}" for why, count in prepared.tally.most_common())
        raise ConfigError(
            f"{order.path}: no usable exam falls to {', '.join(missing)}; more women are needed"
            + (f" (not usable: {why})" if why else "")
        )
    healthy = tuple(exam for exam in (*parts["tuning"], *parts["test"]) if not exam.cancer)
    material = Material(
        training=parts["training"],
        tuning=parts["tuning"],
        reference=healthy,
        test=parts["test"],
        what="exams of women kept apart",
    )
    return material, prepared


def _card(order: _Order, prepared: Prepared | None) -> ModelCard:
    card = CARD
    if prepared is None:
        return card.model_copy(update={"name": order.name or card.name, "version": order.version})
    counts = ", ".join(f"{len(exams)} {name}" for name, exams in prepared.parts.items())
    women = len({exam.woman_id for exams in prepared.parts.values() for exam in exams})
    return card.model_copy(
        update={
            "name": order.name or "model trained on this site's exams",
            "version": order.version,
            "manufacturer": "the site that trained it",
            "intended_use": "Research by the site whose exams it was trained on.",
            "labelling": _LABELLING,
            "training_data": f"{sum(map(len, prepared.parts.values()))} exams of {women} women ({counts}); "
            f"{len(prepared.refusals)} could not be used.",
            "weights_source": "mammo-node train",
        }
    )


def _tell(card: ModelCard, prepared: Prepared | None, order: _Order, *, json: bool) -> None:
    refusals = list(prepared.refusals) if prepared is not None else []
    if json:
        console.print_json({"bundle": str(order.out), "card": card.model_dump(), "refusals": refusals})
        return
    console.say(f"{order.out}: {card.name} {card.version}, weights {card.weights_sha256[:16]}", style="bold")
    for sentence in card.performance:
        console.say(f"  {sentence}")
    console.say(f"  curves: {order.out / 'curves.png'}")
    if prepared is not None and refusals:
        lines = [(why, count) for why, count in prepared.tally.most_common()]
        console.out().print(console.rows(console.table("not used because", "exams", right=["exams"]), lines))

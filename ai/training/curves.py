"""The way a fit went, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ai.training.fit import Moment


def draw(history: Sequence[Moment], path: Path) -> None:
    """Loss of training and tuning, and the area under the curve, against steps; a PNG."""
    figure = Figure(figsize=(9, 4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    loss, area = figure.subplots(1, 2)
    steps = [moment.step for moment in history]
    loss.plot(steps, [moment.loss for moment in history], marker="o", label="training loss")
    loss.plot(steps, [moment.tuning_loss for moment in history], marker="o", label="tuning, cross-entropy")
    loss.set(xlabel="step", ylabel="loss")
    loss.legend()
    area.plot(steps, [moment.auc for moment in history], marker="o", color="tab:green")
    area.set(xlabel="step", ylabel="AUC of the tuning exams", ylim=(0.4, 1.0))
    for axes in (loss, area):
        axes.grid(alpha=0.3)
    figure.savefig(path)

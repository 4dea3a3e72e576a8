"""Calibration proposals for tests that are not about how they come about."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ai.calibration import OperatingPoints, ReferenceWindow
from ai.findings import Stratum
from ai.proposals import Proposal, ScoredExam, propose
from node.calibrations import ServedModel


def proposal_of(scores: NDArray[np.float64], stratum: Stratum, model: ServedModel, *, based_on: str = "") -> Proposal:
    """A window of these scores for a stratum. based_on: the calibration that counts; "": the model's own."""
    exams = [ScoredExam(str(number), stratum, float(score)) for number, score in enumerate(scores)]
    return Proposal(
        made_at=datetime.now(UTC),
        made_by="somebody",
        software_version="1",
        source="a test",
        data_sha256="0" * 64,
        model_name=model.name,
        model_version=model.version,
        weights_sha256=model.weights_sha256,
        scale=model.calibration.scale,
        based_on=based_on or model.calibration.version,
        pooled=ReferenceWindow.of(scores),
        strata=(propose(exams, model.calibration, OperatingPoints()),),
    )

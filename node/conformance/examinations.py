"""What is taken from a RIS and from modalities: the worklist as user, performed procedure steps as provider."""

from __future__ import annotations

from node.conformance.document import Bullets, Section, Table
from node.conformance.facts import Facts, number
from node.dimse import scp
from node.dimse.worklist import RETURNED, STEP_RETURNED
from node.examinations.performed import DuplicateStep, FinalStep, InvalidStep, NoSuchStep


def sections(facts: Facts) -> tuple[Section, ...]:
    """A section for each."""
    return (_worklist(facts), _performed())


def _worklist(facts: Facts) -> Section:
    settings = facts.config.worklist
    peer = "no peer is asked" if settings.peer is None else f"the peer {settings.peer} is asked"
    stations = ", ".join(settings.station_ae_titles) or "all"
    return Section(
        "Modality Worklist as user",
        (
            Bullets(
                (
                    f"In this configuration {peer}, at the start and every {number(settings.every_s)} s.",
                    f"Matching keys: Scheduled Procedure Step Start Date (today), Modality ({settings.modality}), "
                    f"Scheduled Station AE Title ({stations}).",
                    f"Return keys: {', '.join((*RETURNED, *STEP_RETURNED))}.",
                    "An exam whose Requested Procedure Priority is one of "
                    f"{', '.join(settings.urgent_priorities) or '(none)'} is read before others.",
                    "An exam whose Patient ID, issuer or Accession Number is not that of the item with its Study "
                    "Instance UID is held for a person, and no result of it is sent.",
                    f"A scheduled exam of which nothing came {number(settings.missing_after_s)} s after its time is "
                    "told as missing. An item without a valid Study Instance UID, step ID or time is left out.",
                )
            ),
        ),
    )


def _performed() -> Section:
    statuses = (
        (scp.SUCCESS, "kept, durable"),
        (InvalidStep.dimse_status, "a UID or the status is missing or not allowed; N-CREATE must say IN PROGRESS"),
        (DuplicateStep.dimse_status, "N-CREATE under a UID that is there"),
        (NoSuchStep.dimse_status, "N-SET under a UID that is not there"),
        (FinalStep.dimse_status, "N-SET of a step that is COMPLETED or DISCONTINUED; or an internal error"),
    )
    return Section(
        "Modality Performed Procedure Step as provider",
        (
            Bullets(
                (
                    "N-CREATE and N-SET are taken of every caller that may store.",
                    "COMPLETED: when all images of its Performed Series Sequence are here, the exam is whole and is "
                    "read without waiting for more. Until then the usual waiting times count.",
                    "DISCONTINUED: told in the exam's history with the coded reason; what came is read as usual.",
                    "Kept of a step: study, state, station, images, coded reason. Steps are not forwarded.",
                )
            ),
            Table("Statuses", ("Status", "When"), tuple((f"0x{code:04X}", when) for code, when in statuses)),
        ),
    )

"""IHE integration profiles: what is claimed, and why not what is not."""

from __future__ import annotations

from node.conformance.document import Section, Table
from node.conformance.facts import Facts

_COMMITMENT = "Storage commitment is asked for by destinations with `commitment: true`"
_UNTRIED = "Not tried at a Connectathon; options of the profile were not gone through one by one."


def section(facts: Facts) -> Section:
    """A row for each profile that a breast-screening site may ask for."""
    return Section(
        "IHE integration profiles",
        (
            "No profile is claimed: a claim is of an actor with all transactions that the profile requires of it.",
            Table("IHE profiles", ("Profile", "Actor", "Claimed", "What is there", "What is missing"), _rows(facts)),
        ),
    )


def _rows(facts: Facts) -> tuple[tuple[str, ...], ...]:
    kinds = {example.kind for example in facts.examples}
    report = (
        "Results as SR by TID 1500 with algorithm identification, tracking and regions"
        if "measurement_sr" in kinds
        else ""
    )
    cad = "Results as Mammography CAD SR" if "mammography_cad_sr" in kinds else ""
    rejection = "Rejection notes are made" if "rejection_note" in kinds else ""
    return (
        ("AI Results (AIR)", "Evidence Creator", "no", _all(report, _COMMITMENT), _UNTRIED),
        ("Mammography Image (MAMMO), CAD", "Evidence Creator", "no", _all(cad, _COMMITMENT), _UNTRIED),
        (
            "AI Workflow for Imaging (AIW-I)",
            "Task Performer",
            "no",
            "Items pushed to the product (UPS, UPS-RS), and items pulled from another Task Manager's worklist, are "
            "claimed, performed, and completed with their outputs, or canceled with a reason; it is the Task Manager "
            "of its own worklist, and tells subscribers",
            "No Task Manager of another maker was tried.",
        ),
        (
            "Imaging Object Change Management (IOCM)",
            "Change Requester",
            "no",
            _all(rejection, _COMMITMENT),
            "What the archive makes of a rejection is not followed."
            if rejection
            else "Rejection notes; a new revision only names what it replaces.",
        ),
        (
            "Scheduled Workflow (SWF.b)",
            "Evidence Creator",
            "no",
            _all("Query and retrieve of earlier exams", _COMMITMENT),
            "Performed procedure steps of its own work.",
        ),
        (
            "Audit Trail and Node Authentication (ATNA)",
            "Secure Node",
            "no",
            "[[Audit trail]], TLS",
            "Consistent Time.",
        ),
        (
            "Consistent Time (CT)",
            "Time Client",
            "no",
            "Times are of the host's clock, with Timezone Offset From UTC",
            "The host's clock is the site's to keep.",
        ),
    )


def _all(*there: str) -> str:
    return "; ".join(each for each in there if each)

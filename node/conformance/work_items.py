"""Unified procedure steps: the worklist that the product manages, and what of it the product performs."""

from __future__ import annotations

from node.conformance.document import Bullets, Section, Table
from node.conformance.facts import Facts, number
from node.dimse import ups
from node.ups import faults, states
from node.ups.faults import WorkitemRefused
from node.web.ups import SUBSCRIBER, WORKITEM


def section(facts: Facts) -> Section:
    """The one for both ways."""
    return Section(
        "Unified procedure steps as provider",
        (
            "One worklist with one state machine (PS3.4 CC.1.1) answers over DIMSE and over UPS-RS. Items, claims, "
            "subscriptions and reports that were not taken yet survive a restart.",
        ),
        (_worklist(), _performer(facts), _elsewhere(facts), _events(facts), _statuses()),
    )


def _worklist() -> Section:
    return Section(
        "The worklist",
        (
            Bullets(
                (
                    "N-CREATE, N-SET, N-GET, N-ACTION (types 1 to 5) and C-FIND, in contexts of UPS Push, Pull, Watch "
                    "and Query; the SOP Class UID of an item is always that of UPS Push.",
                    "A new item must be SCHEDULED and have Scheduled Procedure Step Priority, Procedure Step Label, "
                    "Scheduled Procedure Step Start DateTime and Input Readiness State. Attributes of type 2 that are "
                    f"missing are added without a value (0x{states.CREATED_WITH_MODIFICATIONS:04X}).",
                    "The Transaction UID is never given out. A second claim is refused. Patient, SOP Instance UID and "
                    "state are not changed by N-SET. A sequence that is set replaces the whole sequence.",
                    "COMPLETED requires Performed Station Name and Workitem Codes, start, end, and an Output "
                    "Information Sequence; CANCELED a Discontinuation Reason Code. The time of cancellation is added.",
                    "A request to cancel cancels an item that nobody has claimed or that the product performs. To "
                    "another performer it is reported; where nobody is subscribed to the item it fails.",
                    "Every attribute can be matched and returned. Items are in the order of their creation.",
                )
            ),
        ),
    )


def _performer(facts: Facts) -> Section:
    settings = facts.config.ups
    codes = tuple((each.value, each.scheme, each.meaning) for each in settings.workitem_codes)
    performs = "It performs" if settings.performs else "In this configuration it performs nothing; it would perform"
    return Section(
        "The product as performer",
        (
            f"{performs} items with one of these Scheduled Workitem Codes, whose Scheduled Station Name Code Sequence "
            f"is empty or names {facts.config.node.ae_title}. Items of other codes are kept for others.",
            Table("Scheduled Workitem Codes performed", ("Code", "Scheme", "Meaning"), codes),
            Table(
                "Input of an item",
                ("Attribute", "What is taken of it"),
                (
                    ("Input Readiness State", "claimed when READY"),
                    ("Scheduled Procedure Step Start DateTime", "claimed when it has come"),
                    ("Input Information Sequence", "one study; of several, the one that Study Instance UID names"),
                    (
                        "Referenced SOP Sequence",
                        "must be here; then nothing more is waited for. Empty: the exam is whole as usual",
                    ),
                    ("DICOM Retrieval Sequence", "AE titles among the peers are asked for what is not here"),
                    ("Patient ID, Issuer of Patient ID", "where given, those of the study, else canceled"),
                ),
            ),
            Bullets(
                (
                    "What is missing is retrieved (C-MOVE or C-GET) from the peers named, else from those asked for "
                    f"earlier exams; the item is canceled {number(settings.input_wait_s)} s after the claim.",
                    "COMPLETED: the exam is read and every result object is at its destinations. The Output "
                    "Information Sequence names all of them, with the AE titles that have them.",
                    "An exam that is read already completes its item with those results; it is not read again.",
                    "CANCELED, with Reason For Cancellation and a Discontinuation Reason Code: NOT_READ (and why; the "
                    "objects that say so are named as output), INPUT_NOT_HERE, NO_INPUT, NOT_OFFERED, NOT_ROUTED, "
                    "PATIENT_CONFLICT, or the exam has needed a person for too long. An exam that was not read never "
                    "completes an item.",
                )
            ),
        ),
    )


def _elsewhere(facts: Facts) -> Section:
    settings = facts.config.ups
    named = ", ".join(settings.managers) or "none in this configuration"
    return Section(
        "The product as user of another worklist",
        (
            f"Managers asked: {named}; every {number(settings.every_s)} s, by C-FIND in a context of UPS Pull.",
            Bullets(
                (
                    "Asked for: SCHEDULED, READY, and each Scheduled Workitem Code above. What names another station, "
                    f"or has not begun, is left to others; at most {settings.most_claimed} items are open at a time.",
                    "Claimed by N-ACTION and read by N-GET; the product subscribes to it (UPS Watch). Progress and end "
                    "are told by N-SET and N-ACTION under the claim's Transaction UID, in order, and again when the "
                    "manager is back.",
                    "A UPS Cancel Requested report from the manager, which must be a caller with the right `ups`, ends "
                    "the item as CANCELED.",
                    "The Transaction UID is stored before the claim: where the answer to it was lost, an N-SET shows "
                    "whether the claim was the product's.",
                )
            ),
        ),
    )


def _events(facts: Facts) -> Section:
    return Section(
        "Event reports",
        (
            Bullets(
                (
                    "To the worklist, filtered by matching keys, or to one item; with deletion locks. A final item is "
                    f"kept {number(facts.config.ups.kept_days)} days, and as long as somebody has a lock on it.",
                    "UPS State Report, Cancel Requested, Progress Report and Assigned; SCP Status Change is not "
                    "reported. A new subscriber hears the state of each item.",
                    "Subscriptions over DIMSE are of peers of the configuration, and told by N-EVENT-REPORT on an "
                    "association of the product, in the role of provider (UPS Event). Those of UPS-RS are told over a "
                    "websocket at /ws/subscribers/{AE title}, which a subscription's Content-Location names.",
                    "Reports keep their order and wait for a subscriber that cannot be reached, at most "
                    f"{number(facts.config.ups.told_for_s)} s. They name no patient.",
                )
            ),
        ),
    )


def _statuses() -> Section:
    known = [each for each in vars(faults).values() if isinstance(each, type) and issubclass(each, WorkitemRefused)]
    refused = sorted((each for each in known if each is not WorkitemRefused), key=lambda each: each.dimse_status)
    rows = [
        (f"0x{each.dimse_status:04X}", str(each.http_status), str(each.__doc__).partition(" (0x")[0], each.warning)
        for each in refused
    ]
    warned = [(f"0x{code:04X}", "200 to 202", "Warning, done or done already", text) for code, text in _warnings()]
    others = [
        (f"0x{states.SUCCESS:04X}", "200 to 202", "Done, and durable", ""),
        (f"0x{ups.ATTRIBUTES_LEFT_OUT:04X}", "", "N-GET: the item has not all attributes asked for", ""),
        ("0x0124", "403", "The caller, or the account, may not do this", ""),
        (f"0x{ups.RESOURCES:04X}", "503", "The database cannot be used at the moment", ""),
        (f"0x{ups.PROCESSING_FAILURE:04X}", "500", "A fault of the product", ""),
    ]
    head = ("DIMSE", "HTTP", "Meaning", "Warning header of UPS-RS")
    return Section(
        "Statuses",
        (
            Table("Statuses of work items", head, (*others, *warned, *rows)),
            f"UPS-RS takes and gives DICOM JSON, at `{WORKITEM}` and below; subscriptions at `{SUBSCRIBER}`.",
        ),
    )


def _warnings() -> list[tuple[int, str]]:
    return sorted(states.WARNINGS.items())

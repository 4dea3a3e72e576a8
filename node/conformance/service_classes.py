"""Services beside verification and storage: what of them is done, in which role, and how."""

from __future__ import annotations

from collections.abc import Iterator

from node import commitment
from node.conformance.document import Bullets, Section, Table
from node.conformance.facts import Facts, number, uid_name
from node.dimse import commitment as wire
from node.dimse import scp


def overview(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    """Rows of the table of network services."""
    used = _used(facts)
    for uid in scp.SERVICES:
        yield uid_name(uid), uid, "yes" if uid in used else "not in this configuration", "yes"


def sections(facts: Facts) -> tuple[Section, ...]:
    """A section for each service."""
    return (Section("Storage commitment", sections=(_commitment_provider(facts), _commitment_user(facts))),)


def _used(facts: Facts) -> set[str]:
    """Services that this configuration is a user of."""
    asks = any(each.commitment for each in facts.config.destinations.values())
    return {wire.SOP_CLASS} if asks else set()


def _commitment_provider(facts: Facts) -> Section:
    settings, days = facts.config.commitment, facts.config.storage.retention_days
    kept = "for ever" if days is None else f"until {days} days after the study's results are delivered"
    reasons = (
        (commitment.NO_SUCH_INSTANCE, "the product does not hold it"),
        (commitment.CLASS_CONFLICT, "it is held, and of another SOP class"),
        (commitment.PROCESSING_FAILURE, "its file is missing, or is not what was stored"),
    )
    return Section(
        "As provider",
        (
            Bullets(
                (
                    "An N-ACTION (Action Type 1) is stored before it is answered, and so survives a restart.",
                    "The N-EVENT-REPORT comes about a second later: on the association of the request while that is "
                    "open, else on a new one to the peer whose AE title asked, in the role of provider.",
                    f"Where it is not taken it is sent again after {number(settings.first_retry_s)} s, doubling up to "
                    f"{number(settings.max_retry_s)} s, {settings.max_attempts} times in all; then a person is shown.",
                    "Success means: indexed, and the file read through and found to be what was stored. It is a "
                    f"promise to keep the instance {kept}: the product is a work store and no archive, and a modality "
                    "must not delete on its word alone.",
                    "The same request under the same Transaction UID is answered again; another one under it is "
                    f"answered with 0x{wire.INVALID_ARGUMENT:04X}.",
                )
            ),
            Table(
                "Failure Reasons given",
                ("Failure Reason (0008,1197)", "When"),
                tuple((f"0x{code:04X}", when) for code, when in reasons),
            ),
        ),
    )


def _commitment_user(facts: Facts) -> Section:
    asking = {name: each for name, each in facts.config.destinations.items() if each.commitment}
    rows = [
        (
            name,
            each.peer or "",
            number(each.commitment_wait_s),
            number(each.commitment_silence_s),
            str(each.commitment_asks),
        )
        for name, each in asking.items()
    ]
    head = ("Destination", "Peer", "Wait on the association, s", "Silence before it is asked again, s", "Requests")
    return Section(
        "As user",
        (
            Table("Destinations that are asked", head, tuple(rows) or (("none", "", "", "", ""),)),
            Bullets(
                (
                    "All results of an exam that went to a destination are named in one request.",
                    "The answer is taken on the association of the request, or later on any association to the "
                    "product, also after a restart. One to an earlier request counts as well.",
                    "An instance in the Failed SOP Sequence is sent again, and asked for again.",
                    f"An answer with an unknown Transaction UID gets 0x{wire.INVALID_ARGUMENT:04X} and changes "
                    "nothing.",
                    "The silence doubles with each request; after the last one the delivery is shown to a person.",
                )
            ),
        ),
    )

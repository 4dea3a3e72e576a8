"""Network communication details: associations, presentation contexts, what is negotiated and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

from node.conformance.document import Bullets, Section, Table
from node.conformance.facts import VERIFICATION, Facts, named, number, uid_name
from node.dimse import scp, scu
from node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_RESULTS = {1: "rejected, permanent", 2: "rejected, transient"}
_SOURCES = {1: "service user", 2: "service provider (ACSE)", 3: "service provider (presentation)"}


def section(facts: Facts) -> Section:
    """Chapter 7."""
    return Section(
        "Network communication details",
        sections=(
            _general(),
            _acceptor(facts),
            _rejections(facts),
            _initiator(facts),
            _interfaces(),
            _character_sets(),
        ),
    )


def _general() -> Section:
    rows = (
        ("Application context", APPLICATION_CONTEXT),
        ("Implementation Class UID", str(IMPLEMENTATION_CLASS_UID)),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        ("Outstanding transactions on an association", "1; an asynchronous operations window is not negotiated"),
        ("SCP/SCU role selection", _roles()),
        ("SOP Class Extended and Common Extended Negotiation", "not used"),
        ("User identity", "not used, and not judged when offered"),
    )
    return Section("Both roles", (Table("Negotiation", ("Item", "Value"), rows),))


def _roles() -> str:
    services = ", ".join(map(uid_name, scp.SERVICES))
    return f"proposed and accepted for {services}; else not used: who opens the association is the user"


def _acceptor(facts: Facts) -> Section:
    network = facts.config.network
    rows = (
        ("Associations at the same time, in all", str(network.maximum_associations)),
        ("Associations at the same time, of one calling AE title", str(network.maximum_associations_per_caller)),
        ("Of all, kept for addresses that have none open", str(network.reserved_associations)),
        ("Largest PDU received, bytes", str(network.maximum_pdu_bytes)),
        ("Largest data set, bytes", str(network.max_object_bytes)),
        ("Wait for association messages (ACSE), s", number(network.association_timeout_s)),
        ("Wait for the rest of a DIMSE message, s", number(network.dimse_timeout_s)),
        ("Slowest message, bytes a second, once that time is up", number(network.minimum_bytes_per_s)),
        ("An idle association is aborted after, s", number(network.network_timeout_s)),
    )
    return Section(
        "As acceptor",
        (
            Table("Limits and times of the acceptor", ("Limit", "Value"), rows),
            "In a presentation context with several transfer syntaxes the first of this list that is proposed is "
            "taken; compressed ones come first, so that a sender that holds compressed images need not decompress "
            "them. Only lossless syntaxes are accepted.",
            Table(
                "Presentation contexts accepted",
                ("Abstract syntaxes", "Transfer syntax", "UID"),
                tuple(_accepted(facts)),
            ),
        ),
    )


def _accepted(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """One heading for all abstract syntaxes with the same transfer syntaxes, which follow in order."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for uid, syntaxes in facts.accepted.items():
        groups.setdefault(syntaxes, []).append(uid)
    for syntaxes, uids in groups.items():
        few = f"{len(uids)} storage SOP classes"
        storage = not {VERIFICATION, *scp.SERVICES} & set(uids)
        told = f"{few}: all of [[Storage as provider]]" if storage else named(uids)
        yield told, "", ""
        for position, syntax in enumerate(syntaxes, start=1):
            yield str(position), uid_name(syntax), syntax


def _rejections(facts: Facts) -> Section:
    called = ((1, 1, 7), "the called AE title is another one") if facts.config.require_called_ae_title else None
    reasons = (
        called,
        (scp.CALLING_NOT_RECOGNIZED, "the calling AE title, or the address it comes from, may not call"),
        (scp.LIMIT_EXCEEDED, "too many associations at the same time, in all or of this caller"),
    )
    rows = [
        (f"{code[0]}, {code[1]}, {code[2]}", f"{_RESULTS[code[0]]}; {_SOURCES[code[1]]}", why)
        for code, why in filter(None, reasons)
    ]
    return Section(
        "Rejected associations",
        (
            Table(
                "Why an association is rejected", ("Result, source, reason (PS3.8 9.3.4)", "Kind", "When"), tuple(rows)
            ),
            "An association of which no presentation context can be accepted is accepted, with every context refused.",
        ),
    )


def _initiator(facts: Facts) -> Section:
    heads = ("Application", "Connection, s", "ACSE, s", "DIMSE, s", "Idle, s", "Largest PDU received, bytes")
    rows = [
        (
            name,
            number(peer.connection_timeout_s),
            number(peer.association_timeout_s),
            number(peer.dimse_timeout_s),
            number(peer.network_timeout_s),
            str(peer.maximum_pdu_bytes),
        )
        for name, peer in facts.config.peers.items()
    ]
    verification = ", ".join(uid_name(syntax) for _, syntax in scu.VERIFICATION)
    return Section(
        "As initiator",
        (
            Bullets(
                (
                    "An association is opened when deliveries to a destination are due, or when a person asks, and "
                    "released after the last object.",
                    "To one destination there are as many associations at a time as its deliveries at a time, see "
                    "[[How the answers of a destination are taken]].",
                    f"For verification {verification} are proposed, each in a context of its own; for storage see "
                    "[[Storage as user]].",
                )
            ),
            Table("Times of the initiator", heads, tuple(rows) or (("none", "", "", "", "", ""),)),
        ),
    )


def _interfaces() -> Section:
    return Section(
        "Physical network interfaces",
        ("TCP/IP, as the host provides it. TCP_NODELAY is set on every DICOM connection.",),
    )


def _character_sets() -> Section:
    return Section(
        "Support of character sets",
        (
            Bullets(
                (
                    "Received objects are kept as they came, in any character set.",
                    "A result object has the Specific Character Set (0008,0005) of the image whose identity it copies, "
                    "and copied values keep their bytes. There is none when that image has none.",
                    "What the product writes itself is English and fits the first value of that character set; a "
                    "character it cannot hold is replaced by its nearest Latin letters.",
                    "Pictures draw names in a shipped font of Latin, Greek and Cyrillic letters; other scripts cannot "
                    "be read there.",
                )
            ),
        ),
    )

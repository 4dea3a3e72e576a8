"""Services beside verification and storage: what of them is done, in which role, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from node import commitment
from node.conformance.document import Bullets, Section, Table
from node.conformance.facts import Facts, number, uid_name
from node.dimse import commitment as wire
from node.dimse import query_scp, scp, ups
from node.dimse.worklist import MODALITY_WORKLIST
from node.errors import BadQuery


def overview(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    """Rows of the table of network services."""
    used = _used(facts)
    for uid in scp.SERVICES:
        yield uid_name(uid), uid, _use(uid, used), "yes"
    yield uid_name(MODALITY_WORKLIST), MODALITY_WORKLIST, _use(MODALITY_WORKLIST, used), "no"


def sections(facts: Facts) -> tuple[Section, ...]:
    """A section for each service."""
    return (
        Section("Storage commitment", sections=(_commitment_provider(facts), _commitment_user(facts))),
        Section("Query and retrieval", sections=(_query_provider(facts), _query_user(facts))),
    )


def _use(uid: str, used: Mapping[str, bool]) -> str:
    if uid not in used:
        return "no"
    return "yes" if used[uid] else "not in this configuration"


def _used(facts: Facts) -> Mapping[str, bool]:
    """Services that the product can be a user of → whether this configuration is."""
    destinations = facts.config.destinations.values()
    sources = [each.priors for each in facts.config.peers.values() if each.priors is not None]
    return {
        wire.SOP_CLASS: any(each.commitment for each in destinations),
        query_scp.FIND: bool(sources) or any(each.identity_peer for each in destinations),
        query_scp.MOVE: any(each.retrieve == "move" for each in sources),
        query_scp.GET: any(each.retrieve == "get" for each in sources),
        MODALITY_WORKLIST: facts.config.worklist.peer is not None,
        **dict.fromkeys((ups.PULL, ups.WATCH, ups.EVENT), bool(facts.config.ups.managers)),
    }


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


def _query_provider(facts: Facts) -> Section:
    most = facts.config.query.maximum_results
    peers = ", ".join(each.ae_title for each in facts.config.peers.values()) or "none"
    statuses = (
        (query_scp.PENDING, "C-FIND, C-MOVE, C-GET", "a match, or a sub-operation done"),
        (query_scp.PENDING_KEYS_IGNORED, "C-FIND", "a match; keys that are not supported were ignored"),
        (query_scp.CANCELLED, "all", "cancelled by C-CANCEL, seen between two matches or sub-operations"),
        (
            BadQuery.dimse_status,
            "C-FIND, C-GET",
            "the level, a unique key or a value is not allowed, see its comment",
        ),
        (
            query_scp.OUT_OF_RESOURCES,
            "C-FIND",
            f"more than {most} matches; the first were given",
        ),
        (query_scp.OUT_OF_RESOURCES, "all", "the database cannot be used"),
        (query_scp.DESTINATION_UNKNOWN, "C-MOVE", "the destination is not among the peers, or cannot be reached"),
        (0xA702, "C-MOVE, C-GET", "every sub-operation failed"),
        (0xB000, "C-MOVE, C-GET", "some sub-operations failed, or ended with a warning"),
        (0xC514, "C-MOVE", "as 0xA900 of the others"),
    )
    return Section(
        "As provider",
        (
            Bullets(
                (
                    "The study root model, levels STUDY, SERIES and IMAGE, hierarchical: the unique keys of the levels "
                    "above are given, one value each. Extended negotiation is not used.",
                    "Everything that is held is found, received or made. Keys of the level and of those above it are "
                    "matched as [[Searches (QIDO-RS)]] tells; a range of dates and one of times are taken apart.",
                    "Answers have the keys asked for, Retrieve AE Title and Instance Availability, in the character "
                    "set of the query where it holds their letters, else in ISO_IR 100, else in ISO_IR 192.",
                    f"C-MOVE sends to the configured peers only: {peers}.",
                    "An instance is sent in the transfer syntax in which it is held, uncompressed ones also in the "
                    "other uncompressed one; where that is not accepted its sub-operation fails. In an association "
                    "with C-GET the acceptor takes an uncompressed syntax of a context that proposes several.",
                    "A file that is not what was stored is not sent; its sub-operation fails.",
                )
            ),
            Table(
                "Statuses of queries and retrievals",
                ("Status", "Of", "When"),
                tuple((f"0x{code:04X}", of, when) for code, of, when in statuses),
            ),
        ),
    )


def _query_user(facts: Facts) -> Section:
    config = facts.config
    sources = [
        (
            name,
            f"C-{each.priors.retrieve.upper()}",
            str(each.priors.most),
            f"{number(each.priors.years)} years",
            each.priors.hours or "always",
            number(each.priors.timeout_s),
        )
        for name, each in config.peers.items()
        if each.priors is not None
    ]
    identity = [(name, each.identity_peer) for name, each in config.destinations.items() if each.identity_peer]
    head = ("Peer", "By", "Most for an exam", "Back", "Time of day", "Longest, s")
    return Section(
        "As user",
        (
            Table("Peers asked for earlier exams", head, tuple(sources) or (("none", "", "", "", "", ""),)),
            Bullets(
                (
                    "Where the reading strategy compares with earlier exams and too few are held, the peers are asked "
                    "in this order (C-FIND, STUDY level, by Patient ID, Study Date range and Modalities in Study), and "
                    "the latest are retrieved whole, to this AE title. Fetched exams are stored and not read.",
                    "By C-GET images of digital mammography are taken, in the lossless syntaxes of the acceptor.",
                    "What cannot be had is a line in the exam's history; the exam is read without it.",
                )
            ),
            Table(
                "Peers asked for the patient before results are sent",
                ("Destination", "Peer"),
                tuple(identity) or (("none", ""),),
            ),
            "Where the peer has the study under another Patient ID, issuer, birth date or name, the results are held "
            "for a person. One that cannot be asked is asked again later; one that does not hold the study does not "
            "keep them back.",
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

"""Service and interoperability description: what is done as provider and as user, and what every status means."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from types import SimpleNamespace

from node import destinations, intake, routing
from node.conformance import examinations, ihe, service_classes, web, work_items
from node.conformance.document import Bullets, Section, Table
from node.conformance.facts import VERIFICATION, Facts, number, uid_name
from node.dimse import scp, scu
from node.errors import NodeError, OutOfResources, RetriableDelivery
from node.settings_routing import Rule, When

#: Services that a hospital may ask for and that are not there: SOP classes, and words that code of them would hold.
#: A test holds the code against it.
NOT_OFFERED = {
    "Query/Retrieve in the patient root model": ("1.2.840.10008.5.1.4.1.2.1.1", "PatientRoot"),
    "Instance Availability Notification": ("1.2.840.10008.5.1.4.33", "InstanceAvailabilityNotification"),
    "Print Management": ("1.2.840.10008.5.1.1.9", "BasicFilmSession"),
}  # fmt: skip


def section(facts: Facts) -> Section:
    """Chapter 5."""
    return Section(
        "Service and interoperability description",
        sections=(
            _verification(),
            _storage_provider(facts),
            _storage_user(facts),
            _sent(facts),
            *service_classes.sections(facts),
            *examinations.sections(facts),
            work_items.section(facts),
            web.section(facts.web, facts.config),
            Section("Services that are not offered", (Bullets(tuple(NOT_OFFERED)),)),
            Section("Media services", ("None.",)),
            ihe.section(facts),
        ),
    )


def _verification() -> Section:
    return Section(
        "Verification",
        (
            f"C-ECHO ({VERIFICATION}) is answered with 0x{scp.SUCCESS:04X} to every caller whose association is "
            "accepted. The product sends C-ECHO when a person asks for it (`mammo-node echo`, `mammo-node check`).",
        ),
    )


def _storage_provider(facts: Facts) -> Section:
    return Section(
        "Storage as provider",
        (
            "Level 2 (full) in the sense of PS3.4 B.4.1: every element is kept, private ones too, and none is changed. "
            "Digital signatures are kept and not judged. An accepted presentation context does not promise that an "
            "instance is taken: that is decided by the routing rules, in their order, see [[Routing rules]].",
            Table(
                "SOP classes accepted for storage, by the routing rules that may take them",
                ("SOP class", "SOP Class UID"),
                tuple(_classes(facts)),
            ),
            Bullets(
                (
                    "The same instance again, byte for byte, is answered with success and changes nothing.",
                    f"Other content under a held SOP Instance UID is answered with 0x{scp.COERCED:04X}; what is held "
                    "stays, the other is kept aside for a person.",
                    "A result object of the product itself that comes back is answered with success and changes "
                    "nothing.",
                    _retention(facts),
                )
            ),
        ),
        (_answers(facts),),
    )


def _retention(facts: Facts) -> str:
    days = facts.config.storage.retention_days
    if days is None:
        return "What is kept is never deleted by the product. It is a work store and no archive."
    return f"A study is deleted {days} days after its results are delivered. It is a work store and no archive."


def _classes(facts: Facts) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for uid in facts.stored:
        rules = ", then ".join(_rules_for(uid, facts))
        groups.setdefault(f"Rules: {rules}" if rules else "No rule: answered with 0x0122", []).append(uid)
    for rules, uids in groups.items():
        yield rules, ""
        yield from ((uid_name(uid), uid) for uid in uids)


def _rules_for(uid: str, facts: Facts) -> Iterator[str]:
    """Names of the rules whose SOP class condition lets this class pass."""
    for rule in facts.config.routing:
        alone = Rule(name=rule.name, when=When(sop_class_uid=rule.when.sop_class_uid))
        if routing.decide([alone], {"sop_class_uid": (uid,)}) is not None:
            refused = f" with 0x{rule.status:04X}" if rule.status is not None else ""
            yield f"{rule.name} ({rule.action}{refused})"


def _answers(facts: Facts) -> Section:
    return Section(
        "What a C-STORE is answered with",
        (
            Table(
                "Statuses of the storage provider",
                ("Status", "Kind", "Meaning", "What the sender may do"),
                tuple(answers(facts)),
            ),
            "A failure carries an Error Comment (0000,0902) of at most 64 characters that says why. What could not be "
            "understood, or is not what the request named, is kept aside for a person.",
        ),
    )


def answers(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    """Rows of the answers' table: success and warning of the receiver, failures that the intake knows."""
    largest = number(facts.config.network.max_object_bytes)
    yield f"0x{scp.SUCCESS:04X}", "Success", "The instance is on disk and in the index.", "go on"
    meaning = "The SOP Instance UID is held with other content; the new content is kept aside."
    yield f"0x{scp.COERCED:04X}", "Warning", meaning, "have a person look"
    for error in _failures():
        meaning = str(error.__doc__).partition("\n")[0]
        if error.__name__ == "NotUnderstood":
            meaning += f" Also: it is larger than {largest} bytes, or the receiver failed."
        again = (
            "send it again later" if issubclass(error, OutOfResources) else "correct it; again it gets the same answer"
        )
        yield f"0x{error.dimse_status:04X}", "Failure", meaning, again


def _failures() -> list[type[NodeError]]:
    """The errors that the intake raises: those it knows by name."""
    known = [each for each in vars(intake).values() if isinstance(each, type) and issubclass(each, NodeError)]
    return sorted((each for each in known if each is not NodeError), key=lambda each: each.dimse_status)


def _storage_user(facts: Facts) -> Section:
    return Section(
        "Storage as user",
        (
            "Result objects are sent as they were made. For each SOP class the object's own transfer syntax is "
            "proposed, and for an uncompressed one the other uncompressed one too, each in a presentation context of "
            "its own. Nothing is compressed on the way. `mammo-node send`, a tool for tests, sends any files in the "
            "same manner.",
            Table(
                "SOP classes proposed",
                ("Destination", "SOP class", "SOP Class UID", "Transfer syntaxes"),
                tuple(_proposals(facts)) or (("none", "", "", ""),),
            ),
        ),
        (_reactions(facts),),
    )


def _proposals(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    for name in facts.dimse_destinations:
        for uid, syntaxes in facts.proposed(name).items():
            yield name, uid_name(uid), uid, ", ".join(map(uid_name, syntaxes))


def _reactions(facts: Facts) -> Section:
    events = (
        ("no connection, or the connection is lost", "tried again"),
        ("the association is rejected, for any reason", "tried again"),
        ("no presentation context is accepted, or not the object's", "given up, and shown to a person"),
        ("no answer within the destination's DIMSE time", "tried again"),
    )
    return Section(
        "How the answers of a destination are taken",
        (
            Table("Reaction to every status of a C-STORE", ("Status", "Reaction"), tuple(reactions())),
            Table("Reaction to what is no status", ("Event", "Reaction"), events),
            Table(
                "How often and how long is tried",
                ("Destination", "First wait, s", "Longest wait, s", "Attempts", "Deliveries at a time"),
                tuple(
                    (
                        name,
                        number(each.first_retry_s),
                        number(each.max_retry_s),
                        str(each.max_attempts),
                        str(each.concurrency),
                    )
                    for name, each in facts.config.destinations.items()
                ),
            ),
            "The wait doubles with each attempt. What is given up stays visible, and is sent again when a person asks "
            "for it (`mammo-node requeue`).",
        ),
    )


def reactions() -> Iterator[tuple[str, str]]:
    """Every status 0x0000–0xFFFF in ranges, and what the sender makes of it: asked of the sender itself."""
    for reaction, group in groupby(range(0x10000), key=_reaction):
        codes = list(group)
        first, last = f"0x{codes[0]:04X}", f"0x{codes[-1]:04X}"
        yield first if first == last else f"{first}–{last}", reaction


def _reaction(status: int) -> str:
    error = scu.judge(SimpleNamespace(Status=status))
    if error is None:
        return "delivered"
    return "tried again" if isinstance(error, RetriableDelivery) else "given up, and shown to a person"


def _sent(facts: Facts) -> Section:
    rows = [
        (name, each.type, example.kind, example.told_options, ", ".join(map(uid_name, example.sop_class_uids)))
        for name, each in facts.config.destinations.items()
        for example in facts.sent
        if name in example.destinations
    ]
    ways = [(name, str(destinations.load(name).__doc__).partition("\n")[0]) for name in _types(facts)]
    return Section(
        "Objects that are sent",
        (
            Table(
                "What each destination gets",
                ("Destination", "Way", "Object", "Options", "SOP class"),
                tuple(rows),
            ),
            Table("Ways of delivery", ("Way", "What it is"), tuple(ways)),
            "What the objects hold is in [[Information objects created]], for all that can be made.",
        ),
    )


def _types(facts: Facts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.type for each in facts.config.destinations.values()))

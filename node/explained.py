"""Why a rule takes an instance, and why the rules before it do not: by the same code that decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from node import routing
from node.config import Config
from node.errors import RefusedByRule, UnsupportedSOPClass
from node.routing import Mismatch, Router


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A rule that does not take the instance; because: every condition that keeps it from it."""

    number: int
    rule: str
    because: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What becomes of an instance, and why. number: of the rule, from 1; None where no rule takes it.

    conditions: those of the rule that the instance fulfils. status: the DIMSE status, where it is refused.
    taken_by: the rule that took it when it came, "" where that is not known.
    """

    source: str
    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    calling_ae_title: str
    number: int | None
    rule: str
    action: str
    conditions: tuple[str, ...]
    reading: str | None
    destinations: tuple[str, ...]
    forward: tuple[str, ...]
    status: int | None
    passed_over: tuple[PassedOver, ...]
    taken_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """How an exam is read, of whose instances at least one is: by a name under `readings`, None: as usual."""

    study_instance_uid: str
    reading: str | None
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Instances, and the exams they make."""

    instances: tuple[Explained, ...]
    exams: tuple[Exam, ...]


def explanation(config: Config, instances: Iterable[Explained]) -> Explanation:
    """Instances together with what follows for their exams."""
    found, router = tuple(instances), Router(config)
    studies: dict[str, list[Explained]] = {}
    for each in found:
        if each.action == "read":
            studies.setdefault(each.study_instance_uid, []).append(each)
    exams = (
        Exam(
            study_instance_uid=study,
            reading=router.reading(each.rule for each in read),
            destinations=router.destinations((each.rule, each.calling_ae_title) for each in read),
        )
        for study, read in studies.items()
    )
    return Explanation(found, tuple(exams))


def explain(config: Config, header: Dataset, sender: str, source: str, taken_by: str = "") -> Explained:
    """What the rules make of an instance from the AE title `sender`. source: a file, as it is shown."""
    facts = routing.facts(header, sender)
    passed_over: list[PassedOver] = []
    found, number = None, None
    for position, rule in enumerate(config.routing, start=1):
        because = tuple(routing.mismatches(rule, facts))
        if not because:
            found, number = rule, position
            break
        passed_over.append(PassedOver(number=position, rule=rule.name, because=because))
    status = None if found else UnsupportedSOPClass.dimse_status
    if found and found.action == "refuse":
        status = RefusedByRule("", found.status).dimse_status
    reads = found is not None and found.action == "read"
    return Explained(
        source=source,
        study_instance_uid=str(header.get("StudyInstanceUID") or ""),
        sop_instance_uid=str(header.get("SOPInstanceUID") or ""),
        sop_class_uid=str(header.get("SOPClassUID") or ""),
        calling_ae_title=sender,
        number=number,
        rule=found.name if found else "",
        action=found.action if found else "refuse",
        conditions=tuple(name for name in type(found.when).model_fields if getattr(found.when, name)) if found else (),
        reading=found.reading if found and reads else None,
        destinations=config.destinations_of(found, sender) if found and reads else (),
        forward=found.forward if found else (),
        status=status,
        passed_over=tuple(passed_over),
        taken_by=taken_by,
    )

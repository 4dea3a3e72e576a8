"""Implementation model: who is there, what each does, in which order."""

from __future__ import annotations

from collections.abc import Iterator

from node import results
from node.completeness import OPEN_ASSOCIATION_WAIT_S
from node.conformance.document import Bullets, Figure, Section
from node.conformance.facts import Facts, number

_FLOW = """\
 modality, PACS                        mammo-node                          PACS, workstation
                            +--------------------------------+
 C-STORE of images  ------> | receive -> keep -> exam whole? |
                            |                        |       |
                            |                        v       |
                            |                 read by models |
                            |                        |       |
                            |                        v       |
                            |     results kept -> deliver    | ------>  C-STORE of results
 C-ECHO             <-----> |                                | ------>  C-ECHO, when a person asks
                            +--------------------------------+
"""


def section(facts: Facts) -> Section:
    """Chapter 4."""
    title, waits = facts.config.node.ae_title, facts.config.completeness
    return Section(
        "Implementation model",
        sections=(
            Section(
                "Application data flow",
                (
                    f"There is one Application Entity, {title}. It is called by others for verification and storage, "
                    "and calls others to store results. Both use the same AE title.",
                    Figure(_FLOW),
                ),
            ),
            Section(
                "What the Application Entity does",
                (
                    Bullets(
                        (
                            "As provider of storage it writes each instance to disk and indexes it before it answers "
                            "success. The encoded data set is kept as it came, byte for byte.",
                            "It decides by the routing rules whether an instance is read, kept only, or refused.",
                            "When an exam is whole it is read. The reading is kept, result objects are made from it, "
                            "and one delivery for each object and destination.",
                            "As user of storage it sends each object until the destination has taken it, refused it "
                            "for good, or the attempts are used up.",
                        )
                    ),
                ),
            ),
            Section(
                "Sequencing",
                (
                    Bullets(
                        (
                            "An exam is whole when the four standard views are there and "
                            f"{number(waits.standard_views_grace_s)} s have passed; while the sender's association is "
                            f"open, after at most {number(OPEN_ASSOCIATION_WAIT_S)} s.",
                            f"Without all four views it is whole when nothing came for {number(waits.quiet_s)} s.",
                            "An image that comes after that makes a new revision of the exam: it is read again, and "
                            "its documents name those they replace. What was not yet sent of the earlier revision is "
                            "not sent any more.",
                            "What is pending of one revision goes to a destination on one association.",
                            *_last(facts),
                        )
                    ),
                ),
            ),
        ),
    )


def _last(facts: Facts) -> Iterator[str]:
    """Kinds that wait for the others."""
    for example in facts.sent:
        if getattr(results.load(example.kind), "SENT_LAST", False):
            yield f"A {example.kind} goes to a destination only when it has everything else of the revision."

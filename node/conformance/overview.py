"""The cover, the overview, and the introduction."""

from __future__ import annotations

from node.conformance import service_classes, web
from node.conformance.cards import Model
from node.conformance.document import Block, Bullets, Contents, Section, Table
from node.conformance.facts import VERIFICATION, Facts, number, uid_name
from node.identity import SOFTWARE_VERSION

_TERMS = {
    "AE": "Application Entity: one end of a DICOM communication",
    "Association": "a negotiated connection between two AEs",
    "CAD": "computer-aided detection",
    "CID, TID": "context group and template of PS3.16, by number",
    "IOD": "Information Object Definition (PS3.3)",
    "PDU": "Protocol Data Unit of the DICOM upper layer (PS3.8)",
    "SCU, SCP": "Service Class User (who asks) and Provider (who answers)",
    "SOP class": "what can be done with one kind of object, by UID",
    "SR": "Structured Report",
    "standard views": "R CC, L CC, R MLO and L MLO",
}


def cover() -> tuple[Block, ...]:
    """What stands above the first chapter."""
    rows = (("Product", "mammo-node"), ("Version", SOFTWARE_VERSION))
    return (
        Table("What this statement is of", ("", ""), rows),
        "Made by `mammo-node conformance` from a configuration, by asking the code that runs with it. Another "
        "configuration has another statement; print your own. Chapters are in the order of PS3.2 Annex N.",
    )


def overview(facts: Facts) -> Section:
    """Chapter 1: what it does on the network, and with what."""
    sent = {uid for name in facts.dimse_destinations for uid in facts.proposed(name)}
    read = {uid for model in facts.models for uid in model.eligibility.sop_classes}
    first = [uid for uid in facts.stored if uid in read | sent]
    others = len(facts.stored) - len(first)
    rows = [("Verification", "", "", ""), (uid_name(VERIFICATION), VERIFICATION, "yes", "yes")]
    rows += [("Services beside storage", "", "", ""), *service_classes.overview(facts)]
    rows += [("Transfer", "", "", "")]
    rows += [(uid_name(uid), uid, "yes" if uid in sent else "no", "yes") for uid in first]
    rows += [(f"{others} other storage SOP classes, named in [[Storage as provider]]", "", "no", "yes")]
    return Section(
        "Overview",
        (
            "The product receives breast-screening exams, reads them with the configured models, and sends what it "
            "found to the configured destinations: structured reports and pictures in the study of the exam. It "
            "changes nothing of what it received.",
            Table("Network services", ("SOP class", "SOP Class UID", "SCU", "SCP"), tuple(rows)),
            Table("Web services", ("Service", "Origin server", "User agent"), _web(facts)),
            "There are no media services: nothing is written to, or read from, interchange media.",
        ),
    )


def _web(facts: Facts) -> tuple[tuple[str, ...], ...]:
    offered = {each.service for each in facts.web}
    elsewhere = "not in this configuration"
    served = "yes" if facts.config.web.port is not None else elsewhere
    used = "yes" if web.agents(facts.config) else elsewhere
    uses = {"STOW-RS": used, "QIDO-RS": used}  # a search for what may have arrived already
    names = ("QIDO-RS", "WADO-RS", "STOW-RS", "UPS-RS")
    return tuple((name, served if name in offered else "no", uses.get(name, "no")) for name in names)


def contents() -> Section:
    """Chapter 2."""
    return Section("Table of contents", (Contents(),))


def introduction(facts: Facts) -> Section:
    """Chapter 3: for whom, what it is meant for, what the words mean."""
    return Section(
        "Introduction",
        sections=(
            Section(
                "Audience and remarks",
                (
                    "For those who connect the product with a PACS, a modality or a workstation, and know DICOM. Two "
                    "statements that agree do not make two products work together: test the pair.",
                    "Facts are taken from the running code; sentences that PS3.2 Annex N gives to every statement "
                    "about DICOM in general are not repeated. There is no revision history here: the statement "
                    "belongs to the version on its cover, and its differences are in the product's change log.",
                ),
            ),
            Section("Intended use", tuple(block for model in facts.models for block in _intended_use(model))),
            Section(
                "Terms and abbreviations",
                (Table("Words used here", ("Word", "Meaning"), tuple(_TERMS.items())),),
            ),
            Section(
                "References",
                (
                    "DICOM PS3.1 to PS3.22 (NEMA); of these above all PS3.2 Annex N, PS3.3 A.35 and C.17, PS3.4 "
                    "Annexes A, B and O, PS3.8, PS3.15, PS3.16 TID 1500 and 4000, PS3.17 Annex E. IHE Radiology "
                    "Technical Framework and its supplements AI Results (AIR) and AI Workflow for Imaging (AIW-I).",
                ),
            ),
        ),
    )


def _intended_use(model: Model) -> tuple[Block, ...]:
    labelling = f" Printed on every result: “{model.labelling}”" if model.labelling else ""
    return (
        f"**{model.name}, version {model.version}** ({model.manufacturer}; {model.task}). As its card says: "
        f"{model.intended_use}{labelling}",
        Bullets(tuple(_eligible(model))),
    )


def _eligible(model: Model) -> list[str]:
    """Which images it is given; others are answered as not read."""
    rules = model.eligibility
    spans = {
        "Bits Stored": rules.bits_stored,
        "Rows": rules.rows,
        "Columns": rules.columns,
        "Imager Pixel Spacing, mm": rules.imager_pixel_spacing_mm,
        "patient's age, years": rules.age_years,
    }
    ranges = "; ".join(f"{name} {number(span.low)} to {number(span.high)}" for name, span in spans.items())
    return [
        f"reads {', '.join(map(uid_name, rules.sop_classes))}, of the views {', '.join(model.views_needed)}",
        f"Photometric Interpretation {' or '.join(rules.photometric_interpretations)}; {ranges}",
        f"decodes {', '.join(map(uid_name, rules.transfer_syntaxes))}",
        "an exam that does not fit is answered as not read, with the reason: see [[Exams that were not read]]",
    ]

"""Configuration → the whole statement."""

from __future__ import annotations

from node.config import Config
from node.conformance import content, facts, model, network, objects, overview, security, services, setup, terminology
from node.conformance.document import Document
from node.conformance.facts import Facts


def statement(config: Config) -> Document:
    """The conformance statement of a configuration. Raises ConfigError when a model's bundle cannot be read."""
    return told(facts.gather(config))


def told(found: Facts) -> Document:
    """The facts in their chapters."""
    return Document(
        title="DICOM Conformance Statement",
        cover=overview.cover(),
        sections=(
            overview.overview(found),
            overview.contents(),
            overview.introduction(found),
            model.section(found),
            services.section(found),
            setup.section(found),
            network.section(found),
            security.section(found),
        ),
        annexes=(objects.section(found), content.section(found), terminology.section(found)),
    )

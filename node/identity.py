"""How this software names itself on the network and in objects."""

from __future__ import annotations

from importlib.metadata import version

from node.config import Config
from node.results import Device
from node.results._uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

__all__ = ["IMPLEMENTATION_CLASS_UID", "IMPLEMENTATION_VERSION_NAME", "SOFTWARE_VERSION", "device"]

SOFTWARE_VERSION = version("mammo-node")


def device(config: Config) -> Device:
    """This node as result objects name it."""
    return Device(
        manufacturer="mammo-node",
        manufacturer_model_name="mammo-node",
        software_version=SOFTWARE_VERSION,
        station_name=config.node.station_name or config.node.ae_title,
        institution_name=config.node.institution_name,
    )

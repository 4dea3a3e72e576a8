"""A peer as a person names it on the command line."""

from __future__ import annotations

import re

from node.config import Config, config_from
from node.errors import ConfigError
from node.settings import Peer

_WRITTEN_OUT = re.compile(r"(?P<ae_title>[^@]+)@(?P<host>.+):(?P<port>\d+)")


def named_peer(config: Config, name: str) -> Peer:
    """The peer `name` of the configuration, or the one written out as AE_TITLE@HOST:PORT. Raises ConfigError."""
    if name in config.peers:
        return config.peers[name]
    written = _WRITTEN_OUT.fullmatch(name)
    if written is not None:
        folder = config.storage.object_folder
        return config_from({"peers": {"given": written.groupdict()}}, folder).peers["given"]
    there_is = ", ".join(config.peers) or "none in this configuration"
    raise ConfigError(f"there is no peer '{name}'; peers: {there_is}; or write AE_TITLE@HOST:PORT")

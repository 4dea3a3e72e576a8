"""Which sections of the configuration are others than at the last start. Only hashes of them are kept, no secret."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import urlsplit

from node import logs
from node.audit import codes, events
from node.audit.auditor import Auditor, this_user
from node.config import Config

log = logs.get(__name__)

_FILE = "configuration.json"
#: Who may come in, and what protects it.
_SECURITY = frozenset({"node", "network", "callers", "require_called_ae_title", "peers", "web", "access", "audit"})


def tell(auditor: Auditor, config: Config) -> None:
    """Write which sections changed since this was last asked; the first time, that there is a configuration."""
    now, file = _digests(config), auditor.trail.folder / _FILE
    before = _kept(file)
    if before == now:
        return
    changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    new = "configuration changed since the last start" if before else "first start with this trail; configuration"
    record(auditor, changed, f"{new}: {', '.join(changed)}")
    try:
        file.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        log.error("what the configuration was is not kept", problem=str(error))


def record(auditor: Auditor, sections: list[str], text: str) -> None:
    """Write that sections of the configuration are others now."""
    what = codes.SECURITY_CONFIGURATION if _SECURITY.intersection(sections) else codes.SOFTWARE_CONFIGURATION
    auditor.tell(events.alert(auditor.here, what, text, about="config.yaml", by=this_user()))


def _kept(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _digests(config: Config) -> dict[str, str]:
    """Section → sha256 of its values; a password within the database's URL is left out."""
    values = config.model_dump(mode="json")
    parts = urlsplit(values["storage"]["database_url"])
    values["storage"]["database_url"] = f"{parts.scheme} {parts.hostname} {parts.port} {parts.path}"
    return {
        name: hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest() for name, each in values.items()
    }

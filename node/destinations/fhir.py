"""FHIR R4: one transaction for each result, posted to a server (ImagingStudy, Observations, DiagnosticReport).

Each resource is created only where there is none of its identifier, so that a transaction sent again makes nothing
twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from node.destinations import Outgoing, Sent, Target, _report
from node.dicomweb import FOR_NOW, Answer, Connection
from node.errors import ConfigError, DeliveryError, PermanentDelivery, RetriableDelivery
from node.fhir_bundle import bundle
from node.hl7.acknowledged import masked
from node.settings_destinations import DicomwebServer

MADE_FROM = "measurement_sr"
_MEDIA_TYPE = "application/fhir+json"
_LONGEST_TEXT = 200


def send(objects: Sequence[Outgoing], target: Target) -> Iterator[Sent]:
    """Each report as a transaction, delivered when every entry of it is there."""
    server = target.destination.server
    for item in objects:
        error: DeliveryError | None
        if server is None:
            error = PermanentDelivery(f"destinations.{target.name}.server: there is no server")
        else:
            error = _sent(item, server, target)
        yield Sent(sop_instance_uid=item.sop_instance_uid, error=error)


def _sent(item: Outgoing, server: DicomwebServer, target: Target) -> DeliveryError | None:
    settings = target.destination
    headers = {"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE}
    try:
        report, told = _report.read(item)
        content = bundle(report, told, settings.patient_id_system, settings.viewer_url)
        with Connection(server) as connection:
            answer = connection.ask("POST", "", headers, json.dumps(content, ensure_ascii=False).encode())
    except ConfigError as error:
        return RetriableDelivery(f"destinations.{target.name}.server: {error}")
    except DeliveryError as error:
        return error
    return judged(answer, len(content["entry"]), _report.private(report))


def judged(answer: Answer, entries: int, private: Sequence[str]) -> DeliveryError | None:
    """None when every entry was created, or was there; else what the server has against it, without `private`."""
    found = _json(answer.content)
    if not 200 <= answer.status < 300:
        told = f"the server answered {answer.status}{_said(found, private)}"
        for_now = answer.status >= 500 or answer.status in FOR_NOW
        return RetriableDelivery(told) if for_now else PermanentDelivery(told)
    responses = found.get("entry") if found.get("type") == "transaction-response" else None
    if not isinstance(responses, list) or len(responses) != entries:
        return RetriableDelivery(f"the server answered {answer.status} and not what became of each entry")
    statuses = [_status(each) for each in responses]
    wrong = [status for status in statuses if not status.startswith("2")]
    return PermanentDelivery(f"the server answered {', '.join(wrong)} for an entry") if wrong else None


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _status(entry: Any) -> str:
    response = entry.get("response") if isinstance(entry, dict) else None
    status = response.get("status") if isinstance(response, dict) else None
    return str(status)[:3] if status else "nothing"


def _said(found: dict[str, Any], private: Sequence[str]) -> str:
    """What an OperationOutcome says (R4 2.42)."""
    issues = found.get("issue") if found.get("resourceType") == "OperationOutcome" else None
    texts = [
        ": ".join(str(issue[key]) for key in ("code", "diagnostics") if issue.get(key))
        for issue in (issues if isinstance(issues, list) else [])
        if isinstance(issue, dict)
    ]
    return f": {masked('; '.join(texts), private)[:_LONGEST_TEXT]}" if texts else ""

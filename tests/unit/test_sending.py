"""Who took what was sent, as the audit trail names them: each way of delivery has its own other end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.audit.events import Other
from node.pipeline.sending import other_end
from tests.support_exams import settings

PEER = {"ae_title": "ORTHANC", "host": "pacs.example", "port": 4242}
SERVER = {"url": "https://web.example/dicom-web"}
REPORT = {"results": ["measurement_sr"]}


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ({"type": "dicom_store", "peer": "PACS"}, Other("", "pacs.example", "ORTHANC", "there")),
        ({"type": "dicomweb_store", "server": SERVER}, Other(SERVER["url"], "web.example", name="there")),
        ({"type": "fhir", "server": SERVER}, Other(SERVER["url"], "web.example", name="there")),
        ({"type": "hl7_mllp", "hl7": {"host": "ris.example", "port": 2575}},
         Other("mllp://ris.example:2575", "ris.example", name="there")),
        ({"type": "folder", "folder": "/results"}, Other("folder /results", name="there")),
    ],
    ids=lambda each: each["type"] if isinstance(each, dict) else "",
)  # fmt: skip
def test_the_other_end_of_each_way_of_delivery(tmp_path: Path, destination: dict[str, Any], expected: Other) -> None:
    config = settings(tmp_path, peers={"PACS": PEER}, destinations={"there": {**destination, **REPORT}})
    assert other_end(config, "there") == expected

"""What is wrong with settings of HL7, told with the key and what is allowed."""

from __future__ import annotations

import pytest

from node.config import config_from
from node.errors import ConfigError

RECEIVER = {"host": "ris.example", "port": 2575}
RIS = {"type": "hl7_mllp", "hl7": RECEIVER, "results": ["measurement_sr"]}


def faults(**sections: object) -> list[str]:
    try:
        config_from(sections, None)  # type: ignore[arg-type]
    except ConfigError as error:
        return str(error).splitlines()
    return []


def ris(**settings: object) -> dict[str, object]:
    return {"RIS": {**RIS, **settings}}


def test_a_receiver_in_order() -> None:
    viewer = "https://viewer.example/?study={study_instance_uid}"
    assert faults(destinations=ris(viewer_url=viewer, hl7={**RECEIVER, "sending_facility": "UNN"})) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"hl7": None}, "destinations.RIS.hl7: value null is not allowed; allowed: a mapping with the receiver's"),
        ({"results": ["summary_sc"]}, "destinations.RIS.results: value ['summary_sc'] is not allowed; allowed: [meas"),
        ({"results": ["measurement_sr", "summary_sc"]}, "destinations.RIS.results: "),
        ({"results": [{"kind": "measurement_sr", "per": "image"}]}, "destinations.RIS.results: "),
        ({"results": []}, "destinations.RIS.results: "),
        ({"viewer_url": "https://viewer.example/"}, "destinations.RIS.viewer_url: "),
        ({"hl7": {**RECEIVER, "sending_facility": "Sykehuset i Nord AS X"}}, "destinations.RIS.hl7.sending_facility: "),
        ({"hl7": {**RECEIVER, "receiving_facility": "A|B"}}, "destinations.RIS.hl7.receiving_facility: "),
        ({"hl7": {**RECEIVER, "tls": {"ca_file": "nowhere.pem"}}}, "destinations.RIS.hl7.tls: the certificate"),
        ({"commitment": True}, "destinations.RIS.commitment: "),
    ],
)
def test_faults(settings: dict[str, object], told: str) -> None:
    (found,) = [each for each in faults(destinations=ris(**settings)) if not each.startswith("routing")]
    assert found.startswith(told)


def test_instances_cannot_be_forwarded_to_it() -> None:
    rule = {"name": "all", "when": {"modality": "MG"}, "forward": ["RIS"]}
    assert faults(destinations=ris(), routing=[rule]) == [
        "routing.0.forward: value 'RIS' is not allowed; allowed: a destination that takes DICOM instances"
    ]

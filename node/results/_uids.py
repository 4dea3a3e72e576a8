"""Derived UIDs: the same reading gives the same UIDs, so that making a result again never makes a second result.

A UID is "2.25." and a UUID as a decimal number (PS3.5 B.2): version 8, the version for one's own derivation
(RFC 9562 5.8), from a SHA-256 over everything that makes the result another one.
"""

from __future__ import annotations

import hashlib
import json
import uuid

from pydantic import BaseModel
from pydicom.uid import UID

from ai.findings import Algorithm
from node.results import Device, Report

_VERSION_8 = 0x8 << 76
_VARIANT = 0b10 << 62
_VERSION_AND_VARIANT = (0xF << 76) | (0b11 << 62)


def derived_uid(*parts: str) -> UID:
    """A UID of at most 44 characters that is another one when any part, or their order or number, differs."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    number = int.from_bytes(digest[:16], "big") & ~_VERSION_AND_VARIANT | _VERSION_8 | _VARIANT
    return UID(f"2.25.{uuid.UUID(int=number).int}")


#: This software as the writer of a file (PS3.10 7.1).
IMPLEMENTATION_CLASS_UID = derived_uid("mammo-node", "implementation class")
IMPLEMENTATION_VERSION_NAME = "MAMMO_NODE"


def algorithm_parts(algorithm: Algorithm | None) -> tuple[str, ...]:
    """What makes an algorithm another one: name, version, weights."""
    return () if algorithm is None else (algorithm.name, algorithm.version, algorithm.weights_sha256)


def result_parts(report: Report) -> tuple[str, ...]:
    """What makes a result another one: study, images read, images named as not read, algorithms, revision."""
    reading = report.reading
    composition = None if reading.composition is None else reading.composition.algorithm
    return (
        reading.study_instance_uid,
        json.dumps(sorted(image.sop_instance_uid for image in reading.inputs)),
        json.dumps(sorted({reason.sop_instance_uid for reason in reading.left_out + reading.reasons})),
        json.dumps(algorithm_parts(reading.algorithm)),
        json.dumps(algorithm_parts(composition)),
        str(reading.revision),
    )


def result_uid(report: Report) -> UID:
    """Of the result as a whole: the same in every object of one revision, whatever its kind and options."""
    return derived_uid("result", *result_parts(report))


def sop_instance_uid(report: Report, kind: str, options: BaseModel, part: str = "") -> UID:
    """Of the result object `kind` made with `options`; part: which one, where the kind has several."""
    return derived_uid("instance", kind, options.model_dump_json(), *result_parts(report), *([part] if part else []))


def series_instance_uid(report: Report, kind: str, options: BaseModel, part: str = "") -> UID:
    """Of every object of one kind and its options; each revision has its own: it may come from other software.

    part: where a kind has more than one series.
    """
    return derived_uid("series", kind, options.model_dump_json(), *result_parts(report), *([part] if part else []))


def tracking_uid(report: Report, *what: str) -> UID:
    """Of a finding or of the exam: the same in every result object of one reading, so that they can be matched."""
    return derived_uid("tracking", *result_parts(report), *what)


def device_uid(device: Device, algorithm: Algorithm, *configuration: str) -> UID:
    """Device UID (0018,1002) of node and model together: another one when either, or the calibration, changes."""
    return derived_uid(
        "device",
        device.manufacturer,
        device.manufacturer_model_name,
        device.software_version,
        device.station_name,
        device.institution_name,
        algorithm.manufacturer,
        *algorithm_parts(algorithm),
        *configuration,
    )

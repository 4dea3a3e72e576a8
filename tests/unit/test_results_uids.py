"""Derived UIDs: valid, stable, and another one whenever anything differs that makes the result another one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.findings import Reading
from ai.reasons import Reason, ReasonCode
from node.results import _uids, mammography_cad_sr, measurement_sr
from tests.support_readings import (
    ALGORITHM,
    COMPOSITION,
    DEVICE,
    instance_uid,
    read_exam,
    report,
)

PARTS = st.lists(st.text(max_size=20), max_size=6).map(tuple)
PLAIN = measurement_sr.OPTIONS()


@given(PARTS)
def test_a_derived_uid_is_valid(parts: tuple[str, ...]) -> None:
    """PS3.5 9.1: at most 64 characters, components without leading zeros; B.2: 2.25 and a UUID's number."""
    uid = _uids.derived_uid(*parts)
    assert len(uid) <= 64
    assert re.fullmatch(r"2\.25\.(0|[1-9]\d*)", uid), f"{uid} is not a UID of PS3.5 B.2"
    number = int(uid.removeprefix("2.25."))
    assert number < 2**128
    assert (number >> 76) & 0xF == 8, "the UUID is not of version 8"
    assert (number >> 62) & 0b11 == 0b10, "the UUID is not of the variant of RFC 9562"


@given(PARTS, PARTS)
def test_derived_uids_differ_exactly_when_the_parts_do(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (_uids.derived_uid(*one) == _uids.derived_uid(*other)) == (one == other)


@given(st.text(max_size=10), st.text(min_size=1, max_size=10))
def test_where_a_part_ends_matters(one: str, other: str) -> None:
    assert _uids.derived_uid(one + other) != _uids.derived_uid(one, other)


def test_a_derived_uid_does_not_depend_on_the_machine() -> None:
    assert _uids.derived_uid("mammo-node", "implementation class") == "2.25.99515237812929821414562114277147644736"


READING = read_exam(left_out=(Reason(ReasonCode.REPEAT, instance_uid(7)),), composition=COMPOSITION)
OTHERS: dict[str, Callable[[], Reading]] = {
    "study": lambda: replace(READING, study_instance_uid="1.2.3"),
    "an image": lambda: replace(
        READING, inputs=(*READING.inputs[:3], replace(READING.inputs[3], sop_instance_uid="1.2.4"))
    ),
    "an image left out": lambda: replace(READING, left_out=(Reason(ReasonCode.REPEAT, instance_uid(8)),)),
    "algorithm name": lambda: replace(READING, algorithm=replace(ALGORITHM, name="other")),
    "algorithm version": lambda: replace(READING, algorithm=replace(ALGORITHM, version="0.1.1")),
    "weights": lambda: replace(READING, algorithm=replace(ALGORITHM, weights_sha256="0" * 64)),
    "composition weights": lambda: replace(
        READING, composition=replace(COMPOSITION, algorithm=replace(COMPOSITION.algorithm, weights_sha256="1" * 64))
    ),
    "no composition": lambda: replace(READING, composition=None),
    "revision": lambda: replace(READING, revision=2),
}


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("uid", [_uids.sop_instance_uid, _uids.series_instance_uid])
def test_a_result_of_something_else_has_other_uids(uid: Callable[..., str], what: str) -> None:
    before = uid(report(READING), "measurement_sr", PLAIN)
    assert uid(report(OTHERS[what]()), "measurement_sr", PLAIN) != before, f"another {what} gives the same UID"


def test_the_order_of_the_images_does_not_matter() -> None:
    turned = replace(READING, inputs=READING.inputs[::-1])
    kind = ("measurement_sr", PLAIN)
    assert _uids.sop_instance_uid(report(turned), *kind) == _uids.sop_instance_uid(report(READING), *kind)


def test_kind_options_and_level_have_their_own_uids() -> None:
    one = report(READING)
    uids = {
        _uids.sop_instance_uid(one, "measurement_sr", PLAIN),
        _uids.sop_instance_uid(one, "measurement_sr", measurement_sr.OPTIONS(sop_class="enhanced")),
        _uids.sop_instance_uid(one, "mammography_cad_sr", mammography_cad_sr.OPTIONS()),
        _uids.series_instance_uid(one, "measurement_sr", PLAIN),
        _uids.tracking_uid(one, "exam"),
        _uids.tracking_uid(one, "finding", "1"),
    }
    assert len(uids) == 6


def test_the_device_is_another_one_when_model_node_or_calibration_change() -> None:
    uids = {
        _uids.device_uid(DEVICE, ALGORITHM, "2026-11"),
        _uids.device_uid(DEVICE, ALGORITHM, "2026-12"),
        _uids.device_uid(DEVICE, replace(ALGORITHM, weights_sha256="0" * 64), "2026-11"),
        _uids.device_uid(DEVICE, replace(ALGORITHM, version="0.2.0"), "2026-11"),
        _uids.device_uid(replace(DEVICE, software_version="0.2.0"), ALGORITHM, "2026-11"),
    }
    assert len(uids) == 5
    assert _uids.device_uid(DEVICE, ALGORITHM, "2026-11") in uids

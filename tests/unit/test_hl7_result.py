"""Results as ORU^R01, of every kind of exam, judged by a library that had no part in writing them."""

from __future__ import annotations

from typing import Any

import hl7
import pytest

from ai.findings import Category
from node.hl7.er7 import Message, Unreadable, composed, escaped
from node.hl7.oru import control_id, oru
from node.results._told import NotTold, told
from node.settings_hl7 import Hl7Receiver
from tests.support import REPOSITORY
from tests.support_exams import view
from tests.support_hl7 import judged, measurement_report, segments
from tests.support_readings import STUDY, read_exam, report
from tests.support_results import CASES, COMPOSITION

RIS = Hl7Receiver(host="ris.example", port=2575, sending_facility="UNN", receiving_application="RIS")
VIEWER = "https://viewer.example/v?a=1&StudyInstanceUIDs={study_instance_uid}"


#: Those whose results are told differently.
TOLD = (
    *("positive", "negative", "indeterminate_uncalibrated", "suspicious_without_marks", "one_breast_left_out"),
    *("three_views_of_four", "with_prior_and_composition", "empty_type_2"),
    *("not_read_three_views", "not_read_many_reasons", "not_read_no_mammogram"),
)


def made(case: str = "positive", **changes: object) -> str:
    dataset = measurement_report(CASES[case](), **changes)
    return oru(dataset, told(dataset), RIS, control_id(dataset.SOPInstanceUID, "RIS"), VIEWER)


def observed(text: str) -> dict[str, Any]:
    """Code in OBX-3 → the segment; judged on the way."""
    return {each.obx_3.obx_3_1.value: each for each in segments(judged(text), "OBX")}


@pytest.mark.parametrize("case", TOLD)
def test_every_exam_is_told_in_order_and_as_its_reading_says(case: str) -> None:
    given = CASES[case]()
    reading, found = given.reading, observed(made(case))
    assert found["TRIAGE"].obx_5.obx_5_1.value == reading.category
    assert found["TRIAGE"].obx_8.value == ("A" if reading.category is Category.SUSPICIOUS else "")
    assert {each.obx_11.value for each in found.values()} == {"P"}, "preliminary"
    numbers = {key: float(found[key].obx_5.value) for key in found if found[key].obx_2.value == "NM"}
    if reading.category is Category.NOT_READ:
        assert numbers == {}
        assert "FLAG" not in found
        assert "This is not a negative result" in found["IMPRESSION"].obx_5.value.replace("~", " ")
        assert found["REASON"].obx_5.obx_5_1.value in {reason.code for reason in reading.reasons}
        return
    assert numbers["SCORE"] == pytest.approx(100 * reading.score, abs=0.051)
    assert numbers["BAND"] == reading.band
    for breast in reading.breasts:
        assert numbers[f"SCORE_{breast.image_laterality}"] == pytest.approx(100 * breast.probability, abs=0.051)
    assert len(numbers) == 3 + len(reading.breasts)
    assert found["FLAG"].obx_5.obx_5_1.value == ("Y" if reading.category is Category.SUSPICIOUS else "N")
    assert ("DENSITY" in found) is (reading.composition is not None)


def test_density_link_and_study() -> None:
    dataset = measurement_report(report(read_exam(composition=COMPOSITION)))
    found = observed(oru(dataset, told(dataset), RIS, "X", VIEWER))
    assert found["DENSITY"].obx_5.value == "129718006^Heterogeneously dense^SCT"
    assert found["DENSITY"].obx_3.value == "DENSITY^Breast density^99MAMMONODE^129715009^Breast composition^SCT"
    assert found["VIEWER"].to_er7().split("|")[5].replace("\\T\\", "&") == VIEWER.format(study_instance_uid=STUDY)
    assert found["113014"].obx_5.value == f"^{STUDY}^ISO"
    assert "VIEWER" not in observed(oru(dataset, told(dataset), RIS, "X", None))


def test_the_order_is_found_by_accession_number_and_the_study_by_its_uid() -> None:
    (obr,) = segments(judged(made()), "OBR")
    assert (obr.obr_18.value, obr.obr_19.value, obr.obr_3.value, obr.obr_25.value) == ("ACC-0042", "RP1", STUDY, "P")


@pytest.mark.parametrize(
    ("case", "family", "given"),
    [
        ("positive", "Demo", "Ánná Čáppa Đuŋŋá"),
        ("latin_1", "Sæther", "Åse Bjørg"),
        ("latin_4", "Čáppa", "Áŋŋa Đuođđá"),
        ("iso_2022", "Sæther", "Čuŋŋá"),
        ("iso_2022_kanji", "Yamada", "Hanako"),
    ],
)
def test_names_come_whole_from_every_character_set(case: str, family: str, given: str) -> None:
    message = judged(made(case))
    assert message.msh.msh_18.value == "UNICODE UTF-8"
    (pid,) = segments(message, "PID")
    assert (pid.pid_5.pid_5_1.value, pid.pid_5.pid_5_2.value) == (family, given)


def test_prefix_and_suffix_change_places() -> None:
    (pid,) = segments(judged(made(PatientName="Sæther^Åse^Bjørg^Dr.^Jr.")), "PID")
    assert pid.pid_5.value == "Sæther^Åse^Bjørg^Jr.^Dr."


def test_separators_in_values_are_escaped_and_nothing_breaks_the_frame() -> None:
    text = made(PatientID="A|B^C&D~E", PatientName="Hansen|^Ka~ri\x1c\r\x0b", IssuerOfPatientID="N&N")
    assert not {"\x1c", "\x0b", "\n"} & set(text)
    parsed = hl7.parse(text)
    assert parsed.extract_field("PID", 1, 3, 1, 1) == "A|B^C&D~E"
    assert parsed.extract_field("PID", 1, 3, 1, 4) == "N&N"
    assert [parsed.extract_field("PID", 1, 5, 1, n).strip() for n in (1, 2)] == ["Hansen|", "Ka~ri"]
    assert escaped("a\nb\\") == "a\\.br\\b\\E\\"
    assert composed("", "x", "", "") == "^x"


def test_a_result_is_the_same_message_to_a_destination_whenever_it_is_made() -> None:
    assert made() == made()
    identifiers = {control_id(uid, name) for uid in ("1.2", "1.3") for name in ("RIS", "EHR")}
    assert len(identifiers) == 4
    assert all(len(each) == 20 and each.isalnum() for each in identifiers)


def test_what_is_no_measurement_report_is_told() -> None:
    with pytest.raises(NotTold):
        told(view())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "MSH"),
        (b"MSH", "MSH"),
        (b"MSH|", "MSH"),
        (b"MSH|^~\\&|A", "MSH-9"),
        (b"GET / HTTP/1.1\r\n", "MSH"),
        ("MSH|^~\\&|A|B|||||ACK|1|P|2.5.1\rMSA|AE|x|Sæther".encode("latin-1"), "character set"),
        (b"MSH|^~\\&|A|B|||||ACK|1|P|2.5.1||||||KLINGON", "character set"),
        (b"\x00" * 100, "MSH"),
    ],
)
def test_what_is_no_message_is_told_without_what_is_in_it(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as told_:
        Message(content)
    assert "ther" not in str(told_.value)


def test_reading_by_fields_of_whatever_character_set_and_line_ends() -> None:
    text = 'MSH|^~\\&|A|B|||20261201||ADT^A08|7|P|2.3||||||8859/1\r\nPID|1||1^^^H&2.3&ISO~2||Sæther\\T\\Co^Åse||""\r\n'
    message = Message(text.encode("latin-1"))
    assert (message.kind, message.control_id) == ("ADT^A08", "7")
    assert [message.get("PID", 3, repetition=n) for n in message.repetitions("PID", 3)] == ["1", "2"]
    assert [message.get("PID", 5, n) for n in (1, 2, 3)] == ["Sæther&Co", "Åse", ""]
    assert [message.get("PID", 3, 4), message.get("PID", 7), message.get("MRG", 1)] == ["H", "", ""]
    odd = Message(b"MSH|^~\\&|A\\X4142\\\\S\\\\C2842\\\\.br\\B\\T|B|||||ACK|7|P|2.5\r")
    assert odd.get("MSH", 3) == "AAB^\nB\\T", "what is no escape stays, what only formats goes"
    assert (message.count("PID"), message.count("MRG")) == (1, 0)


def shown() -> str:
    """The message of docs/hl7.md, a line for each segment."""
    dataset = measurement_report(report(read_exam(composition=COMPOSITION)), PatientName="Sæther^Ánná Đuŋŋá")
    viewer = "https://viewer.example/v?StudyInstanceUIDs={study_instance_uid}"
    return oru(dataset, told(dataset), RIS, control_id(dataset.SOPInstanceUID, "RIS"), viewer).replace("\r", "\n")


def test_the_page_shows_what_is_sent() -> None:
    page = (REPOSITORY / "docs" / "hl7.md").read_text(encoding="utf-8")
    assert page.partition("<!-- message -->\n```\n")[2].partition("```\n")[0] == shown()

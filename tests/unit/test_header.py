"""What is remembered of one header says of another what pydicom says, whatever came before it."""

from __future__ import annotations

import io
import random
import threading
import warnings
from contextlib import suppress

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ai.exam import View
from node import findable, header, routing
from node.header import Header, read_header
from tests.support_corpus import headers
from tests.support_exams import view
from tests.support_faults import VIEW_FAULTS, SeenIn, coded

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def encoded(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        dataset.set_original_encoding(out.is_implicit_VR, out.is_little_endian)
        write_dataset(out, dataset)
    return out.getvalue()


def as_pydicom_reads(content: bytes, syntax: UID) -> Dataset:
    """The data set with every element converted that can be, so that nothing of it is remembered or recalled."""
    dataset = read_dataset(io.BytesIO(content), syntax.is_implicit_VR, syntax.is_little_endian)
    for tag in list(dataset.keys()):
        with suppress(Exception):  # what cannot be converted is compared as it is
            dataset[tag]
    dataset.file_meta = Dataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def told(dataset: Dataset) -> tuple[object, ...]:
    """All that the intake takes from a header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return View.from_dataset(dataset), findable.entry(dataset), routing.facts(dataset, "SENDER")


def corpus() -> list[tuple[str, bytes, UID]]:
    """Headers with every fault that a header may have, in the encodings turn about, as far as they can hold it."""
    found = []
    for number, fault in enumerate(each for each in VIEW_FAULTS if each.seen_in is SeenIn.HEADER):
        syntax = SYNTAXES[number % 3]
        dataset = headers()[0]
        fault.spoil(dataset)
        with suppress(Exception):  # some damage is of bytes that only one encoding has
            found.append((f"{fault.name}, {syntax.name}", encoded(dataset, syntax), syntax))
    return found


def test_every_header_is_told_as_pydicom_reads_it_also_after_all_the_others() -> None:
    every = corpus()
    assert len(every) > 50
    expected = {name: told(as_pydicom_reads(content, syntax)) for name, content, syntax in every}
    for _ in range(2):
        random.Random(5).shuffle(every)
        for name, content, syntax in every:
            assert told(read_header(content, syntax)) == expected[name], name
    assert header._value.cache_info().hits > 10 * header._value.cache_info().misses


def test_the_same_bytes_are_another_name_in_another_character_set() -> None:
    names = {}
    for charset, python_name in (("ISO_IR 100", "latin-1"), ("ISO_IR 144", "iso8859-5"), ("ISO_IR 192", "utf-8")):
        content = encoded(view(SpecificCharacterSet=charset, PatientName=b"\xc3\xa5".decode(python_name)))
        names[charset] = str(read_header(content, ExplicitVRLittleEndian).get("PatientName"))
    assert names["ISO_IR 192"] == "å"
    assert len(set(names.values())) == 3


def test_numbers_are_of_their_byte_order_and_items_are_remembered_too() -> None:
    for syntax in SYNTAXES:
        image = view(Rows=0x0102, ViewCodeSequence=[coded("399162004")])
        found = read_header(encoded(image, syntax), syntax)
        assert found.get("Rows") == 0x0102
        assert View.from_dataset(found).view_position == "CC"
    assert isinstance(found.get("NoSuchKeyword", found), Header)
    assert found.get(0x00280010).value == 0x0102
    assert found.get("PatientWeight", "none") == "none"


def test_a_header_longer_than_where_headers_end_is_read_whole() -> None:
    image = view(PatientComments="x", ImageComments="y" * 3 * header._BEGINNING)
    assert len(read_header(encoded(image), ExplicitVRLittleEndian).get("ImageComments")) == 3 * header._BEGINNING
    assert read_header(encoded(image), ExplicitVRLittleEndian).get("Rows") == 640


def test_long_values_are_not_remembered() -> None:
    content = encoded(view(ImageComments="z" * (header._LONGEST + 2)))
    before = header._value.cache_info().currsize
    assert read_header(content, ExplicitVRLittleEndian).get("ImageComments").startswith("zzz")
    assert header._value.cache_info().currsize == before


def test_many_threads_read_the_same_items_at_the_same_time() -> None:
    content = encoded(view(ViewCodeSequence=[coded("399162004")], AnatomicRegionSequence=[coded("73056007")]))
    header._value.cache_clear()
    expected = told(as_pydicom_reads(content, ExplicitVRLittleEndian))
    found: list[tuple[object, ...]] = []

    def look() -> None:
        found.extend(told(read_header(content, ExplicitVRLittleEndian)) for _ in range(20))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert all(each == expected for each in found)

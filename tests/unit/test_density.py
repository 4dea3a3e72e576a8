"""The published breast density network, against the published numbers. Its weights and images are not ours to keep."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from ai import bundle
from ai.bundle import Bundle
from ai.calibration import OperatingPoints
from ai.decoding import StoredImage
from ai.exam import STANDARD_VIEWS, Exam, ImageLaterality, StandardView, View
from ai.findings import BreastComposition
from ai.inference import Engine
from ai.models import breast_density
from ai.models.breast_density import DensityModel
from ai.pixels import BreastImage, read_breast
from ai.published import NYU_DENSITY_SHA256, ImportRefused, import_nyu_density, restricted_load
from ai.self_check import answers, largest_difference, sample_views
from node.results import mammography_cad_sr, measurement_sr
from node.results._assertions import walk
from node.simulator.exams import make_real
from tests import support_readings
from tests.support import shared_data
from tests.support_readings import single

UNTRAINED = DensityModel(breast_density.HistogramNet())


@pytest.fixture(scope="module")
def folder() -> Path:
    return shared_data("density")


@pytest.fixture(scope="module")
def imported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("density")
    import_nyu_density(folder / "histogram_model.p", where)
    return where


@pytest.fixture(scope="module")
def loaded(imported: Path) -> Bundle:
    return Bundle.load(imported)


@pytest.fixture(scope="module")
def golden(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "golden.json").read_text())["histogram_model"])


def published_view(folder: Path, standard: StandardView, *, bits: int = 8) -> BreastImage:
    """A published picture as a For Presentation image: the right breast's chest wall on the right."""
    name = f"{standard.image_laterality}-{standard.view_position}.png"
    values = np.asarray(Image.open(folder / name)).astype(np.uint16) << (bits - 8)
    if standard.image_laterality is ImageLaterality.RIGHT:
        values = np.ascontiguousarray(values[:, ::-1])
    view = View(
        sop_instance_uid="1.2",
        sop_class_uid="",
        series_instance_uid="",
        study_instance_uid="",
        image_laterality=standard.image_laterality,
        view_position=standard.view_position,
        rows=values.shape[0],
        columns=values.shape[1],
        imager_pixel_spacing_mm=(0.1, 0.1),
    )
    return read_breast(view, StoredImage("1.2", values, (1 << bits) - 1, ""))


def test_the_published_features_give_the_published_answer(loaded: Bundle, golden: dict[str, Any]) -> None:
    assert isinstance(loaded.model, DensityModel)
    found = loaded.model.from_features(np.array(golden["features_4x50_order_LCC_RCC_LMLO_RMLO"]))
    np.testing.assert_allclose(found, golden["reference_code_current_numpy"], atol=1e-6)


def test_the_published_exam_gives_the_published_answer(loaded: Bundle, golden: dict[str, Any], folder: Path) -> None:
    views = {standard: published_view(folder, standard) for standard in STANDARD_VIEWS}
    assert isinstance(loaded.model, DensityModel)
    np.testing.assert_allclose(loaded.model.assess(views), golden["published_expected"], atol=2e-3)


def test_a_12_bit_image_of_the_same_breast_gives_the_same_composition(loaded: Bundle, folder: Path) -> None:
    views = {standard: published_view(folder, standard, bits=12) for standard in STANDARD_VIEWS}
    assert isinstance(loaded.model, DensityModel)
    probabilities = loaded.model.assess(views)
    assert int(np.argmax(probabilities)) == 1
    assert probabilities[1] > 0.7


def test_the_import_is_recorded_and_passes_its_self_check(loaded: Bundle) -> None:
    assert NYU_DENSITY_SHA256 in loaded.card.weights_source
    assert loaded.card.licence == "BSD-2-Clause"
    assert "Wu et al." in loaded.card.training_data
    found = answers(loaded.model, loaded.card.task)
    assert largest_difference(loaded.self_check, found) <= loaded.self_check.tolerance


def test_another_file_is_not_imported(tmp_path: Path) -> None:
    other = tmp_path / "model.p"
    other.write_bytes(b"something else")
    with pytest.raises(ImportRefused, match="not the published"):
        import_nyu_density(other, tmp_path / "out")
    with pytest.raises(ImportRefused, match="cannot be read"):
        import_nyu_density(tmp_path / "none.p", tmp_path / "out")
    assert not (tmp_path / "out").exists(), "a refused import must leave no bundle"


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_code_in_a_pickle_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"fc1.weight": _Payload()}, tmp_path / "torch.p")
    (tmp_path / "plain.p").write_bytes(pickle.dumps(_Payload(), protocol=2))
    for name in ("torch.p", "plain.p"):
        with pytest.raises(ImportRefused, match="more than plain tensors"):
            restricted_load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_histogram_has_fifty_shares_from_darkest_to_brightest() -> None:
    counts = np.zeros(256)
    counts[[0, 100, 255]] = (6, 3, 1)
    shares = breast_density.histogram(counts)
    assert shares.shape == (50,)
    assert shares.sum() == pytest.approx(1)
    assert shares[[0, 19, 49]] == pytest.approx([0.6, 0.3, 0.1])


def test_other_matrices_are_brought_to_the_published_field() -> None:
    for view in sample_views().values():
        counts = breast_density.counts(view)
        assert counts.sum() == pytest.approx(2600 * 2000, rel=1e-6)
        assert counts[0] > counts.sum() / 2, "what lies outside the breast is background"


def test_a_missing_view_is_an_error() -> None:
    views = sample_views()
    views.popitem()
    with pytest.raises(KeyError):
        UNTRAINED.assess(views)


def test_the_published_exam_as_dicom_has_its_composition_in_the_reports(
    imported: Path, golden: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    """Stored DICOM → Reading with the published weights → breast composition (CID 6000) in both structured reports."""
    made = make_real(folder, tmp_path)
    datasets = [dcmread(image.path) for image in made.images]
    engine = Engine([bundle.DEMO, imported], operating_points=OperatingPoints())
    files = {image.sop_instance_uid: image.path for image in made.images}
    reading = engine.read(Exam.from_datasets(datasets), files, revision=1).reading
    assert reading.composition is not None
    assert reading.composition.composition is BreastComposition.B
    np.testing.assert_allclose(reading.composition.probabilities, golden["published_expected"], atol=2e-3)

    report = support_readings.report(reading, tuple(datasets), previews={})
    measured = single(measurement_sr.build(report, measurement_sr.OPTIONS()))
    told = [node.item for node in walk(measured) if _concept(node.item) == "129715009"]
    assert [item.ConceptCodeSequence[0].CodeValue for item in told] == ["129717001"], "not scattered densities"
    marks = single(mammography_cad_sr.build(report, mammography_cad_sr.OPTIONS()))
    said = [str(node.item.TextValue) for node in walk(marks) if _concept(node.item) == "111033"]
    assert "Breast composition: b, scattered fibroglandular densities" in said[0]


def _concept(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or ()
    return str(names[0].get("CodeValue", "")) if names else ""

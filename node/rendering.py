"""Result objects of one reading written to a folder, without any network: for a site's own acceptance test.

They come from the same `Reporting` as in the node, which here writes to a scratch store and reads the exam's files
where they are; neither the node's store nor its database is changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from ai.exam import View
from ai.findings import Reading
from ai.reasons import ReasonCode
from ai.sources import Sources
from node import results
from node.config import Config, config_from
from node.dicom_files import DicomFile
from node.errors import ConfigError, NodeError
from node.exams import header
from node.holdings import Holdings, object_store
from node.priors import PriorResult, Priors
from node.reporting import NoSource, Reporting
from storage.objects import ObjectStore
from storage.records import Instance, ResultObject, StoredReading, Study

#: The reading, beside the objects made of it; it can be rendered again.
READING_FILE = "reading.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One object. picture: its pixels' PNG, "" where it has none; error: why it could not be made (file is then "")."""

    study_instance_uid: str
    kind: str
    part: str
    options: dict[str, object]
    file: str
    picture: str
    size_bytes: int
    sop_class_uid: str
    sop_instance_uid: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A reading and what its objects are made from.

    instances: of the exam, with absolute paths. previews: SOP Instance UID → PNG, besides those `stored` names.
    earlier: result objects of earlier revisions. prior: the woman's earlier exam.
    """

    stored: StoredReading
    instances: Sequence[Instance]
    previews: Mapping[str, bytes] = field(default_factory=dict)
    earlier: Sequence[ResultObject] = ()
    prior: PriorResult | None = None


def with_results(config: Config, kinds: Sequence[str]) -> Config:
    """The configuration with these kinds only, each with every set of options it is configured with somewhere.

    Without kinds: as it is. Raises ConfigError for a kind that is not offered.
    """
    configured = [choice for each in config.destinations.values() for choice in each.results]
    for kind in kinds:
        if kind not in results.offered():
            raise ConfigError(f"--result {kind}: there is {', '.join(results.offered())}")
    if not kinds:
        return config
    chosen = [{"kind": each.kind, **each.options} for each in configured if each.kind in kinds]
    chosen += [{"kind": kind} for kind in kinds if kind not in {each["kind"] for each in chosen}]
    only = config_from({"destinations": {"out": {"type": "folder", "folder": ".", "results": chosen}}}, Path.cwd())
    return config.model_copy(update={"destinations": only.destinations})


def held(config: Config, held_: Holdings, study: Study) -> Material:
    """The latest reading of a study that the node holds. Raises NodeError when it has none yet."""
    uid = study.study_instance_uid
    stored = held_.outbox.reading(uid)
    if stored is None:
        raise NodeError(f"study {uid} has no reading yet: it is {study.state}, {study.state.sentence}")
    store = object_store(config)
    instances = held_.index.instances(uid)
    priors = Priors(held_.index, held_.outbox, store)
    return Material(
        stored=replace(
            stored, previews={each: str(store.path(path).resolve()) for each, path in stored.previews.items()}
        ),
        instances=[replace(each, path=str(store.path(each.path).resolve())) for each in instances],
        earlier=[each for each in held_.outbox.results(uid) if each.revision < stored.revision],
        prior=priors.result(Reading.from_json(stored.reading_json), study, instances),
    )


def saved(reading: Reading, files: Sequence[DicomFile]) -> Material:
    """A reading that was saved, with the exam's images, which are decoded anew for the card's pictures.

    Raises ConfigError when an image that was read is not among `files`, or its pixels are not those that were read.
    """
    files = [file for file in files if file.study_instance_uid == reading.study_instance_uid]
    found = {file.sop_instance_uid: file.path for file in files}
    missing = [image.sop_instance_uid for image in reading.inputs if image.sop_instance_uid not in found]
    if missing or not found:
        what = ", ".join(missing) or f"any image of study {reading.study_instance_uid}"
        raise ConfigError(f"--images: the reading needs {what}, and that is not there")
    return fresh(reading, files, _previews(reading, found))


def fresh(reading: Reading, files: Sequence[DicomFile], previews: Mapping[str, bytes]) -> Material:
    """A reading just made of `files`. It counts as saved when it began: the same reading gives the same bytes."""
    stored = StoredReading(
        study_instance_uid=reading.study_instance_uid,
        revision=reading.revision,
        reading_json=reading.to_json(),
        category=reading.category,
        previews={},
        saved_at=reading.started_at,
    )
    return Material(stored=stored, instances=[_instance(file, reading) for file in files], previews=previews)


def render(config: Config, material: Material, out: Path) -> list[Rendered]:
    """Write every configured object, a PNG of each that has pixels, and the reading, to `out`/<Study Instance UID>.

    Raises NodeError when none of the exam's files is as it was received, or their identities are in conflict.
    """
    study = material.stored.study_instance_uid
    reading = Reading.from_json(material.stored.reading_json)
    if any(reason.code is ReasonCode.PATIENT_CONFLICT for reason in reading.reasons):
        raise NodeError(f"study {study}: {ReasonCode.PATIENT_CONFLICT.sentence}: the node sends nothing for it")
    with TemporaryDirectory(prefix="mammo-node-render-") as scratch:
        store = ObjectStore(Path(scratch))
        stored = _with_previews(material, store)
        try:
            made = Reporting(config, store).report(
                stored, material.instances, material.earlier, list(config.destinations), material.prior
            )
        except NoSource as error:
            raise NodeError(f"study {study}: {error}") from error
        folder = out / study
        folder.mkdir(parents=True, exist_ok=True)
        (folder / READING_FILE).write_text(material.stored.reading_json + "\n", encoding="utf-8")
        return [_write(result, store, folder / name) for result, name in _named(made.results)]


def _previews(reading: Reading, paths: Mapping[str, Path]) -> dict[str, bytes]:
    views = {uid: View.from_dataset(header(path)) for uid, path in paths.items()}
    sources = Sources(paths)
    sources.prepare(views[image.sop_instance_uid] for image in reading.inputs)
    for image in reading.inputs:
        found = sources.breasts.get(image.sop_instance_uid)
        if found is None or found.image.pixel_sha256 != image.pixel_sha256:
            path = paths[image.sop_instance_uid]
            raise ConfigError(f"--images: {path} does not hold the pixels that were read (their sha256 differs)")
    return sources.previews(views.values())


def _instance(file: DicomFile, reading: Reading) -> Instance:
    with file.path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    found = header(file.path)
    return Instance(
        sop_instance_uid=file.sop_instance_uid,
        sop_class_uid=file.sop_class_uid,
        study_instance_uid=file.study_instance_uid,
        series_instance_uid=str(found.SeriesInstanceUID),
        transfer_syntax_uid=str(found.file_meta.TransferSyntaxUID),
        path=str(file.path.resolve()),  # below any store's folder an absolute path leads to itself
        sha256=sha256,
        size_bytes=file.path.stat().st_size,
        received_at=reading.started_at,
        calling_ae_title="",
        to_read=True,
        rule="",
    )


def _with_previews(material: Material, store: ObjectStore) -> StoredReading:
    study = material.stored.study_instance_uid
    written = {
        uid: store.put([png], study_instance_uid=study, name=uid, suffix=".png").path
        for uid, png in material.previews.items()
    }
    return replace(material.stored, previews={**material.stored.previews, **written})


def _named(made: Sequence[ResultObject]) -> Iterator[tuple[ResultObject, str]]:
    """Each object with its file's stem: kind, a number from the kind's second set of options on, part."""
    known: dict[str, list[str]] = {}
    for result in made:
        options = known.setdefault(result.kind, [])
        if result.options not in options:
            options.append(result.options)
        number = options.index(result.options) + 1
        yield result, "-".join([result.kind, *([str(number)] if number > 1 else []), *result.part.split()])


def _write(result: ResultObject, store: ObjectStore, stem: Path) -> Rendered:
    file = picture = ""
    if not result.error:
        path = stem.with_name(f"{stem.name}.dcm")
        path.write_bytes(store.read(result.path, result.sha256))
        file, picture = str(path), _write_picture(dcmread(path), path.with_suffix(".png"))
    return Rendered(
        study_instance_uid=result.study_instance_uid,
        kind=result.kind,
        part=result.part,
        options=json.loads(result.options),
        file=file,
        picture=picture,
        size_bytes=result.size_bytes,
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        error=result.error,
    )


def _write_picture(dataset: Dataset, path: Path) -> str:
    """The object's pixels as a PNG: its path, or "" for an object without pixels."""
    if "PixelData" not in dataset:
        return ""
    pixels = dataset.pixel_array
    if pixels.dtype.itemsize > 1:
        pixels = (pixels >> max(0, int(dataset.BitsStored) - 8)).astype("uint8")
    Image.fromarray(pixels).save(path, optimize=True)
    return str(path)

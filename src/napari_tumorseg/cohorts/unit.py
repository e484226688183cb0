"""Unit of work: one case read, segmented, measured and written, whole or not at all.

Its three steps can overlap with those of other cases: `open_unit` reads, `Unit.segment` runs the network,
`Unit.write` writes the mask and the record as one set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from napari_tumorseg.cohorts.fingerprint import hash_of_series, hashes, signature
from napari_tumorseg.cohorts.flags import CORRECTED, ELSEWHERE, FLAGS, LASTING, flags_of
from napari_tumorseg.cohorts.models import LoadedModels
from napari_tumorseg.cohorts.record import (
    FOLDER,
    MADE_BY,
    Record,
    mask_path,
    picture_path,
    record_path,
)
from napari_tumorseg.cohorts.settings import CohortSettings
from napari_tumorseg.errors import (
    GeometryError,
    InputError,
    Notice,
    OutputError,
    TumorSegError,
    remedy_of,
)
from napari_tumorseg.inference.run import segment
from napari_tumorseg.inference.run_plan import RunPlan, plan_run
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.inference.steps import result_of
from napari_tumorseg.io.arrays import without_folder
from napari_tumorseg.io.atomic import atomic_path, make_folder, write_text
from napari_tumorseg.io.bids.dataset import ensure_dataset, ignore
from napari_tumorseg.io.bids.writing import DerivativeFiles, write_bids
from napari_tumorseg.io.case import Case
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.io.output_set import OutputSet, output_set
from napari_tumorseg.io.reading import read_mask
from napari_tumorseg.io.side_files import input_files, series_files
from napari_tumorseg.io.writing import write_mask
from napari_tumorseg.measurement import find_midline, laterality, measure
from napari_tumorseg.models.store import Model
from napari_tumorseg.report.thumbnail import thumbnail
from napari_tumorseg.scan import Role, Scan, Segmentation

EXPECTED = (TumorSegError, MemoryError, OSError)
"""What can go wrong with a case while the others go on."""

_NO_SIDES = "sides are empty: they depend on the images, which are not read again for a corrected mask"


@dataclass(frozen=True, eq=False)
class Unit:
    """A case that was read.

    Attributes
    ----------
    ref : CaseRef
        The case.
    scan : Scan
        Its images on one grid.
    model : Model
        Model that will run.
    record : Record
        With what is known before the run.
    started : float
        When it was begun, by `time.perf_counter`.
    """

    ref: CaseRef
    scan: Scan
    model: Model
    record: Record
    started: float

    def segment(self, settings: CohortSettings, run: Settings) -> Result:
        """Run the model and measure."""
        found = segment(self.scan, self.model, run)
        measurements = measure(replace(found, name=self.ref.name))
        sides = _sides(self.scan, found)
        flags = flags_of(found, self.scan, self.model.card, measurements, sides)
        record = replace(
            self.record,
            measurements=measurements.to_dict(),
            sides=sides,
            flags=flags,
            precision=found.provenance["settings"]["precision"],
            warnings=tuple(found.provenance["warnings"]),
            versions=found.provenance["versions"],
        )
        facts = {"measurements": measurements.to_dict(), MADE_BY: record.settings}
        seg = replace(found, name=self.ref.name, provenance={**found.provenance, **facts})
        picture = thumbnail(self.scan, found) if settings.page and not settings.bids else None
        return Result(seg, record, self.started, self.scan if settings.bids else None, picture)


@dataclass(frozen=True, eq=False)
class Result:
    """Mask of a case and its record, not written yet.

    Attributes
    ----------
    seg : Segmentation
        The mask.
    record : Record
        Its record.
    started : float
        When the case was begun, by `time.perf_counter`.
    scan : Scan or None
        For BIDS, whose files are named by the images.
    picture : bytes or None
        Thumbnail, for the quality page.
    """

    seg: Segmentation
    record: Record
    started: float
    scan: Scan | None = None
    picture: bytes | None = None

    def write(self, output: Path, check: Callable[[], None]) -> Record:
        """Write mask, side file, record and thumbnail as one set; return the record.

        `check` raises if an earlier mask must not be replaced; no other process writes while it is called.

        Raises
        ------
        OutputError
            If something cannot be written, or a mask is there that another program wrote or changed.
        """
        record = stamped(self.record, self.started)
        if self.scan is not None:
            _make_dataset(self.scan, output)
        with output_set() as files:
            files.check(check)
            if self.scan is None:
                write_mask(self.seg, output / record.mask, overwrite=True)
            else:
                write_bids(self.seg, self.scan, output, overwrite=True)
            write_text(record_path(output, record.case), record.to_json(), overwrite=True)
            self._write_picture(picture_path(output, record.case), files)
        return record

    def _write_picture(self, path: Path, files: OutputSet) -> None:
        """Write the thumbnail; without one, remove that of an earlier mask."""
        if self.picture is None:
            files.remove(path)
            return
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_bytes(self.picture)


def _make_dataset(scan: Scan, output: Path) -> None:
    """Write the description of the BIDS data set at once: other processes may write it, too."""
    ensure_dataset(output, DerivativeFiles.of(scan, output).source)
    ignore(output, FOLDER)


def plan_unit(ref: CaseRef, settings: CohortSettings, models: LoadedModels) -> tuple[Case, RunPlan]:
    """Read a case and choose its model, as for a single case.

    Raises
    ------
    TumorSegError
        If it cannot be read, or no model suits.
    """
    case = ref.open()
    if not case.images:
        raise InputError(f"{ref.path / ref.case} holds no image")
    case = case.with_roles(_roles(case, settings.roles))
    lone = case.images[0]
    if len(case.images) == len(models.roles) == 1 and lone.role is Role.OTHER:
        case = case.with_roles({lone.name: models.roles[0]})
    made = plan_run(case, models.chosen, same_voxels=settings.same_voxels, prepare=settings.prepare)
    return case, made


def _roles(case: Case, wanted: Mapping[str, Role]) -> dict[str, Role]:
    """Return the roles of the images whose names, or those of their files, fit a pattern."""
    found: dict[str, Role] = {}
    for image in case.images:
        names = (image.name, image.source.name if image.source else image.name)
        for pattern, role in wanted.items():
            if any(fnmatchcase(name, pattern) for name in names):
                found.setdefault(image.name, role)
    return found


def open_unit(ref: CaseRef, settings: CohortSettings, digest: str, models: LoadedModels) -> Unit:
    """Read and prepare a case, and take the hashes of its files.

    Raises
    ------
    TumorSegError
        If it cannot be read, or no model suits.
    """
    started = time.perf_counter()
    case, planned = plan_unit(ref, settings, models)
    taken = _hashes(case, ref)
    scan = _scan(planned, settings)
    model = planned.model_for(scan)
    record = Record(
        case=ref.name,
        state="done",
        settings=digest,
        inputs=taken,
        signature=signature(ref, taken),
        mask=_mask_name(ref, scan, settings),
        patient=ref.patient,
        time_point=scan.time_point,
        layout=scan.layout,
        roles=tuple(str(role) for role in sorted(scan.roles)),
        model=about_model(model),
    )
    return Unit(ref, scan, model, record, started)


def _mask_name(ref: CaseRef, scan: Scan, settings: CohortSettings) -> str:
    """Return the file of the mask below the output folder."""
    if settings.bids:
        return DerivativeFiles.of(scan, Path()).labels.as_posix()
    return mask_path(Path(), ref.name).name


def about_model(model: Model) -> dict[str, Any]:
    """Return name, version, hash and licence of a model."""
    card = model.card
    facts = {"name": card.name, "version": card.version, "licence": card.about.licence}
    return {**facts, "sha256": model.weights_sha256()}


def failed(ref: CaseRef, error: Exception | str, digest: str, started: float) -> Record:
    """Return the record of a case that failed; its sentence names no folder above the data."""
    sentence = error if isinstance(error, str) else reason_of(error, ref)
    remedy = remedy_of(sentence)
    record = Record(
        case=ref.name,
        state="failed",
        settings=digest,
        signature=signature(ref),
        reason=str(sentence),
        remedy=str(remedy or ""),
        is_case_fault=not isinstance(error, OutputError),
        patient=ref.patient,
    )
    return stamped(record, started)


def reason_of(error: Exception, ref: CaseRef) -> Notice:
    """Return why a case failed, in a sentence without the folders above the data: they can name patients.

    Of an unexpected error the type alone is named, since its text can hold anything that is in the files.
    """
    if isinstance(error, MemoryError):
        return Notice("memory ran out")
    if not isinstance(error, EXPECTED):
        return Notice(f"the program met an error that it does not expect ({type(error).__name__})")
    text = " ".join(str(error).split())
    for folder in {ref.path.resolve().parent, ref.path.absolute().parent, ref.path.parent} - {Path()}:
        text = without_folder(text, folder)
    return Notice(text, remedy_of(error) if isinstance(error, TumorSegError) else None)


def write_failure(record: Record, output: Path) -> Record:
    """Write the record of a case that failed; an earlier mask of it stays where it is."""
    prepare(output)
    write_text(record_path(output, record.case), record.to_json(), overwrite=True)
    return record


def prepare(output: Path) -> None:
    """Make the folders of an output."""
    make_folder(output / FOLDER)


def measured_again(name: str, record: Record | None, mask: Path, output: Path, patient: str = "") -> Record:
    """Return the record of a mask that is kept, with the numbers that it has now.

    Its images are not read again, so the sides of changed regions stay unknown.

    Parameters
    ----------
    name : str
        Name of the case.
    record : Record or None
        Of the run that made it; None if that was no run of a cohort.
    mask : Path
        The mask.
    output : Path
        Output folder, which the mask lies in.
    patient : str
        Patient, where no record has it.
    """
    known = record if record is not None and record.state == "done" else None
    below = mask.relative_to(output).as_posix()
    base = known or Record(
        case=name, state="done", mask=below, patient=patient or getattr(record, "patient", "")
    )
    found = measure(replace(read_mask(mask), name=name)).to_dict()
    if known is not None and known.measurements == found:
        return known
    lasting = [flag for flag in base.flags if flag in LASTING]
    own = [CORRECTED] if known is not None and known.model else [ELSEWHERE]
    flags = tuple(flag for flag in FLAGS if flag in (*lasting, *own))
    told = [_NO_SIDES] if base.sides and _NO_SIDES not in base.warnings else []
    return replace(base, measurements=found, flags=flags, sides={}, warnings=(*base.warnings, *told))


def stamped(record: Record, started: float) -> Record:
    """Return a record with the time that the case took, and the date."""
    seconds = round(time.perf_counter() - started, 3)
    return replace(record, seconds=seconds, finished=datetime.now(UTC).isoformat(timespec="seconds"))


def _scan(planned: RunPlan, settings: CohortSettings) -> Scan:
    scan = result_of(planned.scan())
    return scan.with_spacing(settings.spacing) if settings.spacing and scan.grid.unit != "mm" else scan


def _hashes(case: Case, ref: CaseRef) -> dict[str, str]:
    """Return the hashes of the files that a case was read from, of a DICOM series one under its name.

    Files of a series are often called by identifiers of the patient.
    """
    files = {*input_files(case, [ref.path])} - series_files(case)
    found = hashes(ref, (path for path in files if path.is_file()))
    for image in case.images:
        layout = image.grid.file_layout
        if layout is not None and layout.slice_files:
            found[image.name] = hash_of_series(file.path for file in layout.slice_files)
    return found


def _sides(scan: Scan, seg: Segmentation) -> dict[str, str]:
    """Return the side of each region; none where the plane of the scan cannot be trusted."""
    if not seg.labels.any():
        return {}
    try:
        plane = find_midline(scan)
    except GeometryError:
        return {}
    return {one.name: one.side for one in laterality(seg, plane)} if plane.confident else {}

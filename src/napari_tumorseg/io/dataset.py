"""A data set: cases below some folders, each with a reference mask, known by the patient they are of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_tumorseg.errors import ChoiceNeededError, GeometryError, InputError, Remedy
from napari_tumorseg.io.case import Case, Mask, bring, fitting_names, pick_case
from napari_tumorseg.io.formats import HDF5
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.reading import cases_in, open_case, open_found, read_mask
from napari_tumorseg.scan import Image, Role, Scan, Segmentation


class UnlabelledError(InputError):
    """A case has no image or no reference mask: nothing can be learnt from it, nothing compared."""


_PATIENTS = (
    (re.compile(r"TCGA[-_]([A-Z0-9]{2})[-_]([A-Z0-9]{4})", re.IGNORECASE), "TCGA-{}-{}"),
    (re.compile(r"(BraTS-[A-Z]+-\d+)-\d{3}$", re.IGNORECASE), "{}"),  # the last number is the time point
    (re.compile(r"^(BRATS_\d+)\.nii", re.IGNORECASE), "{}"),  # patches cut from one volume
    (re.compile(r"^(sub-[A-Z0-9]+)", re.IGNORECASE), "{}"),  # BIDS
    (re.compile(r"^([^/]+)/"), "{}"),  # PATIENT/EXAMINATION
)


def patient_of(name: str) -> str:
    """Return the patient of a case as far as its name shows: the same in every layout and at every time.

    ``TCGA_DU_7294_19890104`` and ``TCGA-DU-7294/brain_extracted`` are one patient, and so are
    ``BraTS-GLI-00005-100`` and ``BraTS-GLI-00005-101``, all ``sub-01_...``, and what lies in one folder of a
    folder (``PATIENT/2019``). A name of no such pattern is a patient of its own.
    """
    for pattern, text in _PATIENTS:
        found = pattern.search(name)
        if found:
            parts = found.groups()
            return text.format(*((p.upper() for p in parts) if text != "{}" else parts))
    return name


def as_wanted(scan: Scan, roles: Sequence[Role]) -> Scan:
    """Return the scan with its only image in the only role that is wanted, where its own is not stated.

    Pairs of an image and a mask in HDF5 say nothing of the modality; a model that takes just one is meant.
    """
    lone = scan.images[0]
    if len(scan.images) == 1 and lone.role is Role.OTHER and len(roles) == 1:
        return scan.with_roles({lone.name: roles[0]})
    return scan


@dataclass(frozen=True)
class CaseRef:
    """Reference to a case that has not been read yet.

    Attributes
    ----------
    path : Path
        The file or folder that was named.
    case : str
        Which case of it, as `open_case` wants it.
    masks : tuple of str
        Which mask is the reference where there are several: parts of names, the best first.
    found : FoundCase or None
        The way to read it, where the path was searched already.
    mask_file : Path or None
        File of the reference mask, in place of what the case itself holds.
    """

    path: Path
    case: str
    masks: tuple[str, ...] = ()
    found: FoundCase | None = field(default=None, compare=False, repr=False)
    mask_file: Path | None = None

    @property
    def name(self) -> str:
        """The case's name in tables, splits and file names."""
        return self.case.replace("/", "_")

    @property
    def patient(self) -> str:
        """Patient identifier; see `patient_of`."""
        return patient_of(self.case)

    def open(self) -> Case:
        """Read everything that belongs to the case."""
        for ending in HDF5.written:
            file = self.path / f"{self.case}{ending}"
            if file.is_file():  # among thousands of such files the folder need not be looked through for each
                found = open_case(file)
                if found.masks and found.images and found.name == self.case:
                    return found
        return open_found(self.path, self.found) if self.found else open_case(self.path, self.case)

    def load(self, labels: str | None = None, same_voxels: bool = False) -> tuple[Scan, Segmentation]:
        """Return the scan and its reference mask, both on the scan's grid.

        Parameters
        ----------
        labels : str, optional
            Label convention of masks that do not state it.
        same_voxels : bool
            Take files of equal shape voxel for voxel, whatever their affines say.

        Raises
        ------
        UnlabelledError
            If it has no image or no mask.
        ChoiceNeededError
            If several masks could be meant, or several conventions.
        GeometryError
            If the mask does not lie on the scan.
        """
        found = self.open()
        if not found.images:
            raise UnlabelledError(f"{self._where} holds no image")
        scan = found.scan(same_voxels=same_voxels)
        seg = self._reference(found, labels)
        carrier = Image(seg.name, Role.TUMOUR_MASK, seg.labels, seg.grid, seg.source)
        try:
            placed = bring(carrier, scan.reference, same_voxels, nearest=True)
        except GeometryError as error:
            if found.masks or self.mask_file:
                raise
            raise UnlabelledError(f"{self._where} has no reference mask: {error}") from error
        return scan, Segmentation(placed.data, scan.grid, seg.convention, self.name, seg.source)

    @property
    def _where(self) -> str:
        return f"{self.path / self.case}"

    def _reference(self, case: Case, labels: str | None) -> Segmentation:
        if self.mask_file is not None:
            return read_mask(self.mask_file, labels)
        mask = self._mask(case)
        seg = mask.segmentation(None if mask.convention else labels)
        return replace(seg, name=mask.name, source=mask.source)

    def _mask(self, case: Case) -> Mask:
        masks = case.masks or self._beside()
        for wanted in self.masks:
            exact = [m for m in masks if m.name == wanted]
            near = exact or [m for m in masks if wanted.lower() in m.name.lower()]
            if near:
                return near[0]
        if not masks:
            raise UnlabelledError(f"{self._where} has no reference mask")
        if len(masks) > 1:
            names = [m.name for m in masks]
            raise ChoiceNeededError(
                f"{self._where} has several masks ({', '.join(names)})", names, Remedy.CHOOSE_REFERENCE
            )
        return masks[0]

    def _beside(self) -> tuple[Mask, ...]:
        """Return the masks in the folders beside a nested case: ``PATIENT/images``, ``PATIENT/masks``."""
        parent = Path(self.case).parent
        if parent == Path():
            return ()
        folder, own = self.path / parent, Path(self.case).name
        found: list[Mask] = []
        for inner in sorted(p for p in folder.iterdir() if p.is_dir() and p.name != own):
            try:
                beside = open_case(inner)
            except (InputError, ChoiceNeededError):
                continue
            found += beside.masks if not beside.images else ()
        return tuple(found)


@dataclass(frozen=True)
class DataSet:
    """Cases, in the order of their folders and names.

    Attributes
    ----------
    cases : tuple of CaseRef
        Nothing is read yet; some may turn out to have no mask.
    """

    cases: tuple[CaseRef, ...]

    @classmethod
    def find(cls, paths: Sequence[Path], masks: Sequence[str] = ()) -> DataSet:
        """List every case in some files or folders, of any layout that can be read.

        Parameters
        ----------
        paths : sequence of Path
            Files or folders of cases.
        masks : sequence of str
            Which mask is the reference where a case has several: parts of names, the best first.

        Raises
        ------
        InputError
            If nothing readable is there, or one name stands for two cases.
        """
        cases = [CaseRef(Path(p), c.name, tuple(masks), c) for p in paths for c in cases_in(p)]
        seen: dict[str, CaseRef] = {}
        for case in cases:
            other = seen.setdefault(case.name, case)
            if other is not case:
                raise InputError(f"{other.path} and {case.path} both hold a case {case.name}; rename one")
        return cls(tuple(cases))

    def named(self, names: Sequence[str]) -> DataSet:
        """Return the cases with these names, in this order; short forms are those of `pick_case`.

        Raises
        ------
        InputError
            If one is not there.
        ChoiceNeededError
            If several are called so.
        """
        known = {case.case: case for case in self.cases}
        missing = [name for name in names if not fitting_names(list(known), name)]
        if missing:
            lacking = f"{len(missing)} of {len(names)} missing"
            raise InputError(f"the data contain no case {missing[0]} ({lacking})")
        return DataSet(tuple(known[pick_case(list(known), name, self.cases[0].path)] for name in names))

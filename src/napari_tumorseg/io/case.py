"""Cases: images on grids of their own and masks, as found in files, and the scan made of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.errors import ChoiceNeededError, GeometryError, InputError, Notice, Remedy
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io.arrays import fitting
from napari_tumorseg.io.label_arrays import LabelArray, present
from napari_tumorseg.io.named_conventions import named_candidates
from napari_tumorseg.io.resample import onto
from napari_tumorseg.regions import CONVENTIONS, LabelConvention, conventions_for, decide_convention
from napari_tumorseg.scan import MODALITIES, Image, Role, Scan, Segmentation

_REFERENCE_ORDER = (Role.FLAIR, Role.T1C, Role.T2, Role.T1, Role.OTHER)
MIN_OVERLAP = 0.5
"""Share of the smaller box that two images of one examination have in common at least."""

_NOT_IN_NAMES = '/\\:*?"<>|'


@dataclass(frozen=True, eq=False)
class Mask:
    """A tumour mask as found in a file, its label convention perhaps not known yet.

    Attributes
    ----------
    name : str
        File stem or dataset name.
    labels : (Z, Y, X) array of uint8
        Canonical.
    grid : Grid
        Where it lies.
    convention : LabelConvention or None
        As stated by a side file or the folder's layout; None if it is not stated.
    source : Path or None
        The file.
    value : int
        The file's own number for the only label, where `labels` holds 1 for it; else 0.
    notes : tuple of str
        Sentences on how it was read; its case has them among the warnings.
    """

    name: str
    labels: Array
    grid: Grid
    convention: LabelConvention | None = None
    source: Path | None = None
    value: int = 0
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        found: LabelArray,
        grid: Grid,
        convention: LabelConvention | None = None,
        source: Path | None = None,
        notes: Sequence[str] = (),
    ) -> Mask:
        """Return the mask of decoded labels, in the convention of its file if the labels fit that."""
        labels, value = found.labels, found.value
        if convention is not None and value in convention.values:
            labels, value = labels * np.uint8(value), 0
        convention = found.convention or fitting(convention, labels)
        about = source.name if source is not None and source.is_file() else name
        all_notes = (*notes, *(f"{about}: {note}" for note in found.notes if value == found.value))
        return cls(name, labels, grid, convention, source, value, all_notes)

    def conventions(self) -> list[LabelConvention]:
        """Return the conventions that fit the labels and do not contradict the mask's name."""
        values = present(self.labels)
        fit, named = conventions_for(values), named_candidates(self.name)
        return [c for c in fit if c.name in named] or fit

    def segmentation(self, convention: str | None = None) -> Segmentation:
        """Return it with its convention: the one named, the one known, or the only one that fits.

        Raises
        ------
        ChoiceNeededError
            If several conventions fit and none is named.
        InputError
            If a label is in none, or not in the one named.
        """
        labels, where = self.labels, str(self.source or self.name)
        chosen = get_convention(convention) if convention else self.convention or self._decided(where)
        if self.value in chosen.values:
            labels = labels * np.uint8(self.value)
        strange = sorted(set(present(labels)) - chosen.values)
        if strange:
            raise InputError(f"{where} holds the labels {strange}, which {chosen.name} does not have")
        return Segmentation(labels, self.grid, chosen, self.name, self.source)

    def _decided(self, where: str) -> LabelConvention:
        if self.value:  # its only number is no label of a convention known here
            return CONVENTIONS["binary"]
        among = [c.name for c in self.conventions()] or tuple(CONVENTIONS)
        return decide_convention(present(self.labels), where, among)


@dataclass(frozen=True, eq=False)
class Case:
    """Everything that was found for one case at one time.

    Attributes
    ----------
    name : str
        Name of the case, used for file names: what no file name may hold is replaced.
    images : tuple of Image
        Channels, each on the grid of its own file.
    masks : tuple of Mask
        Tumour masks; listed, none of them chosen.
    brain_mask : Image or None
        A brain mask that came with the case.
    layout : str
        What kind of file or folder it is.
    time_point : str
        From the names of folders or files; else empty.
    warnings : tuple of str
        What a user should know, such as a mask that could not be read.
    """

    name: str
    images: tuple[Image, ...]
    masks: tuple[Mask, ...] = ()
    brain_mask: Image | None = None
    layout: str = ""
    time_point: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", file_name(self.name))
        notes = (note for mask in self.masks for note in mask.notes)
        object.__setattr__(self, "warnings", (*dict.fromkeys((*self.warnings, *notes)),))

    def with_roles(self, roles: Mapping[str, Role]) -> Case:
        """Return the case with the roles of some images, by name, set anew."""
        known = {image.name for image in self.images}
        for name, role in roles.items():
            if name not in known:
                raise InputError(f"{self.name} has no image {name!r}; it has {', '.join(sorted(known))}")
            if role not in _REFERENCE_ORDER:
                raise InputError(f"{name} is an image; it cannot be taken as a {role}")
        images = [replace(i, role=roles[i.name], role_note="") if i.name in roles else i for i in self.images]
        return replace(self, images=tuple(images))

    def reference(self, wanted: str | None = None) -> Image:
        """Return the image on whose grid the case is segmented: FLAIR unless another is named.

        Parameters
        ----------
        wanted : str, optional
            A role or the name of an image.
        """
        if not self.images:
            because = f" ({'; '.join(self.warnings)})" if self.warnings else ""
            raise InputError(f"{self.name} holds no image, only {len(self.masks)} mask(s){because}")
        if wanted is not None:
            for image in self.images:
                if wanted == image.name or wanted.lower() == image.role:
                    return image
            names = ", ".join(f"{i.name} ({i.role})" for i in self.images)
            raise InputError(f"{self.name} has no image {wanted!r} to be the reference; it has {names}")
        return min(self.images, key=lambda image: _REFERENCE_ORDER.index(image.role))

    def scan(self, reference: str | None = None, same_voxels: bool = False) -> Scan:
        """Return the channels on one grid, that of the reference.

        Parameters
        ----------
        reference : str, optional
            Role or name of the image whose grid it is; FLAIR where there is one.
        same_voxels : bool
            Take images of equal shape voxel for voxel, whatever their affines say.

        Raises
        ------
        GeometryError
            If the images do not lie in one space.
        ChoiceNeededError
            If two images claim one role.
        """
        base = self.reference(reference)
        refuse_double_roles(self)
        images: list[Image] = [base]
        notes: list[str] = []
        for image in self.images:
            if image is base:
                continue
            try:
                images.append(bring(image, base, same_voxels))
            except GeometryError as error:
                if image.role in MODALITIES:
                    raise
                text = f"{image.name} is left out: {_without_folders(error, image, base)}"
                notes.append(Notice(text, error.remedy))
        notes += [f"{_shown(i)} was {i.note}" for i in images if i.note]
        notes += role_notices(images)
        brain, more = self._brain_on(base, same_voxels)
        return Scan(
            self.name, tuple(images), brain, self.time_point, self.layout, (*self.warnings, *notes, *more)
        )

    def _brain_on(self, base: Image, same_voxels: bool) -> tuple[Array | None, list[str]]:
        """Return the brain mask on the reference grid; one that does not fit is left out, with a sentence."""
        if self.brain_mask is None:
            return None, []
        try:
            found = bring(self.brain_mask, base, same_voxels, nearest=True)
        except GeometryError as error:
            text = f"the brain mask is left out: {_without_folders(error, self.brain_mask, base)}"
            return None, [Notice(text, error.remedy)]
        return found.data > 0.5, []


def bring(image: Image, base: Image, same_voxels: bool = False, nearest: bool = False) -> Image:
    """Return an image on the grid of another one of the same case.

    The files of one case are taken to share a world: q/s-form codes prove nothing.

    Raises
    ------
    GeometryError
        If the boxes overlap by less than half, or the shapes are equal and the affines are not, which is
        nearly always a header that was lost on the way.
    """
    if image.grid.same_space(base.grid):
        return replace(image, grid=base.grid)
    if same_file_shape(image.grid, base.grid) and (
        same_voxels or "unknown" in (image.grid.unit, base.grid.unit)
    ):
        return _index_for_index(image, base)
    where = f"{image.source or image.name} against {base.source or base.name}"
    if same_file_shape(image.grid, base.grid):
        raise GeometryError(
            f"{where}: equal shape {image.grid.shape} but another affine, as after a lost header",
            remedy=Remedy.IGNORE_AFFINE,
        )
    if "unknown" in (image.grid.unit, base.grid.unit):
        raise GeometryError(f"{where}: the shapes differ, and without voxel sizes they cannot be aligned")
    share = image.grid.overlap(base.grid)
    if share < MIN_OVERLAP:
        raise GeometryError(
            f"{where}: their boxes overlap by only {share:.0%}; they do not seem to be of one examination"
        )
    tilted = ", its slices being tilted against it" if not image.grid.is_parallel(base.grid) else ""
    note = f"resampled onto the grid of {_shown(base)}{tilted}"
    return replace(image, data=onto(image.data, image.grid, base.grid, nearest), grid=base.grid, note=note)


def place(mask: Segmentation, base: Segmentation, same_voxels: bool = False) -> Segmentation:
    """Return a mask on the grid of another one of the same case, voxel by voxel the nearest.

    Raises
    ------
    GeometryError
        As `bring`, or if a part of the tumour would lie outside of that grid.
    """
    carrier = Image(mask.name, Role.TUMOUR_MASK, mask.labels, mask.grid, mask.source)
    onto_base = Image(base.name, Role.TUMOUR_MASK, base.labels, base.grid, base.source)
    placed = bring(carrier, onto_base, same_voxels, nearest=True)
    outside = _voxels_outside(mask, base.grid) if placed.note.startswith("resampled") else 0
    if outside:
        raise GeometryError(
            f"{mask.source or mask.name} reaches beyond {base.source or base.name}: {outside} of its tumour "
            "voxels lie outside, so the two cannot be compared"
        )
    return replace(mask, labels=placed.data, grid=base.grid)


def _voxels_outside(mask: Segmentation, grid: Grid) -> int:
    """Return how many tumour voxels of a mask have their centre outside of a grid."""
    world = mask.grid.to_world(np.argwhere(mask.labels > 0))
    inverse = np.linalg.inv(grid.affine)
    indices = world @ inverse[:3, :3].T + inverse[:3, 3]
    inside = np.all((indices > -0.51) & (indices < np.asarray(grid.shape) - 0.49), axis=1)
    return int(np.count_nonzero(~inside))


def _without_folders(error: GeometryError, *images: Image) -> str:
    """Return an error as a warning that may be stored: folders can name patients."""
    text = str(error)
    for image in images:
        if image.source is not None:
            text = text.replace(str(image.source), image.source.name)
    return text


def _shown(image: Image) -> str:
    """Return what to call an image in a sentence: its modality, where that is known."""
    return str(image.role) if image.role in MODALITIES else image.name


def _index_for_index(image: Image, base: Image) -> Image:
    """Return an image read in the order of the base's file, as if it had the base's header."""
    data = image.grid.to_file_order(image.data)
    if base.grid.file_layout is not None:
        data = base.grid.file_layout.axis_order.apply(data)
    return replace(
        image, data=data, grid=base.grid, note="taken voxel for voxel, its own affine being ignored"
    )


def same_file_shape(one: Grid, other: Grid) -> bool:
    """Return whether the files of two grids hold arrays of one shape."""
    return _file_shape(one) == _file_shape(other)


def _file_shape(grid: Grid) -> tuple[int, int, int]:
    return grid.file_layout.shape if grid.file_layout else grid.shape


def role_notices(images: Iterable[Image]) -> list[str]:
    """Return a sentence for each image whose role rests on a contested word of its name."""
    return [Notice(f"{i.name} is taken as {i.role_note}", Remedy.STATE_ROLES) for i in images if i.role_note]


def refuse_double_roles(case: Case) -> None:
    """Raise if two images claim one modality."""
    for role in MODALITIES:
        names = [image.name for image in case.images if image.role is role]
        if len(names) > 1:
            raise ChoiceNeededError(
                f"{case.name} has {len(names)} images that look like {role}: {', '.join(names)}",
                names,
                Remedy.STATE_ROLES,
            )


def pick_case(names: Sequence[str], wanted: str | None, path: Path) -> str:
    """Return the case that is wanted, or the only one.

    A case may be called by its whole name, with underscores for slashes as in tables, or by the last parts of
    its name where only one is called so.

    Raises
    ------
    ChoiceNeededError
        If there are several and none is wanted, or several are called so.
    InputError
        If the one that is wanted is not there, or none is.
    """
    if not names:
        raise InputError(f"{path} holds no case")
    if wanted is None:
        if len(names) > 1:
            text = f"{path} holds {len(names)} cases ({_listed(names)})"
            raise ChoiceNeededError(text, names, Remedy.CHOOSE_CASE)
        return names[0]
    fit = fitting_names(names, wanted)
    if len(fit) > 1:
        text = f"{path} holds {len(fit)} cases called {wanted} ({_listed(fit)})"
        raise ChoiceNeededError(text, fit, Remedy.CHOOSE_CASE)
    if not fit:
        raise InputError(f"{path} holds no case {wanted!r}; it holds {_listed(names)}")
    return fit[0]


def fitting_names(names: Sequence[str], wanted: str) -> list[str]:
    """Return the names of cases that may be meant: by the whole name, else by its last parts.

    An accent may be a letter with it or a character of its own, as file systems of macOS write it.
    """
    found = _named(names, wanted)
    if found or (wanted.isascii() and all(map(str.isascii, names))):
        return found
    composed = {name: unicodedata.normalize("NFC", name) for name in names}
    fit = _named(list(composed.values()), unicodedata.normalize("NFC", wanted))
    return [name for name, text in composed.items() if text in fit]


def _named(names: Sequence[str], wanted: str) -> list[str]:
    whole = [name for name in names if wanted in (name, name.replace("/", "_"))]
    return whole or [name for name in names if _ends_with(name, wanted)]


def _ends_with(name: str, wanted: str) -> bool:
    """Return whether the last of the folders and the name that make a case's name are those wanted."""
    parts = name.split("/")
    return any(wanted in ("/".join(parts[i:]), "_".join(parts[i:])) for i in range(1, len(parts)))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def file_name(name: str) -> str:
    """Return a name that is safe as part of a file name, whatever a file or group was called."""
    safe = "".join("_" if c in _NOT_IN_NAMES or not c.isprintable() else c for c in name)
    return safe.strip(". ") or "case"

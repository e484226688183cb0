"""Cases, scans and masks read from paths, whatever the format and the layout of the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.arrays import distinct, without_folder
from napari_tumorseg.io.case import Case, Mask, pick_case
from napari_tumorseg.io.dicom.files import is_dicom
from napari_tumorseg.io.dicom.reader import open_files as open_dicom_files
from napari_tumorseg.io.discovery import find_cases
from napari_tumorseg.io.formats import DICOM, NIFTI, SliceReader, format_of
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.label_arrays import decode_mask, is_labels
from napari_tumorseg.io.nifti_cases import open_files
from napari_tumorseg.io.nifti_layouts import is_task_image
from napari_tumorseg.io.side_files import set_problems, side_convention
from napari_tumorseg.scan import Image, Role, Scan, Segmentation

Paths = Path | str | Sequence[Path | str]


def readable(path: Path) -> bool:
    """Return whether a file is, by its name, of a format that can be read here."""
    return path.is_file() and format_of(path) is not None


def list_cases(path: Path | str) -> list[str]:
    """Return the names of the cases in a file or folder, fit for the `case` of `open_case`.

    Raises
    ------
    InputError
        If nothing readable is there.
    """
    return [case.name for case in cases_in(path)]


def cases_in(path: Path | str) -> list[FoundCase]:
    """Return the cases in a file or folder, not read yet.

    Raises
    ------
    InputError
        If nothing readable is there.
    """
    return find_cases(_existing(path))


def open_case(
    paths: Paths,
    case: str | None = None,
    *,
    roles: Mapping[str, Role] | None = None,
) -> Case:
    """Read everything that belongs to one case.

    Parameters
    ----------
    paths : path or sequence of paths
        A file, a case folder, or the files that are the channels of one case.
    case : str, optional
        Which case, where a folder holds several.
    roles : mapping of str to Role, optional
        What images, by name, are to be taken as, against what their names say.

    Raises
    ------
    ChoiceNeededError
        If there are several cases and none is named.
    InputError
        If nothing can be read; the message names the file.
    """
    several = [paths] if isinstance(paths, Path | str) else list(paths)
    if not several:
        raise InputError("no file or folder was named")
    files = [_existing(p) for p in several]
    found = _open_one(files[0], case) if len(files) == 1 else _open_together(files, case)
    found = _with_full_warnings(found, files)
    return found.with_roles(roles) if roles else found


def read(
    paths: Paths,
    *,
    case: str | None = None,
    roles: Mapping[str, Role] | None = None,
    reference: str | None = None,
    same_voxels: bool = False,
    spacing: tuple[float, float, float] | None = None,
) -> Scan:
    """Read a case as a scan, its channels on the grid of the reference.

    Parameters
    ----------
    paths, case, roles
        As in `open_case`.
    reference : str, optional
        Role or name of the image whose grid it is; FLAIR where there is one.
    same_voxels : bool
        Take images of equal shape voxel for voxel, whatever their affines say.
    spacing : tuple of float, optional
        Voxel size (Z, Y, X) in mm, for files that do not store it.

    Examples
    --------
    >>> scan = read("BraTS-GLI-00001-000")  # doctest: +SKIP
    """
    scan = open_case(paths, case, roles=roles).scan(reference, same_voxels)
    return scan.with_spacing(spacing) if spacing else scan


def read_mask(path: Path | str, labels: str | None = None) -> Segmentation:
    """Read the one mask that a file holds.

    Parameters
    ----------
    path : path
        A mask of any format.
    labels : str, optional
        Name of its label convention, where neither the file nor its folder states it.
    """
    path = _existing(path)
    found = open_case(path)
    masks = found.masks or tuple(_as_mask(i) for i in found.images if is_labels(i.data))
    if not masks:
        raise InputError(f"{path} holds no mask")
    if len(masks) > 1:
        raise InputError(f"{path} holds {len(masks)} masks; name one file")
    return replace(masks[0].segmentation(labels), warnings=found.warnings)


def _set_problems(case: Case) -> list[str]:
    """Return warnings about files of the case that do not fit the side file beside them."""
    found = [*(mask.source for mask in case.masks), *(image.source for image in case.images)]
    return [problem for source in dict.fromkeys(filter(None, found)) for problem in set_problems(source)]


def open_found(path: Path, found: FoundCase) -> Case:
    """Read a case that was found in a file or folder."""
    return _with_full_warnings(found.open(), [path])


def _with_full_warnings(case: Case, paths: Sequence[Path]) -> Case:
    """Return a case with warnings that name no folder, and those about side files that do not fit."""
    notes = tuple(_without_folders(w, paths) for w in case.warnings)
    return replace(case, warnings=(*notes, *_set_problems(case)))


def _open_one(path: Path, wanted: str | None) -> Case:
    form = None if path.is_dir() else format_of(path)
    if form is not None and not is_task_image(path):
        return form.reader().open_case(path, wanted)  # which may also name one of a file's arrays
    cases = find_cases(path)
    name = pick_case([case.name for case in cases], wanted, path)
    return next(case for case in cases if case.name == name).open()


def _without_folders(text: str, paths: Sequence[Path]) -> str:
    """Return a warning without the folders that the user keeps files in: it is written into side files."""
    for folder in {f for p in paths for f in (p, p.parent)}:
        text = without_folder(text, folder)
    return text


def _open_together(files: Sequence[Path], case: str | None) -> Case:
    """Read files that are one case; of several formats, their images are simply put together."""
    if all(format_of(p) is NIFTI for p in files):
        return open_files(files)
    if all(format_of(p) is DICOM or is_dicom(p) for p in files):
        return open_dicom_files(files)
    if any(p.is_dir() for p in files):
        raise InputError("several paths are the files of one case; a folder among them cannot be one")
    stacked = _open_slices(files, case)
    if stacked is not None:
        return stacked
    cases = [_open_one(p, None) for p in files]
    images = distinct([image for c in cases for image in c.images])
    return Case(
        name=cases[0].name,
        images=images,
        masks=tuple(m for c in cases for m in c.masks),
        brain_mask=next((c.brain_mask for c in cases if c.brain_mask), None),
        layout="several files",
        warnings=tuple(w for c in cases for w in c.warnings),
    )


def _open_slices(files: Sequence[Path], case: str | None) -> Case | None:
    """Read numbered slices named one by one (``PATIENT/*.tif``) as the folder; None if they are none.

    Raises
    ------
    InputError
        If some slices of the case are not among them.
    """
    folder, form = files[0].parent, format_of(files[0])
    if form is None or any(p.parent != folder or format_of(p) is not form for p in files):
        return None
    reader, given = form.reader(), {p.name for p in files}
    if not isinstance(reader, SliceReader):
        return None
    stacks = reader.stacks(folder)
    touched = {name: stack for name, stack in stacks.items() if given & stack[0]}
    if not touched:
        return None
    if not all(images <= given for images, _ in touched.values()):
        raise InputError(
            f"the files are slices of {', '.join(touched)}, but not all of them; name the folder"
        )
    others = given.difference(*(part for stack in touched.values() for part in stack))
    name = case if others else pick_case(list(touched), case, folder)
    return reader.open_case(folder, name)


def _as_mask(image: Image) -> Mask:
    """Return as a mask what its name let pass for an image, such as ``flair_abnormality``."""
    convention = side_convention(image.source) if image.source else None
    return Mask.of(image.name, decode_mask(image.data, image.name), image.grid, convention, image.source)


def _existing(path: Path | str) -> Path:
    try:
        path = Path(path).expanduser()
        there = path.exists()
    except (OSError, RuntimeError) as error:  # no access, a name that is too long, no such user
        raise InputError(f"{path} cannot be read: {error}") from error
    if not there:
        raise InputError(f"{path} does not exist")
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is neither a file nor a folder")
    return path.resolve() if path.name in ("", "..") else path  # a case is called as its folder

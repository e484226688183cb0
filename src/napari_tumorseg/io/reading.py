"""Cases, scans and masks read from paths, whatever the format and the layout of the folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.arrays import distinct, is_mask_name, without_folder
from napari_tumorseg.io.case import Case, Mask, pick_case
from napari_tumorseg.io.foreign import foreign_in_folder, foreign_kind
from napari_tumorseg.io.formats import FORMATS, NIFTI, READ_ENDINGS, Format, SliceReader, format_of
from napari_tumorseg.io.label_arrays import decode_mask, is_labels
from napari_tumorseg.io.nifti_cases import is_probability, open_files
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.io.side_files import set_problems, side_convention
from napari_tumorseg.scan import Image, Role, Scan, Segmentation

_DEPTH = 2
"""How many levels of folders are looked into for cases."""

Paths = Path | str | Sequence[Path | str]


def readable(path: Path) -> bool:
    """Tell by its name whether a file is of a format that can be read here."""
    return path.is_file() and format_of(path) is not None


def list_cases(path: Path | str) -> list[str]:
    """Return the names of the cases in a file or folder, fit for the `case` of `open_case`.

    Raises
    ------
    InputError
        If nothing readable is there.
    """
    path = _existing(path)
    form = _format_at(path)
    if form is not None:
        names = form.reader().list_cases(path)
    else:
        names = [str(folder.relative_to(path)) for folder in _case_folders(path, _DEPTH)]
    if not names:
        raise InputError(_why_nothing(path))
    return names


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
        What images, by name, are to be taken as, against what their names tell.

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
    told = tuple(_without_folders(w, files) for w in found.warnings)
    found = replace(found, warnings=(*told, *_set_problems(found)))
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
        Voxel size (Z, Y, X) in mm, for files that do not tell theirs.

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
        Name of its label convention, where neither the file nor its folder tells.
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


def _open_one(path: Path, case: str | None) -> Case:
    form = _format_at(path)
    if form is not None:
        return form.reader().open_case(path, case)
    names = list_cases(path)
    chosen = pick_case(names, case, path)
    inner = _open_one(path / chosen, None)
    nested = "/".join(Path(chosen).parts[:-1])  # PATIENT/native: the folder's own name says too little
    return replace(inner, name=f"{nested.replace('/', '_')}_{inner.name}") if nested else inner


def _without_folders(text: str, paths: Sequence[Path]) -> str:
    """Return a warning without the folders that the user keeps files in: it is written into side files."""
    for folder in {f for p in paths for f in (p, p.parent)}:
        text = without_folder(text, folder)
    return text


def _open_together(files: Sequence[Path], case: str | None) -> Case:
    """Read files that are one case; of several formats, their images are simply put together."""
    if all(format_of(p) is NIFTI for p in files):
        return open_files(files)
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


def _format_at(path: Path) -> Format | None:
    """Return the format of a file, or of the files that lie directly in a folder."""
    form = None if path.is_dir() else format_of(path)
    return form or _format_inside(path)


def _format_inside(folder: Path) -> Format | None:
    """Return the format of the files lying directly in a folder, the first of several."""
    if not folder.is_dir():
        raise InputError(_why_nothing(folder))
    if (folder / "imagesTr").is_dir():
        return NIFTI
    files = [p for p in _entries(folder) if not p.is_dir()]
    present = [form for form in FORMATS if any(form.matches(p) for p in files)]
    # a mask that was saved beside the scan's slices is not what the folder is about
    scans = [form for form in present if not form.incidental and not _are_results(files, form)]
    form = next(iter(scans or present), None)
    if form is None or (_is_incidental(folder, form) and _case_folders(folder, 1)):
        return None
    return form


def _why_nothing(path: Path) -> str:
    """Return the sentence on a file or folder in which there is nothing to read."""
    readable = f"can be read here ({', '.join(READ_ENDINGS)})"
    if path.is_file():
        foreign = foreign_kind(path)
        return f"{path} {foreign}" if foreign else f"{path} is not of a format that {readable}"
    foreign = foreign_in_folder(path)
    return f"{path} holds no file that {readable}" + (f": {foreign}" if foreign else "")


def _is_incidental(folder: Path, form: Format) -> bool:
    """Tell whether a folder's own files are no case of their own: a logo, or masks, above case folders."""
    if form is not NIFTI:
        return form.incidental
    return _are_results(_entries(folder), form)


def _are_results(files: Sequence[Path], form: Format) -> bool:
    """Tell whether all files of a format are masks or probabilities, by their names and side files."""
    return all(_is_result(p, form) for p in files if format_of(p) is form)


def _is_result(path: Path, form: Format) -> bool:
    if form is not NIFTI:
        return is_mask_name(path.stem)
    if guess_role(path.name) is Role.TUMOUR_MASK or side_convention(path) is not None:
        return True
    return is_probability(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from error


def _case_folders(folder: Path, depth: int) -> list[Path]:
    """Return the folders below that hold readable files themselves."""
    found: list[Path] = []
    for inner in sorted(p for p in _entries(folder) if p.is_dir() and not p.name.startswith(".")):
        if not os.access(inner, os.R_OK | os.X_OK):
            continue
        if _format_inside(inner) is not None:
            found.append(inner)
        elif depth > 1:
            found.extend(_case_folders(inner, depth - 1))
    return found

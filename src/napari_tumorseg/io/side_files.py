"""Side files: the JSON beside a mask with its label convention, its provenance and the files of its set.

A side file lists the files that were written together, the mask among them, by SHA-256. One that does not
fit its mask (another run's, or the mask was changed elsewhere) is not used. Side files of earlier versions
list no files and are taken as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tumorseg.conventions import own_convention
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.io.formats import format_of, side_file, written_format
from napari_tumorseg.io.json_files import read_json
from napari_tumorseg.io.output_set import abandoned_files, sha256
from napari_tumorseg.regions import CONVENTIONS, LabelConvention

if TYPE_CHECKING:
    from napari_tumorseg.io.case import Case
    from napari_tumorseg.scan import Image

_NOT_REPLACED = "is not replaced; choose another name or folder"
_ABOUT_LABELS = ("case", "scheme", "labels", "tissues", "unit", "files")
"""Keys of a side file that are not of its mask's provenance."""
_SLICE_MASK = re.compile(r"(.+)_\d+_mask$")


def side_convention(mask: Path) -> LabelConvention | None:
    """Return the label convention that a side file names or spells out; None if it does not fit its mask."""
    content = read_side_file(side_file(mask))
    if content is None or not _describes(content, mask):
        return None
    try:
        if content["scheme"] in CONVENTIONS:
            return CONVENTIONS[content["scheme"]]
        names, tissues = content["labels"], content["tissues"]
        labels = {number: {"tissue": tissues[number], "name": names[number]} for number in tissues}
        return own_convention({"name": content["scheme"], "labels": labels}, str(side_file(mask)))
    except (ValueError, KeyError, TypeError, AttributeError, InputError):
        return None


def read_side_file(path: Path) -> dict[str, Any] | None:
    """Return the content of a side file; None if it cannot be read or is not one of this program."""
    content = read_json(path)
    return content if content is not None and "scheme" in content else None


def provenance_beside(mask: Path) -> dict[str, Any]:
    """Return the provenance in the side file of a mask; empty without one that fits the mask."""
    content = read_side_file(side_file(mask))
    if content is None or not _describes(content, mask):
        return {}
    return {key: value for key, value in content.items() if key not in _ABOUT_LABELS}


def holds_json(path: Path) -> bool:
    """Return whether a file holds a JSON object, ours or not."""
    return read_json(path) is not None


def files_of_set(mask: Path) -> list[Path]:
    """Return the files that the side file of a mask lists, the mask among them; none without a side file."""
    return [mask.with_name(name) for name in _files(read_side_file(side_file(mask)) or {})]


def set_problems(source: Path) -> list[str]:
    """Return a sentence for each file that does not fit the side file of its set.

    Parameters
    ----------
    source : Path
        A mask, or the folder of an LGG case, whose slices have one side file.
    """
    if source.is_dir():
        return [problem for side in sorted(source.glob("*_mask.json")) for problem in _unlike(side)]
    side = _side_of(source)
    content = read_side_file(side)
    if content is None:
        return []
    if _describes(content, source):
        return _unlike(side)
    unused = f"{side.name} belongs to another version of {source.name}, so it is not used"
    return [unused, *_unlike(side, but=source.name)]


def _unlike(side: Path, but: str = "") -> list[str]:
    """Return a sentence for each file that differs from the one that a side file lists."""
    return [
        f"{name} and {side.name} are of different runs or versions"
        for name, checksum in _files(read_side_file(side) or {}).items()
        if name != but and (other := side.with_name(name)).is_file() and _checksum(other) != checksum
    ]


def check_replaceable(path: Path, side: Path | None = None) -> None:
    """Refuse to replace a mask or scan that the side file does not describe, such as the expert's mask.

    Parameters
    ----------
    path : Path
        File to write.
    side : Path, optional
        Its side file, where that is not named after it.

    Raises
    ------
    OutputError
        If the file was not written by this program or was changed since; or if the side file to write is
        something else, or describes another mask.
    """
    side = side_file(path) if side is None else side
    content = read_side_file(side)
    if path.exists():
        if (content is None or not _describes_at(side, content, path)) and not _was_interrupted(path):
            is_ours = content is not None and path.name in _files(content)
            event = "changed by another program" if is_ours else "not written by this program"
            raise OutputError(f"{path} was {event} and {_NOT_REPLACED}")
    elif side.exists():
        if content is None or not _is_whole(content):
            raise OutputError(f"{side} belongs to something else and {_NOT_REPLACED}")
        if path.name not in _files(content) and (others := _masks_beside(side, path)):
            raise OutputError(f"{side} belongs to {others[0].name} and {_NOT_REPLACED}")


def _was_interrupted(mask: Path) -> bool:
    """Return whether a mask is of a set whose process was killed before it could name the side file."""
    left = (path for path in abandoned_files(mask.parent) if path.suffix == ".json")
    contents = map(read_side_file, left)
    return any(content is not None and _describes(content, mask) for content in contents)


def _describes_at(side: Path, content: Mapping[str, Any], mask: Path) -> bool:
    """Return whether a side file describes this very mask.

    Side files of earlier versions list no files. One holds for its mask if there is no other of that name:
    of ``a_seg.nii`` and ``a_seg.nii.gz`` either may be the one of another program.
    """
    if _files(content):
        return _describes(content, mask)
    return _is_whole(content) and not _masks_beside(side, mask)


def _is_whole(content: Mapping[str, Any]) -> bool:
    """Return whether a side file has all that every version has written."""
    return {"case", "scheme", "labels"} <= content.keys()


def _masks_beside(side: Path, mask: Path) -> list[Path]:
    """Return the other masks that the side file may belong to by its name."""
    return [
        path
        for path in sorted(side.parent.iterdir())
        if path.name != mask.name and written_format(path) and side_file(path).name == side.name
    ]


def check_no_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse outputs that are inputs, also by another name: a symbolic or hard link.

    Raises
    ------
    OutputError
        If one of them is.
    """
    known = {identity for path in inputs for identity in _identities(path)}
    for path in outputs:
        if any(identity in known for identity in _identities(path)):
            raise OutputError(f"{path} is an input and is not replaced; choose another name or folder")


def input_files(case: Case, paths: Iterable[Path]) -> list[Path]:
    """Return the files that a case was read from; those that this program wrote beside them are left out."""
    images = (*case.images, *([case.brain_mask] if case.brain_mask else []))
    sources = {*(path for path in paths if path.is_file()), *(p for i in images for p in _files_of(i))}
    return [file for source in sources for file in (_scan_files(source) if source.is_dir() else [source])]


def series_files(case: Case) -> set[Path]:
    """Return the files of a case's DICOM series, which are often called by identifiers of the patient."""
    layouts = (image.grid.file_layout for image in case.images)
    return {file.path for layout in layouts if layout for file in layout.slice_files}


def _files_of(image: Image) -> set[Path]:
    """Return the files of a DICOM series, else the file or folder of an image."""
    layout = image.grid.file_layout
    if layout is not None and layout.slice_files:
        return {file.path for file in layout.slice_files}
    return {image.source} if image.source else set()


def _scan_files(folder: Path) -> Iterator[Path]:
    """Yield the readable files of a folder, but for those that its side files list."""
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return
    own = _listed(path for path in files if path.suffix == ".json")
    yield from (path for path in files if path.name not in own and format_of(path))


def _listed(sides: Iterable[Path]) -> set[str]:
    """Return the names of all files that side files list."""
    contents = filter(None, map(read_side_file, sides))
    return {name for content in contents for name in _files(content)}


def _identities(path: Path) -> Iterator[object]:
    with suppress(OSError):
        found = path.stat()
        yield found.st_dev, found.st_ino
    yield os.path.realpath(path)


def _side_of(mask: Path) -> Path:
    """Return where the side file of a mask lies: the slices of an LGG case share one."""
    own = side_file(mask)
    found = _SLICE_MASK.match(own.stem)
    shared = own.with_name(f"{found[1]}_mask.json") if found else own
    return shared if not own.exists() else own


def _files(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksums of a set by file name; names with folders are left out."""
    files = content.get("files")
    if not isinstance(files, dict):
        return {}
    return {name: str(value) for name, value in files.items() if name and Path(name).name == name}


def _describes(content: Mapping[str, Any], mask: Path) -> bool:
    """Return whether a side file fits a mask, also one that was renamed together with it."""
    files = _files(content)
    if not files:
        return True
    found = _checksum(mask)
    return files[mask.name] == found if mask.name in files else found in files.values()


def _checksum(path: Path) -> str:
    try:
        found = path.stat()
        return _cached_checksum(path, found.st_mtime_ns, found.st_size, found.st_ino)
    except OSError:
        return ""


@lru_cache(maxsize=256)
def _cached_checksum(path: Path, changed: int, size: int, number: int) -> str:
    """Return the SHA-256 of a file; the other arguments distinguish its versions."""
    return sha256(path)

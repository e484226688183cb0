"""PNG and JPEG: two-dimensional pictures as volumes of one slice.

Rows run towards the back and columns towards the left, as axial slices are shown; the voxel size is
unknown (a picture's dots per inch are for printing). Only pixels are used: text chunks, EXIF and other
metadata are never copied. An EXIF orientation is not applied, so that a mask equals the picture pixel
for pixel; a warning says that there is one.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from napari_tumorseg.errors import InputError, TooLargeError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io.arrays import attempt, files_in, is_mask_name, masks_beside
from napari_tumorseg.io.case import Case, Mask, pick_case
from napari_tumorseg.io.foreign import foreign_kind
from napari_tumorseg.io.formats import PICTURE
from napari_tumorseg.io.label_arrays import decode_mask
from napari_tumorseg.io.limits import check_array
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import MODALITIES, Image, Role

_ORIENTATION = 0x0112
_GREY_TOLERANCE = 2
"""JPEG may round the three channels of a grey picture apart by so much."""
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def list_cases(path: Path) -> list[str]:
    """Return the names of the pictures in a folder, but for those that are masks; or of the one file."""
    return list(_folder(path)) if path.is_dir() else [path.stem]


def open_case(path: Path, case: str | None = None) -> Case:
    """Read a picture as a volume of one slice, with the masks that lie beside it (``X_mask.png``).

    Colour pictures whose channels are equal are grey; others are turned into grey, with a note.

    Raises
    ------
    InputError
        If it cannot be read; the message names the file.
    ChoiceNeededError
        If a folder holds several and none is named.
    """
    if path.is_dir():
        cases = _folder(path)
        if not cases:
            raise InputError(f"{path} holds no picture")
        return open_case(cases[pick_case(list(cases), case, path)])
    if is_mask_name(path.stem):
        return Case(path.stem, (), (_mask(path, None),), layout="picture of a mask")
    return open_picture(path, masks_beside(path, PICTURE.endings))


def open_picture(path: Path, masks_of_it: Sequence[Path] = (), layout: str = "picture") -> Case:
    """Read a picture as a volume of one slice, with masks that are known to be its own.

    Parameters
    ----------
    path : Path
        The picture.
    masks_of_it : sequence of Path
        Pictures of masks; one that cannot be read is left out, with a warning.
    layout : str
        Layout that the case is said to have.

    Raises
    ------
    InputError
        If the picture cannot be read; the message names the file.
    """
    values, notes = _read(path)
    grid = Grid.from_codes((1, *values.shape))
    role = guess_role(path.stem)
    image = Image(path.stem, role if role in MODALITIES else Role.OTHER, values[None], grid, path)
    masks: list[Mask] = []
    for mask in masks_of_it:
        found, bad = attempt(partial(_mask, mask, grid), mask.parent)
        masks += found
        notes += bad
    return Case(path.stem, (image,), tuple(masks), layout=layout, warnings=tuple(notes))


@contextmanager
def _opened(path: Path) -> Iterator[Pillow.Image]:
    """Open a picture after a look at what its header claims."""
    if not path.is_file():
        raise InputError(f"{path} is not there")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the own limit decides
            with Pillow.open(path, formats=("PNG", "JPEG")) as picture:
                check_array((picture.height, picture.width, len(picture.getbands())), np.uint8, path)
                yield picture
    except Pillow.DecompressionBombError:
        raise TooLargeError(
            f"{path}: the header declares more pixels than a picture can sensibly have"
        ) from None
    except PermissionError:
        raise InputError(f"{path} cannot be read: no permission") from None
    except (OSError, SyntaxError, ValueError, EOFError):  # what Pillow raises for damaged files
        cause = foreign_kind(path) or "is no PNG or JPEG, damaged or truncated"
        raise InputError(f"{path} cannot be read: it {cause}") from None


def _read(path: Path) -> tuple[Array, list[str]]:
    """Return a picture as grey values (row, column), and what was done to get there."""
    with _opened(path) as picture:
        notes = []
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            notes.append(f"{path.name} says that it is to be shown turned; it was read as it is stored")
        if picture.mode in _DEEP:
            return _native(np.array(picture)), notes
        if picture.mode in ("1", "L", "LA", "La"):
            return np.array(picture.convert("L")), notes
        colours = picture.convert("RGB")
        red, green, blue = (np.asarray(channel) for channel in colours.split())
        # channel by channel: a reduction over the last axis takes a minute for a large picture
        spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
        if int(spread.max()) <= _GREY_TOLERANCE:
            return green, notes
        notes.append(f"{path.name} is in colour; its brightness was taken as the image")
        return np.array(colours.convert("L")), notes


def _mask(path: Path, grid: Grid | None) -> Mask:
    """Read a mask; on the grid of its image if that is known."""
    with _opened(path) as picture:
        if picture.mode in (*_DEEP, "1", "L", "P"):  # the indices of a palette are the labels
            values = np.array(picture)
        else:  # colours, and what is drawn on transparent ground: anything but black is tumour
            values = np.array(picture.convert("RGB")).max(axis=2)
    decoded = decode_mask(values[None], path)
    shape = decoded.labels.shape
    if grid is None:
        grid = Grid.from_codes(shape)
    if shape != grid.shape:
        raise InputError(f"{path} has shape {shape[1:]}, its picture {grid.shape[1:]}")
    binary = CONVENTIONS["binary"] if decoded.labels.max() <= 1 else None
    return Mask.of(path.stem, decoded, grid, side_convention(path) or binary, path)


def _native(values: Array) -> Array:
    """Return 16-bit values as uint16 in native byte order, though some versions of Pillow widen them."""
    if values.dtype.kind == "i" and values.size and values.min() >= 0 and values.max() < 2**16:
        return values.astype(np.uint16)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _folder(folder: Path) -> dict[str, Path]:
    files = files_in(folder, PICTURE)
    pictures = [f for f in files if not is_mask_name(f.stem)] or files
    stems = Counter(f.stem for f in pictures)
    return {f.stem if stems[f.stem] == 1 else f.name: f for f in pictures}

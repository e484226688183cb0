"""Layout of pictures: a folder of PNG or JPEG images beside a folder of their masks.

An image and its mask are called alike (``images/7.jpg`` and ``masks/7.png``), but for words such as ``mask``
(``images/img_7.jpg`` and ``masks/7_mask.png``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from napari_tumorseg.io.arrays import natural_key, subject
from napari_tumorseg.io.case import Case
from napari_tumorseg.io.folder import Folder
from napari_tumorseg.io.formats import PICTURE
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.image2d import open_picture
from napari_tumorseg.io.nifti_layouts import IMAGE_FOLDER, MASK_FOLDER


def picture_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the cases of a folder with one of images and one of masks that are called alike.

    An image without a mask is a case, too.
    """
    images, masks = _pictures(folder, IMAGE_FOLDER), _pictures(folder, MASK_FOLDER)
    mask_of = _masks_by_image(images, masks)
    if not mask_of:
        return None
    stems = Counter(path.stem for path in images)
    return [
        _found(path, path.stem if stems[path.stem] == 1 else path.name, mask_of.get(path)) for path in images
    ]


def _found(image: Path, name: str, mask: Path | None) -> FoundCase:
    files = (image,) if mask is None else (image, mask)
    return FoundCase(name, partial(_read, image, mask), files=files)


def _read(image: Path, mask: Path | None) -> Case:
    return open_picture(image, [] if mask is None else [mask], "pictures and masks")


def _pictures(folder: Folder, name: re.Pattern[str]) -> list[Path]:
    """Return the pictures in the only folder of that name, in natural order."""
    inside = [d for d in folder.folders if name.fullmatch(d.name)]
    if len(inside) != 1:
        return []
    return sorted(Folder.of(inside[0]).files_of(PICTURE), key=lambda path: natural_key(path.name))


def _masks_by_image(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, Path]:
    """Return the mask of each image: the one with its stem, else the only one on its subject."""
    stems = {path.stem: path for path in masks}
    found = {image: stems[image.stem] for image in images if image.stem in stems}
    others = _by_subject(set(masks) - set(found.values()))
    for key, image in _by_subject(set(images) - set(found)).items():
        if key in others:
            found[image] = others[key]
    return found


def _by_subject(paths: Iterable[Path]) -> dict[tuple[str, ...], Path]:
    """Return the files by the subject of their names, those that share it with another left out."""
    found = [(subject(path.stem), path) for path in paths]
    counts = Counter(key for key, _ in found)
    return {key: path for key, path in found if key and counts[key] == 1}

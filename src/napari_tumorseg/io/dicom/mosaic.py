"""Siemens mosaics: all slices of a volume as tiles of one image, with their places in a private header."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Affine
from napari_tumorseg.io.dicom.facts import Header
from napari_tumorseg.io.dicom.files import shown

_CSA_IMAGE = (0x0029, 0x1010)
_COUNT = (0x0019, 0x100A)


def untiled(header: Header, data: Any) -> Header:
    """Return the facts of a mosaic with one frame for each tile.

    The position that a mosaic states is that of the whole image, as if its tiles were one large slice around
    the same centre (as in nibabel's and dcm2niix's readers).

    Raises
    ------
    InputError
        If the private header does not state the number of tiles and their direction.
    """
    from nibabel.nicom import csareader

    raw = _element(data, _CSA_IMAGE)
    csa = csareader.read(raw) if isinstance(raw, bytes) and raw else None
    count = (csareader.get_n_mosaic(csa) if csa else None) or _element(data, _COUNT)
    normal = csareader.get_slice_normal(csa) if csa else None
    frame = header.frames[0]
    position, orientation, spacing = frame.position, frame.orientation, frame.spacing
    if not count or normal is None or not (position and orientation and spacing):
        raise InputError(
            f"{shown(header.file)} is a Siemens mosaic without the private header that says where its slices "
            "lie"
        )
    if not frame.depth:
        raise InputError(
            f"{shown(header.file)} is a Siemens mosaic that does not state how far its slices lie apart"
        )
    side = math.ceil(math.sqrt(int(count)))
    rows, columns = (n // side for n in header.shape)
    step = np.asarray(normal, dtype=float) * frame.depth
    first = _first_tile(position, orientation, spacing, header.shape, (rows, columns))
    places = [tuple(float(c) for c in first + n * step) for n in range(int(count))]
    frames = tuple(replace(frame, index=n, position=place) for n, place in enumerate(places))
    return replace(header, shape=(rows, columns), frames=frames, tiles_in_row=side)


def _first_tile(
    position: tuple[float, ...],
    orientation: tuple[float, ...],
    spacing: tuple[float, ...],
    whole: tuple[int, int],
    tile: tuple[int, int],
) -> Affine:
    """Return the centre of the first tile's first pixel, LPS mm."""
    row, column = np.asarray(orientation).reshape(2, 3)
    across = row * spacing[1] * (whole[1] - tile[1]) / 2
    down = column * spacing[0] * (whole[0] - tile[0]) / 2
    return np.asarray(position) + across + down


def _element(data: Any, tag: tuple[int, int]) -> Any:
    return data[tag].value if tag in data else None

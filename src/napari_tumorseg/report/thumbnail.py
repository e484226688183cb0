"""Thumbnail of a case: a few slices with outlines side by side, a few kB in all."""

from __future__ import annotations

import io

from PIL import Image

from napari_tumorseg.report.montage import PAPER, draw_tiles
from napari_tumorseg.scan import Scan, Segmentation

KIND = "webp"
"""Format of thumbnails, as URLs name it."""

SIDE = 120
"""Longer side of a slice, in pixels."""

_SLICES = 3
_QUALITY = 60
_GAP = 2


def thumbnail(scan: Scan, seg: Segmentation) -> bytes:
    """Draw the slice with most tumour and one on either side of it, from the feet upwards.

    Parameters
    ----------
    scan : Scan
        The scan that was segmented; its reference is shown.
    seg : Segmentation
        On the scan's grid.

    Returns
    -------
    bytes
        A WebP file.

    Raises
    ------
    GeometryError
        If the mask does not lie on the scan's grid.
    """
    images = draw_tiles(scan, seg, most=_SLICES, side=SIDE, text=0).images
    wide, high = images[0].size
    strip = Image.new("RGB", (len(images) * (wide + _GAP) - _GAP, high), PAPER)
    for number, image in enumerate(images):
        strip.paste(image, (number * (wide + _GAP), 0))
    file = io.BytesIO()
    strip.save(file, "WEBP", quality=_QUALITY)
    return file.getvalue()

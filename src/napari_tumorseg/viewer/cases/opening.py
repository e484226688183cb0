"""A case of the worklist as layers: read in a thread, with the mask that was saved for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.io import read_mask, side_file
from napari_tumorseg.io.json_files import read_json
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import Entry
from napari_tumorseg.viewer.layers.to_layers import LayerData, group_key, labels_layer
from napari_tumorseg.viewer.readers import layers_of
from napari_tumorseg.viewer.widgets.messages import worded

if TYPE_CHECKING:
    from napari_tumorseg.io import Case

_NOT_PROVENANCE = ("case", "scheme", "labels", "unit", "files")


@dataclass(frozen=True, eq=False)
class Opened:
    """A case as layers.

    Attributes
    ----------
    entry : Entry
        The case.
    layers : list of layer data
        Its images and masks, the saved mask last.
    has_mask : bool
        Whether a saved mask is among them.
    sentences : list of str
        What a user should know.
    stamp : int or None
        When the saved mask was written (ns), to notice that someone else writes it.
    """

    entry: Entry
    layers: list[LayerData]
    has_mask: bool
    sentences: list[str]
    stamp: int | None


def open_entry(entry: Entry) -> Opened:
    """Read a case and its saved mask; a mask that cannot be read is reported.

    Raises
    ------
    TumorSegError
        If the case cannot be read.
    """
    case = entry.ref.open()
    layers, sentences = layers_of(case)
    mask = None
    if entry.mask is not None:
        try:
            mask = _mask_layer(entry.mask, case)
        except TumorSegError as error:
            sentences.append(f"the saved mask is left out: {worded(error)}")
    found = [*layers, *([mask] if mask else [])]
    return Opened(entry, found, mask is not None, sentences, stamp_of(entry.mask))


def open_mask(entry: Entry) -> tuple[LayerData, int | None]:
    """Read the saved mask of a case that is open already, and when it was written (ns).

    Raises
    ------
    TumorSegError
        If the case or the mask cannot be read.
    """
    assert entry.mask is not None
    stamp = stamp_of(entry.mask)
    return _mask_layer(entry.mask, entry.ref.open()), stamp


def stamp_of(mask: Path | None) -> int | None:
    """Return when a file was last written (ns); None where it is not there."""
    try:
        return mask.stat().st_mtime_ns if mask is not None else None
    except OSError:
        return None


def _mask_layer(path: Path, case: Case) -> LayerData:
    provenance = _provenance(path)
    seg = replace(read_mask(path), name=case.name, provenance=provenance)
    untouched = provenance.get("corrected_by_hand") is False
    return labels_layer(
        seg, name=f"{case.name} seg", case=case.name, group=_group(case, seg), model=untouched
    )


def _group(case: Case, seg: Segmentation) -> str:
    return group_key(case) if case.images else seg.name


def _provenance(path: Path) -> Mapping[str, Any]:
    """Return the origin of a mask as the JSON beside it states it: it is written again with the mask."""
    provenance = read_json(side_file(path)) or {}
    return {key: value for key, value in provenance.items() if key not in _NOT_PROVENANCE}

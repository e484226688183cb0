"""Saving of the masks of a worklist."""

from __future__ import annotations

from pathlib import Path

from napari.layers import Labels as LabelsLayer

from napari_tumorseg.cohorts.planning import is_automatic
from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import write_mask
from napari_tumorseg.io.side_files import check_replaceable
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import Entry, State, Worklist
from napari_tumorseg.viewer.cases.opening import stamp_of
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import origin_of


class MaskKeeper:
    """Writes the mask of the open case, and notices that another program wrote its file meanwhile."""

    def __init__(self) -> None:
        self._stamp: int | None = None

    def open(self, stamp: int | None) -> None:
        """Start with the time at which the saved mask of a case was written (ns); None if there is none."""
        self._stamp = stamp

    @property
    def is_opened(self) -> bool:
        """Whether the open case has a saved mask that is known."""
        return self._stamp is not None

    def close(self) -> None:
        """Forget the saved mask: no case is open, or masks are kept in another folder."""
        self._stamp = None

    def target(self, worklist: Worklist, name: str) -> Path:
        """Return the path of a case's mask; one that a run has made since then may be replaced.

        Raises
        ------
        OutputError
            If the file there is not a mask of this plugin, or was changed since the case was opened.
        """
        path = worklist.mask_path(name)
        check_replaceable(path)
        if stamp_of(path) != self._stamp and not is_automatic(path):
            raise OutputError(
                f"{path.name} was changed by another program since this case was opened; "
                "open the case again, or save the mask elsewhere"
            )
        return path

    def write(self, worklist: Worklist, name: str, seg: Segmentation, path: Path, state: State) -> Entry:
        """Write a mask and its state; the present file is an earlier version of the same mask.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the folder {path.parent} cannot be made: {error.strerror or error}"
            ) from error
        write_mask(seg, path, overwrite=True)
        return worklist.set(name, state, path)

    def written(self, path: Path | None) -> None:
        """Note that the mask was written just now."""
        self._stamp = stamp_of(path)


def is_own_mask(layer: LabelsLayer | None, kept: Path) -> bool:
    """Return whether there is a mask of the user, rather than an unedited one from a file of the case.

    Parameters
    ----------
    layer : Labels or None
        The active mask.
    kept : Path
        Where the worklist keeps the mask of the case.
    """
    if layer is None:
        return False
    origin, edits = origin_of(layer), edits_of(layer)
    if origin is None or origin.source is None or Path(origin.source).resolve() == kept.resolve():
        return True
    return edits is not None and edits.edit_counts.total > 0

"""npe2 reader: files and folders that hold a scan, as layers.

napari asks `get_reader` about everything that is opened, so nothing heavy is imported until a scan is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tumorseg.io.formats import VIEWER_ENDINGS

if TYPE_CHECKING:
    from napari_tumorseg.io import Case, Mask
    from napari_tumorseg.scan import Segmentation
    from napari_tumorseg.viewer.layers.to_layers import LayerData

_NOTHING = ((None,),)
"""The answer to npe2 for a path that was opened and has no layers."""

Paths = str | Sequence[str]


def get_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Return the reader if all names in `path` look readable."""
    return open_layers if all(_looks_readable(Path(p)) for p in _as_list(path)) else None


def open_layers(path: Paths) -> list[Any]:
    """Return the layers of `read_layers`; in a window, an error is shown as a notification.

    napari would show an error of ours with its whole traceback in the terminal, and ask for another plugin.
    """
    from napari_tumorseg.errors import TumorSegError
    from napari_tumorseg.viewer.widgets import ask

    try:
        return read_layers(path)
    except TumorSegError as error:
        ask.report_error(error, _as_list(path))
        return list(_NOTHING)


def read_layers(path: Paths) -> list[LayerData]:
    """Return the images and masks of a case as layers; several paths are the files of one case."""
    layers, sentences = layers_of(_open(_as_list(path)))
    _warn(sentences, _as_list(path))
    return layers


def layers_of(case: Case) -> tuple[list[LayerData], list[str]]:
    """Return the images and masks of a case as layers, and sentences for the user."""
    from napari_tumorseg.viewer.layers.to_layers import case_layers

    layers, notes = case_layers(case)
    masks, left_out = _mask_layers(case)
    return [*layers, *masks], [*case.warnings, *notes, *left_out]


def _open(paths: list[str]) -> Case:
    """Open the one case that is there, or the one that the user picks of several."""
    from napari_tumorseg.errors import ChoiceNeededError
    from napari_tumorseg.io import open_case
    from napari_tumorseg.viewer.widgets import ask

    given = paths[0] if len(paths) == 1 else paths
    try:
        return open_case(given)
    except ChoiceNeededError as error:
        if len(paths) > 1 or not error.options:
            raise
        picked = ask.choose(
            "Several cases", f"{Path(paths[0]).name} holds several cases. Open:", error.options
        )
        if picked is None:
            raise
        return open_case(given, picked)


def _mask_layers(case: Case) -> tuple[list[LayerData], list[str]]:
    """Return the masks of a case and why some are left out.

    Beside images, masks are hidden: a result would have the same colours. So are several of them.
    What the labels of a mask mean is asked only where the mask is all that was opened.
    """
    from napari_tumorseg.errors import CancelledError, ChoiceNeededError, TumorSegError
    from napari_tumorseg.viewer.layers.to_layers import group_key, labels_layer

    layers, sentences = [], []
    for mask in case.masks:
        try:
            found = mask.segmentation() if case.images else _with_convention(mask)
        except ChoiceNeededError as error:
            if not case.images:
                raise
            names = ", ".join(error.options)
            sentences.append(
                f"{mask.name} is left out: its labels fit several conventions ({names}); "
                "open that file by itself to say which"
            )
            continue
        except CancelledError:
            raise
        except TumorSegError as error:
            sentences.append(f"{mask.name} is left out: {error}")
            continue
        visible = len(case.masks) == 1 and not case.images
        name = f"{mask.name if mask.name.startswith(case.name) else f'{case.name} {mask.name}'} (from file)"
        layers.append(labels_layer(found, visible=visible, name=name, group=group_key(case), case=case.name))
    if not layers and not case.images and sentences:
        raise TumorSegError("; ".join(sentences))
    return layers, sentences


def _with_convention(mask: Mask) -> Segmentation:
    """Return a mask with the convention that is known, the only one that fits, or that the user picks."""
    from napari_tumorseg.errors import ChoiceNeededError
    from napari_tumorseg.viewer.state.conventions import ask_convention

    try:
        return mask.segmentation()
    except ChoiceNeededError as error:
        question = f"What do the labels of {mask.name} mean?"
        picked = ask_convention(question, error.options)
        if picked is None:
            raise
        return mask.segmentation(picked)


def _warn(sentences: list[str], paths: list[str]) -> None:
    if not sentences:
        return
    from napari.utils.notifications import show_warning

    from napari_tumorseg.viewer.widgets.messages import short, summary

    show_warning(short(summary(sentences), paths))


def _as_list(path: Paths) -> list[str]:
    return [path] if isinstance(path, str) else [str(p) for p in path]


def _looks_readable(path: Path) -> bool:
    return path.name.lower().endswith(VIEWER_ENDINGS) or path.is_dir()

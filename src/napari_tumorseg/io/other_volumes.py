"""Volumes in other formats than NIfTI: FreeSurfer and Analyze by nibabel, NRRD and MetaImage by SimpleITK."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.extras import to_install
from napari_tumorseg.geometry import LPS_TO_RAS, Affine, Array
from napari_tumorseg.io.foreign import foreign_kind
from napari_tumorseg.io.limits import check_array

NIBABEL_ENDINGS = (".mgz", ".mgh", ".img")
SIMPLEITK_ENDINGS = (".nrrd", ".mha", ".mhd")

_CONVERT = "convert it to NIfTI (.nii.gz), for example with 3D Slicer"
_HEADER_BYTES = 2**16
_NO_ORIENTATION = "Analyze files have no orientation; it is taken as left-anterior-superior"


def read_volume(path: Path) -> tuple[Array, Affine, list[str]]:
    """Read a volume with its place in space.

    Parameters
    ----------
    path : Path
        A file with one of the endings above; an ``.img`` has its ``.hdr`` beside it.

    Returns
    -------
    array : (I, J, K) or (I, J, K, C) array
        In the order of the file, its first axis the fastest.
    affine : (4, 4) array
        Maps (i, j, k, 1) to RAS mm.
    warnings : list of str
        Assumptions about the file.

    Raises
    ------
    InputError
        If it is damaged, no volume, or SimpleITK is needed and not installed.
    TooLargeError
        If its header declares more than the limit.
    """
    with_nibabel = path.name.lower().endswith(NIBABEL_ENDINGS)
    array, affine, warnings = _by_nibabel(path) if with_nibabel else _by_simpleitk(path)
    if array.dtype.kind not in "iufb":
        raise InputError(f"{path} holds no numbers, or colours or complex ones, so it is no scan")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) == 0:
        raise InputError(f"{path} is damaged: its orientation and voxel size are no sensible ones")
    array = array.reshape(*array.shape, *[1] * (3 - array.ndim))
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return array, affine, warnings


def _by_nibabel(path: Path) -> tuple[Array, Affine, list[str]]:
    try:
        image: Any = nib.load(path)
        check_array(image.shape, np.float32, path)
        array = np.asanyarray(image.dataobj)
        affine = np.asarray(image.affine, dtype=float)
    except InputError:
        raise
    except Exception as error:  # nibabel raises many kinds for damaged files
        raise _damaged(path) from error
    header = image.header
    plain = isinstance(header, nib.AnalyzeHeader) and not isinstance(header, nib.nifti1.Nifti1PairHeader)
    return array, affine, [f"{path.name}: {_NO_ORIENTATION}"] if plain else []


def _by_simpleitk(path: Path) -> tuple[Array, Affine, list[str]]:
    try:
        sitk: Any = import_module("SimpleITK")
    except ImportError:
        raise InputError(
            f"{path} needs SimpleITK, which is not installed: {to_install('formats')}; or {_CONVERT}"
        ) from None
    _refuse_other_files(path)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = [*reader.GetSize(), reader.GetNumberOfComponents()]
        check_array(size, np.float32, path)
        image = reader.Execute()
    except RuntimeError as error:
        raise _damaged(path) from error
    return _array_of(sitk, image), _affine_of(image), []


def _damaged(path: Path) -> InputError:
    why = foreign_kind(path) or f"is damaged or incomplete; {_CONVERT}"
    return InputError(f"{path} cannot be read: it {why}")


def _refuse_other_files(path: Path) -> None:
    """Raise if the header points to a file elsewhere: it could name any file of this machine."""
    try:
        with path.open("rb") as file:
            lines = file.read(_HEADER_BYTES).split(b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    for line in lines:
        key, _, value = line.replace(b":", b"=", 1).partition(b"=")
        named = value.strip().decode("utf-8", "replace")
        if key.strip().lower() not in (b"elementdatafile", b"data file", b"datafile") or named == "LOCAL":
            continue
        beside = path.name.lower().endswith(".mhd") and Path(named).name == named and named != "LIST"
        if not beside:
            raise InputError(f"{path} takes its voxels from other files ({named}), which is not read here")
        return


def _array_of(sitk: Any, image: Any) -> Array:
    """Return the voxels with the first axis of the file first and components last."""
    view = np.array(sitk.GetArrayViewFromImage(image))
    spatial = image.GetDimension()
    return np.moveaxis(view, range(spatial), range(spatial - 1, -1, -1))


def _affine_of(image: Any) -> Affine:
    """Return the voxel-to-RAS affine of the first three axes; the coordinates of ITK are LPS."""
    count = image.GetDimension()
    used = min(count, 3)
    direction = np.asarray(image.GetDirection()).reshape(count, count)[:used, :used]
    affine = np.eye(4)
    affine[:used, :used] = direction * np.asarray(image.GetSpacing())[:used]
    affine[:used, 3] = np.asarray(image.GetOrigin())[:used]
    return LPS_TO_RAS @ affine

"""Files of other kinds, recognised by their first bytes or their ending, with advice on conversion."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

_HEAD_BYTES = 2048
_FILES_LOOKED_AT = 50

_CONVERT = "convert it to NIfTI (.nii.gz), for example with"

_BY_BYTES: tuple[tuple[int, bytes, str], ...] = (
    (128, b"DICM", "is a DICOM file; give it the ending .dcm, or open the folder of its series"),
    (0, b"version https://git-lfs", "is a Git LFS pointer, not the file itself; run git lfs pull"),
    (0, b"/annex/objects/", "is a git-annex pointer, not the file itself; run datalad get or git annex get"),
    (0, b"../", "is a git-annex pointer, not the file itself; run datalad get or git annex get"),
    (0, b"MATLAB 5.0 MAT-file", "is a MATLAB 5 file; save it in MATLAB with save(..., '-v7.3')"),
    (0, b"\x93NUMPY", "is a NumPy array without geometry; save it as NIfTI with nibabel"),
    (0, b"CDF\x01", f"is a MINC or NetCDF file; {_CONVERT} mnc2nii"),
    (0, b"CDF\x02", f"is a MINC or NetCDF file; {_CONVERT} mnc2nii"),
    (0, b"PK\x03\x04", "is a zip archive; unpack it and open what is inside"),
    (0, b"7z\xbc\xaf", "is a 7-Zip archive; unpack it and open what is inside"),
    (0, b"Rar!", "is a RAR archive; unpack it and open what is inside"),
    (0, b"BZh", "is packed with bzip2; unpack it and open what is inside"),
    (0, b"\xfd7zXZ", "is packed with xz; unpack it and open what is inside"),
    (0, b"\x28\xb5\x2f\xfd", "is packed with Zstandard; unpack it and open what is inside"),
    (257, b"ustar", "is a tar archive; unpack it and open what is inside"),
    (0, b"%PDF", "is a PDF document, no image"),
)
"""Offset, bytes found there, and a sentence without its subject."""

_MISNAMED: tuple[tuple[int, bytes, str, tuple[str, ...]], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "is an HDF5 file", (".h5", ".hdf5", ".hdf", ".mat")),
    (512, b"\x89HDF\r\n\x1a\n", "is a MATLAB 7.3 file", (".mat", ".h5", ".hdf5", ".hdf")),
    (0, b"NRRD000", "is a NRRD file", (".nrrd", ".nhdr")),
    (0, b"ObjectType", "is a MetaImage", (".mha", ".mhd")),
    (0, b"NDims", "is a MetaImage", (".mha", ".mhd")),
    (0, b"\x89PNG\r\n", "is a PNG picture", (".png",)),
    (0, b"\xff\xd8\xff", "is a JPEG picture", (".jpg", ".jpeg")),
    (0, b"II*\x00", "is a TIFF file", (".tif", ".tiff")),
    (0, b"MM\x00*", "is a TIFF file", (".tif", ".tiff")),
    (0, b"II+\x00", "is a TIFF file", (".tif", ".tiff")),
    (344, b"n+1\x00", "is a NIfTI file", (".nii", ".nii.gz")),
    (4, b"n+2\x00", "is a NIfTI file", (".nii", ".nii.gz")),
)
"""Offset, bytes, kind and endings of what is read here under another name."""

_PAGE_STARTS = (b"<!doctype html", b"<html", b"<head")
_PAGE = "is a web page, perhaps the sign-in page of a download; download the file again"

_NETWORK_PARTS = (b"data.pkl", b"config.json", b"metadata.json", b".weights.h5")
_NETWORK = "holds the weights of a network, no scan; give it as the model"

_BY_ENDING: tuple[tuple[tuple[str, ...], str], ...] = (
    ((".nhdr",), f"is the header of a NRRD file in two parts; {_CONVERT} 3D Slicer or SimpleITK"),
    ((".hdr",), "is the header of an Analyze file; open the .img file beside it"),
    ((".img.gz",), f"is a packed Analyze file; {_CONVERT} nibabel or fslchfiletype NIFTI_GZ"),
    ((".mnc",), f"is a MINC file; {_CONVERT} mnc2nii"),
    ((".par", ".rec"), f"is a Philips PAR/REC file; {_CONVERT} dcm2niix"),
    ((".npy", ".npz"), "is a NumPy array without geometry; save it as NIfTI with nibabel"),
    ((".keras", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx"), _NETWORK),
    ((".tar", ".tar.gz", ".tgz", ".7z", ".rar"), "is an archive; unpack it and open what is inside"),
    ((".nii.bz2", ".nii.xz", ".nii.zst", ".nii.zip"), "is packed; unpack it, or pack it with gzip"),
)
"""Endings, and a sentence without its subject."""

FOREIGN_ENDINGS = tuple(ending for endings, _ in _BY_ENDING for ending in endings)


def foreign_kind(path: Path, head: bytes | None = None) -> str | None:
    """Return what a file is that is of another kind than those that are read here.

    Parameters
    ----------
    path : Path
        A file that could not be read.
    head : bytes, optional
        Its first bytes, once they are unpacked; read from the file if left out.

    Returns
    -------
    str or None
        A sentence without its subject, such as ``is a DICOM file; convert ...``; None if the kind is unknown.
    """
    head = _head(path) if head is None else head[:_HEAD_BYTES]
    name = path.name.lower()
    found = _kind_of(head) or _misnamed(head, name)
    return found or next((description for endings, description in _BY_ENDING if name.endswith(endings)), None)


def foreign_in_folder(folder: Path) -> str | None:
    """Return a sentence about the first file of a known kind in a folder that holds nothing readable."""
    files = (p for p in _walk(folder) if p.is_file() and not p.name.startswith("."))
    kinds = ((p, foreign_kind(p)) for p in islice(files, _FILES_LOOKED_AT))
    return next((f"{p.relative_to(folder)} {kind}" for p, kind in kinds if kind), None)


def _kind_of(head: bytes) -> str | None:
    if head.lstrip().lower().startswith(_PAGE_STARTS):
        return _PAGE
    if head.startswith(b"PK\x03\x04") and any(part in head for part in _NETWORK_PARTS):
        return _NETWORK
    for offset, magic, description in _BY_BYTES:
        if head[offset : offset + len(magic)] == magic:
            return description
    return None


def _misnamed(head: bytes, name: str) -> str | None:
    """Return a sentence on a file of a format that is read here, but under another ending."""
    for offset, magic, kind, endings in _MISNAMED:
        if head[offset : offset + len(magic)] == magic and not name.endswith(endings):
            return f"{kind}; give it the ending {endings[0]}"
    return None


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _walk(folder: Path) -> Iterable[Path]:
    """Return the files of a folder and then those of the folders in it."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    yield from entries
    for inner in entries:
        if inner.is_dir():
            try:
                yield from islice(sorted(inner.iterdir()), _FILES_LOOKED_AT)
            except OSError:
                continue

"""Scans of every format with made-up names, numbers and dates in every field of text, and a search for them.

`CASES` makes one case a row. A further format gets a function here and a row there, and `tests.privacy` tries
everything that is written from it.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import tifffile
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from napari_tumorseg.scan import Role
from tests.bids_files import describe, write_json
from tests.builders import head
from tests.nifti_files import affine_of
from tests.preparation import phantom

NAME, NUMBER, UID, DATE, FOLDER = "Zzyzx^Qu", "QZ7711", "2.25.86420975", "19070321", "zzyzx_clinic"
SECRETS = (b"zzyzx", b"qz7711", b"86420975", b"19070321", b"1907:03:21", b"1907-03-21")
"""Lower-case parts of the canaries, none of which may be in anything that is written."""

MOVED = phantom.motion((0, 0, 8), (9, 0, 0))

_TEXT = f"{NAME} {NUMBER} {DATE} {UID}"
_SHORT = f"{NAME} {NUMBER}"
_EXIF = {0x010E: _TEXT, 0x013B: NAME, 0x0132: "1907:03:21 01:02:03", 0x013C: NUMBER, 0x8298: NAME}


def search(path: Path) -> list[str]:
    """Return which canaries a file holds, also inside of what is compressed, and in its name."""
    texts = [path.name.encode(), *contents(path)]
    found = {s for text in texts for s in SECRETS if s in text.lower() or _wide(s) in text.lower()}
    return sorted(secret.decode() for secret in found)


def _wide(text: bytes) -> bytes:
    return text.decode().encode("utf-16-le")


def contents(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, and of what is compressed in it."""
    raw = path.read_bytes()
    yield raw
    if raw[:2] == b"\x1f\x8b":
        yield gzip.decompress(raw)
    if raw[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    yield from _inflated(raw)
    if raw[:8] == b"\x89HDF\r\n\x1a\n":
        yield from _hdf5(path)


def _inflated(raw: bytes) -> Iterator[bytes]:
    """Yield what can be inflated from every place that looks like the beginning of a zlib stream."""
    for found in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", raw):
        try:
            yield zlib.decompressobj().decompress(raw[found.start() :], 1 << 22)
        except zlib.error:
            continue


def _hdf5(path: Path) -> Iterator[bytes]:
    with h5py.File(path) as file:
        names: list[str] = []
        file.visit(names.append)
        for node in (file, *(file[name] for name in names)):
            yield repr([node.name, *node.attrs.items()]).encode()
            if isinstance(node, h5py.Dataset):
                yield np.asarray(node[()]).tobytes()


# --- cases -------------------------------------------------------------------------------------


def _channels() -> Mapping[str, np.ndarray]:
    """Return FLAIR and T1c in the order X, Y, Z."""
    return {role: head().transpose(2, 1, 0).astype(np.int16) for role in ("flair", "t1c")}


def _nifti(path: Path, array: np.ndarray, kind: type = nib.Nifti1Image) -> None:
    image = kind(array, affine_of(("L", "P", "S")))
    header = image.header
    header.set_xyzt_units("mm")
    for field, size in (("descrip", 80), ("db_name", 18), ("aux_file", 24), ("intent_name", 16)):
        if field in header.keys():  # noqa: SIM118 (a header is no mapping)
            header[field] = _TEXT[:size] if size > 24 else _SHORT[:size]
    for code in (0, 4, 6):  # unknown, AFNI, comment
        header.extensions.append(nib.nifti1.Nifti1Extension(code, _TEXT.encode()))
    nib.save(image, path)


def nifti(folder: Path) -> Path:
    case = folder / "P-01"
    case.mkdir(parents=True)
    for role, array in _channels().items():
        _nifti(case / f"P-01_{role}.nii.gz", array)
        write_json(case / f"P-01_{role}.json", {"PatientName": NAME, "AcquisitionDateTime": DATE})
    return case


def nifti2(folder: Path) -> Path:
    case = folder / "P-02"
    case.mkdir(parents=True)
    for role, array in _channels().items():
        _nifti(case / f"P-02_{role}.nii", array, nib.Nifti2Image)
    return case


def analyze(folder: Path) -> Path:
    case = folder / "P-03"
    case.mkdir(parents=True)
    for role, array in _channels().items():
        path = case / f"P-03_{role}.img"
        nib.save(nib.Spm99AnalyzeImage(array, np.diag([1.0, 1, 1, 1])), path)
        header = bytearray(path.with_suffix(".hdr").read_bytes())
        for start, text in (
            (14, _SHORT[:18]),
            (148, _TEXT[:80]),
            (228, _SHORT[:24]),
            (263, NUMBER),
            (273, DATE),
        ):
            header[start : start + len(text)] = text.encode()
        path.with_suffix(".hdr").write_bytes(header)
    return case


def freesurfer(folder: Path) -> Path:
    case = folder / "P-04"
    case.mkdir(parents=True)
    for role, array in _channels().items():
        path = case / f"P-04_{role}.mgz"
        nib.save(nib.MGHImage(array, affine_of(("L", "P", "S"))), path)
        with gzip.open(path, "ab") as file:  # the tags behind the voxels: a command line with paths
            file.write(b"\x00\x00\x00\x03" + b"\x00" * 7 + b"\x60" + f"/{FOLDER}/{_TEXT}".encode())
    return case


def _with_simpleitk(folder: Path, name: str, ending: str) -> Path:
    import SimpleITK as sitk  # noqa: N813 (its own name for itself)

    case = folder / name
    case.mkdir(parents=True)
    for role, array in _channels().items():
        image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
        for key, value in (("PatientName", NAME), ("0010|0020", NUMBER), ("StudyDate", DATE), ("UID", UID)):
            image.SetMetaData(key, value)
        sitk.WriteImage(image, case / f"{name}_{role}{ending}")
    return case


def nrrd(folder: Path) -> Path:
    return _with_simpleitk(folder, "P-05", ".nrrd")


def metaimage(folder: Path) -> Path:
    return _with_simpleitk(folder, "P-06", ".mha")


def hdf5(folder: Path) -> Path:
    path = folder / "P-07.h5"
    folder.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for role, array in _channels().items():
            file[role] = array.transpose(2, 1, 0)
            file[role].attrs.update({"patient": NAME, "description": _TEXT})
        file.attrs.update({"StudyDate": DATE, "StudyInstanceUID": UID, "source": f"/{FOLDER}/{NUMBER}"})
        file["patient_name"] = NAME
    return path


def hdf5_channels(folder: Path) -> Path:
    path = folder / "P-15.h5"
    folder.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        stack = np.stack([head(), head() / 2], axis=-1).astype(np.float32)
        file["image"] = stack
        file["image"].attrs["channels"] = f"flair {NAME},t1c {DATE}"
    return path


def matlab(folder: Path) -> Path:
    """Return a file as Figshare has it, with the number of the patient as an array of characters."""
    path = folder / "P-08.mat"
    folder.mkdir(parents=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group["PID"] = np.frombuffer(NUMBER.encode("utf-16-le"), np.uint16)[:, None]
        group["label"] = np.array([[2.0]])
        group["image"], mask = head()[3].astype(np.int16), np.zeros((40, 48), np.uint8)
        mask[10:18, 30:36] = 1
        group["tumorMask"] = mask
        group["tumorBorder"] = np.array([[1.0]])
        file.attrs["comment"] = _TEXT
    content = bytearray(path.read_bytes())
    content[: len(_TEXT) + 8] = b"MATLAB: " + _TEXT.encode()
    path.write_bytes(content)
    return path


_TAGS = [(315, "s", 0, NAME, True), (306, "s", 0, "1907:03:21 01:02:03", True), (316, "s", 0, NUMBER, True),
         (33432, "s", 0, NAME, True)]  # fmt: skip


def tiff(folder: Path) -> Path:
    path = folder / "P-09_flair.tif"
    folder.mkdir(parents=True)
    tifffile.imwrite(
        path, head().astype(np.uint16), description=_TEXT, extratags=_TAGS, software=NUMBER, metadata=None
    )
    return path


def imagej(folder: Path) -> Path:
    path = folder / "P-10_flair.tif"
    folder.mkdir(parents=True)
    labels = [f"{NAME} {n} {DATE}" for n in range(6)]
    about = {"axes": "ZYX", "spacing": 2.0, "unit": "mm", "Info": _TEXT, "Labels": labels}
    tifffile.imwrite(path, head().astype(np.uint16), imagej=True, metadata=about, extratags=_TAGS)
    return path


def ome(folder: Path) -> Path:
    path = folder / "P-11.ome.tif"
    folder.mkdir(parents=True)
    stack = np.stack([head(), head()]).astype(np.uint16)
    names = [f"flair {NAME} {DATE}", f"t1c {NUMBER}"]
    about = {"axes": "CZYX", "Name": NAME, "Description": _TEXT, "Channel": {"Name": names}}
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=about)
    return path


def lgg(folder: Path) -> Path:
    case = folder / "P_12"
    case.mkdir(parents=True)
    for number, plane in enumerate(head().astype(np.uint16), start=1):
        picture = np.stack([plane // 2, plane // 2, plane // 2], axis=-1).astype(np.uint8)
        options = {"description": _TEXT, "extratags": _TAGS, "photometric": "rgb", "metadata": None}
        tifffile.imwrite(case / f"P_12_{number}.tif", picture, **options)
        tifffile.imwrite(case / f"P_12_{number}_mask.tif", np.uint8(plane > 300) * np.uint8(255))
    return case


def _picture() -> Pillow.Image:
    return Pillow.fromarray((head()[3] / 2).astype(np.uint8))


def _exif() -> Pillow.Exif:
    exif = Pillow.Exif()
    exif.update(_EXIF)
    return exif


def png(folder: Path) -> Path:
    path = folder / "P-13_flair.png"
    folder.mkdir(parents=True)
    text = PngInfo()
    text.add_text("Author", NAME)
    text.add_text("Comment", _TEXT, zip=True)
    text.add_itxt("XML:com.adobe.xmp", f"<x>{UID}</x>")
    _picture().save(path, pnginfo=text, exif=_exif())
    return path


def jpeg(folder: Path) -> Path:
    path = folder / "P-14_flair.jpg"
    folder.mkdir(parents=True)
    _picture().save(path, exif=_exif(), comment=_TEXT.encode(), quality=95)
    return path


def bids(folder: Path) -> Path:
    root = folder / "ds"
    anatomy = root / "sub-01" / "ses-1" / "anat"
    anatomy.mkdir(parents=True)
    describe(root)
    for suffix, array in zip(("FLAIR", "ce-gd_T1w"), _channels().values(), strict=True):
        path = anatomy / f"sub-01_ses-1_{suffix}.nii.gz"
        _nifti(path, array)
        about = {"PatientName": NAME, "PatientID": NUMBER, "SeriesInstanceUID": UID, "AcquisitionTime": DATE}
        write_json(path.with_name(path.name.replace(".nii.gz", ".json")), about)
    (root / "participants.tsv").write_text(f"participant_id\tname\nsub-01\t{NAME}\n")
    write_json(root / "dataset_description.json", {"Name": NAME, "BIDSVersion": "1.10.0", "Authors": [NAME]})
    return root


_BY_KIND = {
    "PN": NAME, "LO": _SHORT, "SH": _SHORT, "LT": _TEXT, "ST": _TEXT, "UT": _TEXT, "UC": _TEXT, "AE": _SHORT,
    "DA": DATE, "DT": f"{DATE}010203", "UI": UID, "UR": f"file:///{FOLDER}/{NUMBER}",
}  # fmt: skip
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription")


def _dicom_elements() -> dict[str, str]:
    """Return every element of the standard that can hold text, a date or a UID, but those for pixels."""
    from pydicom.datadict import DicomDictionary

    groups = (0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x0032, 0x0038, 0x0040)
    entries = ((tag >> 16, kind, keyword) for tag, (kind, _, _, _, keyword) in DicomDictionary.items())
    return {
        keyword: _BY_KIND[kind]
        for group, kind, keyword in entries
        if group in groups and kind in _BY_KIND and keyword and keyword not in _NEEDED
    }


def dicom(folder: Path) -> Path:
    from tests.dicom_files import write_series

    case = folder / "P-16"
    array = head().transpose(2, 1, 0).astype(np.int16)
    words, names = f"t2 flair {NAME} {DATE}", f"{UID}.{{}}.dcm"
    write_series(case, array, affine_of(("L", "P", "S")), 5, words, names, **_dicom_elements())
    return case


def native(folder: Path) -> Path:
    """Return a scan with its skull whose T1c lies on a grid of its own, moved by `MOVED`."""
    case = folder / "P-17"
    case.mkdir(parents=True)
    images = [phantom.head(Role.FLAIR, phantom.grid_of())]
    images.append(phantom.head(Role.T1C, phantom.grid_of((4, 5, 5), (6, 0, 0)), MOVED))
    for image in images:
        found = nib.Nifti1Image(image.data.transpose(2, 1, 0), image.grid.affine[:, [2, 1, 0, 3]])
        found.header["descrip"], found.header["aux_file"] = _TEXT[:80], _SHORT[:24]
        nib.save(found, case / f"P-17_{image.role}.nii.gz")
    return case


CASES: tuple[Callable[[Path], Path], ...] = (
    nifti, nifti2, analyze, freesurfer, nrrd, metaimage, hdf5, hdf5_channels, matlab, tiff, imagej, ome, lgg,
    png, jpeg, bids, *((dicom,) if find_spec("pydicom") else ()),
)  # fmt: skip
"""Functions that write a case, with canaries in every field of text of its format, below a folder."""

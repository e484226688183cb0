"""Kinds of files that users hand to the program: valid examples, how they are mutated and opened."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import tifffile
from PIL import Image as Picture

from napari_tumorseg.edit import change_to
from napari_tumorseg.errors import ChoiceNeededError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import open_case, read_mask, write_mask
from napari_tumorseg.models import get_model
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.session import Journal, recover, unfinished
from napari_tumorseg.session.case_status import state_of_mask
from tests.builders import card_of, save_model, threshold_net
from tests.fuzz import mutate

SHAPE = (5, 12, 10)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    make : callable
        Writes valid files into a folder; returns those to mutate. Others may lie beside them.
    mutate : callable
        Returns a file's bytes changed.
    open : callable
        Opens a file as the program does and raises AssertionError if the answer is not sound.
    """

    make: Callable[[Path], list[Path]]
    mutate: mutate.Mutation
    open: Callable[[Path], None]


def _ramp(*shape: int, dtype: type = np.int16) -> np.ndarray:
    values = np.arange(np.prod(shape)).reshape(shape) % 200
    values[tuple(slice(0, 1) for _ in shape)] = 0
    return values.astype(dtype)


def _labels(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[1:4, 3:8, 3:8] = 2
    labels[2, 4:6, 4:6] = 1
    return labels


# --- opening ---------------------------------------------------------------------------------


def open_images(path: Path) -> None:
    """Open a file as a case, its scan and its masks."""
    case = open_case(path)
    for image in case.images:
        _check(image.data, image.grid)
        assert image.data.dtype.kind in "uif"
    for mask in case.masks:
        _check(mask.labels, mask.grid)
        assert mask.labels.dtype == np.uint8
        with contextlib.suppress(ChoiceNeededError):
            mask.segmentation()
    if case.images:
        scan = case.scan()
        assert all(image.data.shape == scan.grid.shape for image in scan.images)


def open_mask(path: Path) -> None:
    """Read a mask with its side file, and what the worklist makes of it."""
    mask = path.with_name("case_seg.nii.gz")
    state_of_mask(mask)
    found = read_mask(mask, "brats-2021")
    _check(found.labels, found.grid)
    assert found.labels.sum() == _labels().sum()


def _check(data: np.ndarray, grid: Grid) -> None:
    assert data.shape == grid.shape and min(data.shape) > 0, f"{data.shape} on a grid of {grid.shape}"
    assert np.isfinite(grid.affine).all(), "an affine that is not finite"
    if grid.unit == "mm":
        assert all(0 < side < np.inf for side in grid.spacing), f"a spacing of {grid.spacing}"


def open_model(path: Path) -> None:
    """Load a model by its card or its weights."""
    net = get_model(path).load()
    assert all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values())


def open_import(path: Path) -> None:
    """Import a model, and load what was made."""
    from napari_tumorseg.importing import Answers, import_model

    answers = Answers(roles=(Role.FLAIR,), plane="axial", normalisation="none", activation="sigmoid")
    made = import_model(path, answers=answers, folder=path.parent / "made", overwrite=True)
    assert made.load().in_channels == len(made.card.input.roles)


def open_package(path: Path) -> None:
    """Import the package that a file belongs to."""
    open_import(path.with_name("rdf.yaml"))


def open_journal(path: Path) -> None:
    """List and recover a session."""
    assert unfinished(path.parent)
    found = recover(path)
    assert found.labels.dtype == np.uint8 and found.labels.ndim == 3
    assert all(0 < value < 1 for value in found.thresholds.values())


# --- making ----------------------------------------------------------------------------------


def _nifti(folder: Path, ending: str) -> list[Path]:
    affine = np.diag([-1.0, -1.2, 3.0, 1.0])
    image = nib.Nifti1Image(_ramp(*SHAPE[::-1]), affine)
    image.header.set_xyzt_units("mm")
    several = nib.Nifti1Image(_ramp(6, 5, 4, 1, dtype=np.float32), affine)
    mask = nib.Nifti1Image(_labels().T, affine)
    mask.header.set_xyzt_units("mm")
    newer = nib.Nifti2Image(_ramp(6, 5, 4, dtype=np.uint8), affine)
    made = {"p1_flair": image, "p2_flair": several, "p3_seg": mask, "p4_t1": newer}
    for name, one in made.items():
        nib.save(one, folder / f"{name}{ending}")
    return [folder / f"{name}{ending}" for name in made]


def _volumes(folder: Path) -> list[Path]:
    nib.save(
        nib.MGHImage(_ramp(*SHAPE[::-1], dtype=np.int32), np.diag([-1.0, -1.2, 3.0, 1.0])), folder / "t1.mgz"
    )
    files = [folder / "t1.mgz"]
    if find_spec("SimpleITK") is None:
        return files
    import SimpleITK

    image = SimpleITK.GetImageFromArray(_ramp(*SHAPE))
    image.SetSpacing((1.0, 1.2, 3.0))
    for name in ("flair.nrrd", "t2.mha"):
        SimpleITK.WriteImage(image, str(folder / name))
        files.append(folder / name)
    return files


def _hdf5(folder: Path) -> list[Path]:
    contents = {
        "volume_1_slice_3.h5": {"image": _ramp(12, 10, 4, dtype=np.float64), "mask": _mask_channels()},
        "volume.h5": {"data": _ramp(*SHAPE, dtype=np.float32), "seg": _labels()},
        "patch.h5": {"x": _ramp(4, 8, 8, 4, dtype=np.float32), "y": np.eye(4)[_labels((8, 8, 4)) % 4]},
    }
    for name, datasets in contents.items():
        with h5py.File(folder / name, "w") as file:
            for key, values in datasets.items():
                packed = {"compression": "gzip"} if name == "volume.h5" else {}
                file.create_dataset(key, data=values, **packed)
            file.attrs["title"] = "a scan"
    write_mask(_segmentation(), folder / "own_seg.h5")
    (folder / "own_seg.json").unlink()
    return [folder / name for name in (*contents, "own_seg.h5")]


def _mask_channels() -> np.ndarray:
    mask = np.zeros((12, 10, 3), np.uint8)
    mask[4:6, 4:6, 1] = 1
    return mask


def _mat(folder: Path) -> list[Path]:
    path = folder / "1.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group["image"] = _ramp(24, 24)
        group["tumorMask"] = (_ramp(24, 24) > 150).astype(np.uint8)
        group["label"] = np.array([[1.0]])
        group["PID"] = np.frombuffer("100360".encode("utf-16-le"), np.uint16)[:, None]
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\x02IM"
    path.write_bytes(content)
    return [path]


def _tiff(folder: Path) -> list[Path]:
    volume = _ramp(*SHAPE, dtype=np.uint16)
    tifffile.imwrite(folder / "stack.tif", volume, imagej=True, metadata={"axes": "ZYX", "spacing": 3.0})
    tifffile.imwrite(folder / "packed.tif", volume, compression="zlib")
    tifffile.imwrite(folder / "tiled.tif", _ramp(32, 32, dtype=np.uint8), tile=(16, 16))
    tifffile.imwrite(folder / "rgb.tif", _ramp(12, 10, 3, dtype=np.uint8), photometric="rgb")
    tifffile.imwrite(folder / "big.tif", volume, bigtiff=True)
    write_mask(_segmentation(), folder / "own_seg.tif")
    (folder / "own_seg.json").unlink()
    return sorted(folder.glob("*.tif"))


def _png(folder: Path) -> list[Path]:
    Picture.fromarray(_ramp(24, 20, dtype=np.uint8)).save(folder / "grey.png")
    Picture.fromarray(_ramp(24, 20, 3, dtype=np.uint8)).save(folder / "colour.png")
    Picture.fromarray(_ramp(24, 20, dtype=np.uint16)).save(folder / "deep.png")
    Picture.fromarray(_ramp(24, 20, dtype=np.uint8)).convert("P").save(folder / "palette.png")
    return sorted(folder.glob("*.png"))


def _dicom(folder: Path) -> list[Path]:
    """Write a series, an enhanced object, an archive and, with highdicom, a segmentation."""
    from tests.dicom_files import write_enhanced, write_series

    affine = np.diag([-1.0, -1.2, 3.0, 1.0])
    slices = write_series(folder / "series", _ramp(*SHAPE[::-1]), affine, 1, "FLAIR", "{}.dcm")
    enhanced = write_enhanced(folder / "enhanced" / "a.dcm", _ramp(*SHAPE[::-1]), affine, 2, "FLAIR")
    made = [slices[2], enhanced, Path(shutil.make_archive(str(folder / "scan"), "zip", folder / "series"))]
    if find_spec("highdicom"):
        scan = open_case(folder / "series").scan()
        seg = Segmentation(_labels(), scan.grid, CONVENTIONS["brats-2021"], "case")
        (folder / "seg").mkdir()
        write_mask(seg, folder / "seg" / "x_seg.dcm")
        made.append(folder / "seg" / "x_seg.dcm")
    return made


def _model(folder: Path, ending: str) -> list[Path]:
    model = save_model(folder, threshold_net([0], [50.0]), card_of())
    card = model.weights.with_suffix(".toml")
    if ending == ".toml":
        return [card]
    lines = card.read_text(encoding="utf-8").splitlines()
    card.write_text("\n".join(line for line in lines if not line.startswith("sha256")), encoding="utf-8")
    if ending == ".pt":
        import torch

        torch.save(model.load().state_dict(), model.weights.with_suffix(".pt"))
        model.weights.unlink()
    return [model.weights.with_suffix(ending)]


def _onnx(folder: Path) -> list[Path]:
    from tests.onnx_files import save, threshold_model

    return [save(threshold_model(1.0, last="Sigmoid"), folder / "net.onnx")]


def _bioimageio(folder: Path) -> list[Path]:
    from tests.importing.bioimageio_packages import description_05, write

    write(folder, description_05())
    return [folder / "rdf.yaml", folder / "in.npy", folder / "net.onnx"]


def _segmentation() -> Segmentation:
    grid = Grid.from_codes(SHAPE, spacing=(3.0, 1.2, 1.0))
    return Segmentation(
        _labels(), grid, CONVENTIONS["brats-2021"], "case", provenance={"edits": {"total": 2}}
    )


def _side_json(folder: Path) -> list[Path]:
    write_mask(_segmentation(), folder / "case_seg.nii.gz")
    side = folder / "case_seg.json"
    json.loads(side.read_text(encoding="utf-8"))
    return [side]


def _journal(folder: Path) -> list[Path]:
    labels = _labels()
    journal = Journal.start(folder, "scan", labels, {"title": "a scan"}, at_once=True)
    for value in range(4):
        block = np.full((1, 3, 3), value, np.uint8)
        journal.append(change_to(labels, (slice(value, value + 1), slice(2, 5), slice(2, 5)), block), "paint")
    journal.set_locked([(1, 4, 4)])
    journal.set_thresholds({"WT": 0.4})
    journal.close(saved=False)
    return [journal.path]


KINDS: dict[str, Kind] = {
    "nifti": Kind(lambda folder: _nifti(folder, ".nii"), mutate.mutate_bytes, open_images),
    "nifti-gz": Kind(lambda folder: _nifti(folder, ".nii.gz"), mutate.mutate_gzip, open_images),
    "volumes": Kind(_volumes, mutate.mutate_bytes, open_images),
    "hdf5": Kind(_hdf5, mutate.mutate_bytes, open_images),
    "mat": Kind(_mat, mutate.mutate_bytes, open_images),
    "tiff": Kind(_tiff, mutate.mutate_bytes, open_images),
    "png": Kind(_png, mutate.mutate_png, open_images),
    **({"dicom": Kind(_dicom, mutate.mutate_bytes, open_images)} if find_spec("pydicom") else {}),
    "card": Kind(lambda folder: _model(folder, ".toml"), mutate.mutate_text, open_model),
    "safetensors": Kind(lambda folder: _model(folder, ".safetensors"), mutate.mutate_safetensors, open_model),
    "pt": Kind(lambda folder: _model(folder, ".pt"), mutate.mutate_zip, open_model),
    **(
        {
            "onnx": Kind(_onnx, mutate.mutate_bytes, open_import),
            "bioimageio": Kind(_bioimageio, mutate.mutate_bytes, open_package),
        }
        if find_spec("onnx") and find_spec("onnxruntime") and find_spec("yaml")
        else {}
    ),
    "side-json": Kind(_side_json, mutate.mutate_text, open_mask),
    "journal": Kind(_journal, mutate.mutate_journal, open_journal),
}

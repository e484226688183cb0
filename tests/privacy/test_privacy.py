"""Nothing of a patient in what is written: names, numbers, UIDs, dates and folders of the sources.

Every case of `canaries` goes through every command; the bytes of all files that come out are searched, also
inside of what is compressed.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg import io, preparation
from napari_tumorseg.cli import bids_app
from napari_tumorseg.inference import run_plan
from napari_tumorseg.io.output_set import sha256
from napari_tumorseg.scan import Role
from tests.builders import card_of, save_model, threshold_net
from tests.cli.conftest import Run
from tests.preparation.tools import knowing
from tests.privacy import canaries
from tests.privacy.canaries import CASES, FOLDER, search

Make = Callable[[Path], Path]

EVERY_OUTPUT = ("nifti", "hdf5", "ome", "lgg", "dicom")
"""Cases of which every kind of output is made; of the others, the usual one."""

EVERY_PICTURE = ("nifti", "dicom")
"""Cases of which pictures of every kind are made, which take most of the time; of those above, one."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("SimpleITK", reason="NRRD and MetaImage need the extra `formats`")
    root = tmp_path_factory.mktemp("sources")
    return {make.__name__: make(root / make.__name__ / FOLDER) for make in CASES}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that takes what is brighter than 150 in the only image for tumour."""
    card = card_of(input={"accepts": [["flair"]]})
    folder = tmp_path_factory.mktemp("model")
    return save_model(folder, threshold_net([0], [150.0]), card).weights.with_suffix(".toml")


def leaks(folder: Path) -> dict[str, list[str]]:
    """Return the canaries in all files below a folder, by file; there has to be one."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {path.name: found for path in files if (found := search(path))}


# --- the search itself -------------------------------------------------------------------------


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_every_format_holds_canaries_and_can_be_read(make: Make, sources: dict[str, Path]) -> None:
    path = sources[make.__name__]
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    scans = [file for file in files if not file.name.endswith((".tsv", ".json", "_mask.tif"))]
    for scan in scans:
        beside = scan.with_suffix(".hdr")
        assert search(scan) or (beside.exists() and search(beside)), scan.name
    assert io.open_case(path).images


@pytest.mark.parametrize("ending", [".txt", ".gz", ".zip", ".npz", ".png", ".h5"])
def test_the_search_looks_into_what_is_compressed(tmp_path: Path, ending: str) -> None:
    text = canaries.NAME.upper()
    source = tmp_path / "plain.txt"
    source.write_text(text)
    path = tmp_path / f"file{ending}"
    if ending == ".txt":
        path.write_bytes(text.encode("utf-16-le"))
    elif ending == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif ending == ".zip":
        shutil.make_archive(str(tmp_path / "file"), "zip", tmp_path, "plain.txt")
    elif ending == ".npz":
        np.savez_compressed(path, a=np.frombuffer(text.encode(), np.uint8))
    elif ending == ".png":
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        about = PngInfo()
        about.add_text("Comment", text, zip=True)
        Image.new("L", (8, 8)).save(path, pnginfo=about)
    else:
        import h5py

        with h5py.File(path, "w") as file:
            file.create_dataset("a", data=np.frombuffer(text.encode(), np.uint8), compression="gzip")
    assert search(path) == ["zzyzx"]
    assert search(source) == ["zzyzx"]


# --- the command line --------------------------------------------------------------------------


def arguments(name: str) -> list[str]:
    return ["--roles", "image=flair"] if name in ("matlab",) else []


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_segment_and_measure(
    make: Make,
    tumorseg: Run,
    sources: dict[str, Path],
    model: Path,
    tmp_path: Path,
) -> None:
    source, out = sources[make.__name__], tmp_path / "out"
    common = ["segment", source, "-m", model, *arguments(make.__name__)]
    usual = ["-o", out / "a", "--probabilities", "--csv", out / "t.csv"]
    outputs = [
        [*usual, "--picture", out / "o.png"],
        ["-o", out / "as_tiff.tif"],
        ["-o", out / "as_hdf5.h5"],
        ["-o", out / "lgg", "--lgg"],
        ["-o", out / "bids", "--bids", "--probabilities"],
    ]
    if make.__name__ in EVERY_PICTURE:
        outputs[1] += ["--picture", out / "o.jpg"]
        outputs[2] += ["--picture", out / "o.webp"]
    out.mkdir()
    for options in outputs if make.__name__ in EVERY_OUTPUT else [usual]:
        done = tumorseg(*common, *options)
        assert done.code == 0, done.err
    (mask,) = (out / "a").glob("*_seg.nii.gz")
    done = tumorseg("measure", mask, "--against", mask, "--csv", out / "m.csv", "-o", out / "m.json")
    assert done.code == 0, done.err
    assert np.asanyarray(nib.load(mask).dataobj).any()
    assert not leaks(out)
    shown = tumorseg("info", source)
    assert shown.code == 0
    assert not any(s.decode() in shown.out.lower() for s in canaries.SECRETS)


def test_the_header_of_a_mask_has_no_text(
    tumorseg: Run,
    sources: dict[str, Path],
    model: Path,
    tmp_path: Path,
) -> None:
    assert tumorseg("segment", sources["nifti"], "-m", model, "-o", tmp_path / "a_seg.nii.gz").code == 0
    header = nib.load(tmp_path / "a_seg.nii.gz").header
    assert not header.extensions
    for field in ("descrip", "aux_file", "intent_name", "db_name", "data_type"):
        assert not bytes(header[field].tobytes()).strip(b"\0"), field


def test_names_of_files_are_told_without_folders(
    tumorseg: Run,
    sources: dict[str, Path],
    model: Path,
    tmp_path: Path,
) -> None:
    assert tumorseg("segment", sources["nifti"], "-m", model, "-o", tmp_path / "a_seg.nii.gz").code == 0
    content = json.loads((tmp_path / "a_seg.json").read_text())
    (entry,) = content["inputs"]
    assert entry["name"] == "P-01_flair.nii.gz"
    assert entry["sha256"] == sha256(sources["nifti"] / entry["name"])


def test_warnings_and_reasons_of_failure(
    tumorseg: Run,
    sources: dict[str, Path],
    model: Path,
    tmp_path: Path,
) -> None:
    """Sentences about damaged and ill-placed files are written into results, too."""
    data = tmp_path / FOLDER / "data"
    shutil.copytree(sources["nifti"], data / "P-01")
    shutil.copytree(sources["nifti"], data / "P-02")
    shutil.copytree(sources["nifti"], data / "P-03")
    (data / "P-01" / "P-01_t1.nii.gz").write_bytes(b"\x1f\x8bno such file")
    (data / "P-02" / "P-01_flair.nii.gz").write_bytes(b"\x1f\x8bno such file")
    far = nib.Nifti1Image(np.ones((30, 30, 8), np.uint8), np.diag([1.0, 1, 1, 1]) + 900 * np.eye(4, k=3))
    for case in ("P-01", "P-02", "P-03"):
        nib.save(far, data / case / "P-01_brain_mask.nii.gz")
        mask = np.zeros((48, 40, 6), np.uint8)
        mask[30:36, 10:18, 2:5] = 1
        affine = nib.load(data / case / "P-01_t1c.nii.gz").affine
        nib.save(nib.Nifti1Image(mask, affine), data / case / "P-01_seg.nii.gz")
    out = tmp_path / "out"
    done = tumorseg("segment", data / "P-03", "-m", model, "-o", out / "one")
    assert done.code == 0, done.err
    done = tumorseg("evaluate", "-m", model, "--data", data, "-o", out / "all", "--masks-out", out / "masks")
    content = json.loads((out / "all" / "summary.json").read_text())
    assert "cannot be inflated" in json.dumps(content) or "damaged" in json.dumps(content)
    assert not leaks(out)


def test_cohort(tumorseg: Run, sources: dict[str, Path], model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / FOLDER / "P-99"
    damaged.mkdir(parents=True)
    (damaged / "P-99_flair.nii.gz").write_bytes(b"\x1f\x8bno image")
    out = tmp_path / "out"
    data = [sources[name] for name in ("nifti", "lgg", "dicom") if name in sources]
    done = tumorseg("cohort", *data, damaged, "-m", model, "-o", out)
    assert done.code == 3 and "1 of" in done.err, done.err
    written = {path.name for path in out.rglob("*") if path.is_file()}
    assert {"cohort.csv", "cohort_manifest.json", "P-01_seg.json", "P-01.json", "P-99.json"} <= written
    assert "inflated" in (out / "cohort.csv").read_text() or "damaged" in (out / "cohort.csv").read_text()
    assert not leaks(out)


def test_bids_app(sources: dict[str, Path], model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for level in ("participant", "group"):
        bids_app.main([str(sources["bids"]), str(out), level, "-m", str(model), "--probabilities"])
    assert (out / "group_tumour.tsv").is_file() and list(out.rglob("*_probseg.nii.gz"))
    assert not leaks(out)


def test_prepared_scan(tumorseg: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_plan, "missing_packages", lambda what: "")
    monkeypatch.setattr(preparation, "default_tools", lambda device: knowing({Role.T1C: canaries.MOVED}))
    card = card_of(("flair", "t1c"), input={"skull": "stripped"})
    made = save_model(tmp_path / "model", threshold_net([0], [85.0], inputs=2), card)
    source, out = canaries.native(tmp_path / FOLDER), tmp_path / "out"
    assert search(source / "P-17_flair.nii.gz")
    out.mkdir()
    done = tumorseg("segment", source, "-m", made.weights.parent, "-o", out, "--picture", out / "a.png")
    assert done.code == 0, done.err
    assert set(json.loads((out / "P-17_seg.json").read_text())["preparation"]) >= {
        "brain_extraction", "registration",
    }  # fmt: skip
    assert not leaks(out)


def test_evaluate(
    tumorseg: Run,
    sources: dict[str, Path],
    model: Path,
    tmp_path: Path,
) -> None:
    done = tumorseg(
        "evaluate", "-m", model, "--data", sources["lgg"], "-o", tmp_path / "out", "--masks-out",
        tmp_path / "out" / "masks",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert not leaks(tmp_path / "out")

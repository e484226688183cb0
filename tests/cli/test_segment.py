"""``tumorseg segment``: the main job, its files and its errors."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import napari_tumorseg.inference  # noqa: F401 (the module that a test patches)
from napari_tumorseg.cli.app import app
from napari_tumorseg.cli.segment import in_wanted_convention
from napari_tumorseg.geometry import Grid
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.samples import sample_path
from napari_tumorseg.scan import Segmentation
from tests.builders import card_of, head, save_model, threshold_net, write_case
from tests.cli.conftest import Run, environment, files_in


def test_the_sample(tmp_path: Path) -> None:
    """The whole job, once, on the sample that comes with the package."""
    done = CliRunner().invoke(
        app, ["segment", str(sample_path()), "-o", str(tmp_path / "out"), "--slices", "40:50"]
    )
    assert done.exit_code == 0, done.output
    assert files_in(tmp_path / "out") == ["TumorSeg-Sample-000_seg.json", "TumorSeg-Sample-000_seg.nii.gz"]
    mask = nib.load(tmp_path / "out" / "TumorSeg-Sample-000_seg.nii.gz")
    scan = nib.load(next(sample_path().glob("*t2f*")))
    assert mask.shape == scan.shape
    np.testing.assert_array_equal(mask.affine, scan.affine)
    assert set(np.unique(np.asarray(mask.dataobj))) == {0, 1, 2, 3}
    assert "brats-regions" in done.output
    assert "Research use only" in done.output


def test_mask_and_side_file_are_named_after_the_case(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path, lesion: np.ndarray
) -> None:
    done = tumorseg("segment", case, "-o", tmp_path / "new" / "out", "-m", model)
    assert done.code == 0, done.err
    assert files_in(tmp_path / "new" / "out") == ["P-01_seg.json", "P-01_seg.nii.gz"]
    mask = np.asarray(nib.load(tmp_path / "new" / "out" / "P-01_seg.nii.gz").dataobj)
    np.testing.assert_array_equal(mask.transpose(2, 1, 0), lesion)
    told = json.loads((tmp_path / "new" / "out" / "P-01_seg.json").read_text())
    assert told["case"] == "P-01"
    assert told["scheme"] == "binary"
    assert told["model"]["name"] == "tiny"
    assert told["measurements"]
    assert "wrote" in done.out
    assert str(tmp_path) not in json.dumps(told)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("a.nii.gz", "a.json"),
        ("b.NII", "b.json"),
        ("c.tif", "c.json"),
        ("d.TIFF", "d.json"),
        ("e.h5", "e.json"),
        ("ü f.hdf5", "ü f.json"),
    ],
)
def test_a_file_name_says_the_format(
    name: str, side: str, tumorseg: Run, case: Path, model: Path, tmp_path: Path, lesion: np.ndarray
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = tumorseg("segment", case, "-o", out / name, "-m", model, "-q")
    assert done.code == 0, done.err
    assert files_in(out) == sorted([name, side])
    assert done.out == ""
    from napari_tumorseg import read_mask

    assert np.count_nonzero(read_mask(out / name).labels) == np.count_nonzero(lesion)


def test_lgg_slices(tumorseg: Run, case: Path, model: Path, tmp_path: Path, lesion: np.ndarray) -> None:
    out = tmp_path / "out"
    arguments = ("segment", case, "-o", out, "-m", model, "--lgg")
    assert tumorseg(*arguments).code == 0
    masks = [tifffile.imread(out / f"P-01_{n}_mask.tif") for n in range(1, 7)]
    np.testing.assert_array_equal(np.stack(masks), lesion * 255)
    again = tumorseg(*arguments, "--device", "nonsense")  # told before the model is even looked at
    assert again.code == 6
    assert "P-01_1_mask.tif exists already" in again.err


def test_nothing_is_overwritten_unless_asked(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("segment", case, "-o", out, "-m", model, "-q")
    assert tumorseg(*arguments).code == 0
    mask = out / "P-01_seg.nii.gz"
    mask.write_bytes(b"mine")
    done = tumorseg(*arguments)
    assert (done.code, mask.read_bytes()) == (6, b"mine")
    assert done.err.strip().splitlines()[-1].startswith(f"tumorseg: {mask} exists already; add --overwrite")
    mask.unlink()
    side = out / "P-01_seg.json"
    assert tumorseg(*arguments).code == 6  # the side file alone stands in the way, too
    assert not mask.exists()
    assert side.exists()
    assert tumorseg(*arguments, "--overwrite").code == 0
    assert nib.load(mask).shape == (48, 40, 6)


def test_json_is_all_there_is_on_standard_output(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path, lesion: np.ndarray
) -> None:
    done = tumorseg("segment", case, "-o", tmp_path / "out", "-m", model, "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert [Path(f).name for f in told["files"]] == ["P-01_seg.nii.gz", "P-01_seg.json"]
    assert told["model"] == "tiny"
    assert str(np.count_nonzero(lesion)) in done.out


def test_picture_and_table(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    more = ("--picture", out / "p.png", "--csv", out / "t.csv")
    done = tumorseg("segment", case, "-o", out, "-m", model, *more)
    assert done.code == 0, done.err
    assert files_in(out) == ["P-01_seg.json", "P-01_seg.nii.gz", "p.png", "t.csv"]
    assert (out / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "WT" in (out / "t.csv").read_text(encoding="utf-8-sig")


def test_steps_and_slices_and_threshold(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ("--post", "none,min_component_mm3=5000", "--slices", "2:3", "--threshold", "0.7", "--no-flip")
    assert tumorseg("segment", case, "-o", out, "-m", model, *more).code == 0
    told = json.loads((out / "P-01_seg.json").read_text())["settings"]
    assert told["postprocessing"]["min_component_mm3"] == 5000
    assert told["slices"] == {"first": 2, "last": 3}
    assert told["threshold"] == 0.7
    assert not np.asarray(nib.load(out / "P-01_seg.nii.gz").dataobj).any()


def test_a_threshold_with_a_comma(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    assert tumorseg("segment", case, "-o", tmp_path / "out", "-m", model, "--threshold", "0,7").code == 0
    assert json.loads((tmp_path / "out" / "P-01_seg.json").read_text())["settings"]["threshold"] == 0.7
    for text in ("1,5", "0", "0,5,5", "half"):
        refused = tumorseg("segment", case, "-o", tmp_path / "no", "-m", model, "--threshold", text)
        assert refused.code == 2 and text in refused.err


def test_roles_by_image_or_file_name(tumorseg: Run, model: Path, tmp_path: Path) -> None:
    odd = write_case(tmp_path, {"scan1": head()}, "odd")
    arguments = ("segment", odd, "-m", model, "-q", "--overwrite", "-o", tmp_path / "out")
    done = tumorseg(*arguments)
    assert done.code == 5
    assert "the model tiny needs FLAIR" in done.err
    assert tumorseg(*arguments, "--roles", "odd_scan1=flair").code == 0
    assert tumorseg(*arguments, "--roles", "odd_scan1.nii.gz=FLAIR").code == 0
    unknown = tumorseg(*arguments, "--roles", "nope=flair")
    assert unknown.code == 3
    assert "has no image 'nope'" in unknown.err


def test_files_instead_of_a_folder(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    files = sorted(case.glob("*.nii.gz"))
    done = tumorseg("segment", *files, "-o", tmp_path / "out", "-m", model)
    assert done.code == 0, done.err
    assert files_in(tmp_path / "out") == ["P-01_seg.json", "P-01_seg.nii.gz"]


def test_warnings_go_to_standard_error(tumorseg: Run, tmp_path: Path) -> None:
    case = write_case(tmp_path, {"flair": head()}, "one")
    card = card_of(("t1", "flair"), input={"accepts": [["flair"]]})
    model = save_model(tmp_path / "two", threshold_net([1], [300.0], inputs=2), card).weights
    done = tumorseg("segment", case, "-o", tmp_path / "out", "-m", model, "--json")
    assert done.code == 0
    assert "warning: one has no T1; zeros take its place" in done.err
    json.loads(done.out)


def test_an_empty_mask_is_told(tumorseg: Run, model: Path, tmp_path: Path) -> None:
    case = write_case(tmp_path, {"flair": np.full((3, 20, 20), 7, dtype=np.float32)}, "flat")
    done = tumorseg("segment", case, "-o", tmp_path / "out", "-m", model)
    assert done.code == 0
    assert done.err.count("the mask is empty") == 1
    assert not np.asarray(nib.load(tmp_path / "out" / "flat_seg.nii.gz").dataobj).any()


# ---------------------------------------------------------------- errors


def error_line(err: str) -> str:
    """Return the one line that tells the error."""
    lines = [line for line in err.splitlines() if line.startswith("tumorseg: ")]
    assert len(lines) == 1
    assert "Traceback" not in err
    return lines[0]


def test_exit_codes(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    nowhere = tumorseg("segment", tmp_path / "nowhere", "-o", out)
    assert (nowhere.code, "nowhere does not exist" in error_line(nowhere.err)) == (3, True)

    broken = tmp_path / "broken_flair.nii.gz"
    broken.write_bytes(b"not gzip")
    damaged = tumorseg("segment", broken, "-o", out)
    assert (damaged.code, str(broken) in error_line(damaged.err)) == (3, True)

    write_case(tmp_path / "many", {"flair": head()}, "A")
    write_case(tmp_path / "many", {"flair": head()}, "B")
    several = tumorseg("segment", tmp_path / "many", "-o", out)
    assert (several.code, "holds 2 cases (A, B); choose one with --case" in error_line(several.err)) == (
        4,
        True,
    )
    assert tumorseg("segment", tmp_path / "many", "--case", "B", "-m", model, "-o", out).code == 0

    no_model = tumorseg("segment", case, "-o", out, "-m", "nope")
    assert (no_model.code, "there is no model 'nope'" in error_line(no_model.err)) == (5, True)

    (tmp_path / "file").touch()
    no_folder = tumorseg("segment", case, "-o", tmp_path / "file", "-m", model)
    assert (no_folder.code, str(tmp_path / "file") in error_line(no_folder.err)) == (6, True)
    no_parent = tumorseg("segment", case, "-o", tmp_path / "absent" / "x.nii.gz", "-m", model)
    assert (no_parent.code, "does not exist" in error_line(no_parent.err)) == (6, True)

    no_device = tumorseg("segment", case, "-o", out, "-m", model, "--device", "tpu")
    assert (no_device.code, "'tpu' is not available here" in error_line(no_device.err)) == (7, True)
    no_precision = tumorseg("segment", case, "-o", out, "-m", model, "--precision", "half")
    assert (no_precision.code, "'half' is not one of auto, float32" in no_precision.err) == (2, True)
    assert files_in(out) == ["B_seg.json", "B_seg.nii.gz"]


def test_the_precision_is_in_the_json(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    done = tumorseg("segment", case, "-o", tmp_path / "out", "-m", model, "--precision", "bfloat16")
    assert done.code == 0
    (side,) = (tmp_path / "out").glob("*.json")
    assert json.loads(side.read_text(encoding="utf-8"))["settings"]["precision"] == "bfloat16"


def test_memory_that_runs_out_is_told(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sys.modules["napari_tumorseg.inference.run"], "prepare", greedy)
    done = tumorseg("segment", case, "-o", tmp_path / "out", "-m", model)
    assert done.code == 7
    assert "memory ran out" in error_line(done.err)


def test_a_folder_that_nobody_may_look_into_is_told(
    tumorseg: Run, case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root, as in containers, may look into any folder, so the refusal is made."""

    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", refuse)
    done = tumorseg("cohort", case, "-o", tmp_path / "out")
    assert done.code == 3
    assert f"{case} cannot be used: Permission denied" in error_line(done.err)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--roles", "flair"),
        ("--roles", "x=pet"),
        ("--spacing", "1,2"),
        ("--spacing", "1,1,0"),
        ("--spacing", "1,1,nan"),
        ("--spacing", "1,inf,1"),
        ("--slices", "5:2"),
        ("--slices", "a:b"),
        ("--threshold", "1"),
        ("--post", "dilate=3"),
        ("--post", "closing_mm"),
        ("--post", "closing_mm=nan"),
        ("--post", "opening_mm=-1"),
        ("--post", "fill_holes=maybe"),
        ("--colour", "red"),
    ],
)
def test_wrong_use_exits_with_2(
    wrong: tuple[str, str], tumorseg: Run, case: Path, model: Path, tmp_path: Path
) -> None:
    done = tumorseg("segment", case, "-o", tmp_path / "out", "-m", model, *wrong)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert not files_in(tmp_path / "out")


def test_slices_that_are_not_there(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    done = tumorseg("segment", case, "-o", tmp_path / "out", "-m", model, "--slices", "4:60")
    assert done.code == 3
    assert "there is no slice 60; the scan has slices 0 to 5" in error_line(done.err)


def test_an_interrupt_leaves_no_file(tmp_path: Path) -> None:
    """Ctrl-C in mid-run, in a process of its own: exit code 130, one line, nothing written."""
    case = write_case(tmp_path, {"flair": head((400, 40, 48))}, "long")
    out = tmp_path / "out"
    command = [sys.executable, "-c", _SLOW, "segment", str(case), "-o", str(out), "-m", "lgg-flair"]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "tumorseg: cancelled; nothing was written"
    assert "Traceback" not in err
    assert rest == ""
    assert files_in(out) == []


# The command line, which tells when the second slice is begun; slices take long enough to be interrupted.
_SLOW = """
import signal, sys, time
import napari_tumorseg.inference
from napari_tumorseg.cli import main

run = sys.modules["napari_tumorseg.inference.run"]  # the function of this name hides the module
signal.signal(signal.SIGINT, signal.default_int_handler)
draw, calls = run._Canvas.draw, []

def slow(*given):
    calls.append(1)
    if len(calls) == 2:
        print("running", flush=True)
    time.sleep(0.02)
    return draw(*given)

run._Canvas.draw = slow
main()
"""


def test_what_cannot_be_written_is_told_before_the_run(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the model was run")

    monkeypatch.setattr("napari_tumorseg.cli.segment.run_with_progress", never)
    out = tmp_path / "out"
    (tmp_path / "file").touch()
    for extra in (
        ("-o", out, "--picture", tmp_path / "x.bmp"),
        ("-o", tmp_path / "mask.mha"),
        ("-o", tmp_path / "out.png"),
        ("-o", tmp_path / "a.nii.gz", "--csv", tmp_path / "a.json"),
        ("-o", tmp_path / "file" / "inside"),
    ):
        done = tumorseg("segment", case, "-m", model, *extra)
        assert done.code == 6, (extra, done.err)
        assert done.err.count("\n") == 1
    assert not out.exists()


def test_a_case_is_never_written_outside_the_folder(tumorseg: Run, model: Path, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        for name in ("a/b", "c"):
            file[f"{name}/image"] = head().astype(np.float32)
    names = json.loads(tumorseg("info", path, "--json").out).get("cases", [])
    out = tmp_path / "deep" / "out"
    for name in names:
        tumorseg("segment", path, "--case", name, "-m", model, "-o", out, "-q", "--roles", "image=flair")
    outside = [p for p in tmp_path.rglob("*_seg*") if out not in p.parents]
    assert not outside


def test_a_spacing_that_files_tell_is_not_overridden(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path
) -> None:
    done = tumorseg("segment", case, "-m", model, "-o", tmp_path / "o", "--spacing", "4,2,2")
    assert (done.code, "stores its voxel size" in done.err) == (3, True)


def test_the_mask_is_written_in_the_convention_that_is_wanted(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path, lesion: np.ndarray
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[labels]\n7 = "tumour"\n')
    done = tumorseg("segment", case, "-o", tmp_path / "m.nii.gz", "-m", model, "--labels-out", own)
    assert done.code == 0, done.err
    mask = np.asarray(nib.load(tmp_path / "m.nii.gz").dataobj)
    np.testing.assert_array_equal(mask.transpose(2, 1, 0), 7 * lesion)
    told = json.loads((tmp_path / "m.json").read_text())
    assert (told["scheme"], told["converted_from"]) == ("own", "binary")
    assert told["labels"] == {"7": "tumour"}
    failed = tumorseg("segment", case, "-o", tmp_path / "n.nii.gz", "-m", model, "--labels-out", "msd")
    assert failed.code == 3
    assert "has no label for whole tumour" in failed.err
    assert not (tmp_path / "n.nii.gz").exists()


@pytest.mark.parametrize("wanted", ["brats-2021", "binary"])
def test_a_cavity_that_cannot_be_written_becomes_background(
    wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.array([[[0, 1, 2, 3, 4]]], np.uint8)
    grid = Grid.from_codes(labels.shape)
    provenance = {"warnings": ["earlier"]}
    seg = Segmentation(labels, grid, CONVENTIONS["brats-2024"], "c", provenance=provenance)
    found = in_wanted_convention(seg, CONVENTIONS[wanted])
    expected = [0, 1, 2, 4, 0] if wanted == "brats-2021" else [0, 1, 1, 1, 0]
    assert found.labels.ravel().tolist() == expected
    assert found.provenance["warnings"][0] == "earlier"
    assert "resection cavity" in found.provenance["warnings"][1]
    assert "resection cavity" in capsys.readouterr().err

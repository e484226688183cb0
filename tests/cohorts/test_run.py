"""Runs of cohorts: what is done, kept, failed, killed and done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.cohorts import CohortSettings, cohort, collect, plan
from napari_tumorseg.cohorts.planning import TaskState
from napari_tumorseg.cohorts.settings import Part
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.inference import Settings
from napari_tumorseg.io.output_set import sha256
from napari_tumorseg.scan import Role
from napari_tumorseg.session.worklist import State, Worklist
from tests.builders import write_case
from tests.cohorts.conftest import brain, new, run, table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def states(data: Path, out: Path, settings: CohortSettings) -> dict[str, str]:
    return {task.name: str(task.state) for task in plan(data, out, settings).tasks}


def test_each_case_has_a_mask_and_a_row_and_the_one_that_failed_a_sentence(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    outcomes = run(data, out, settings)
    assert new(outcomes) == ["a", "b", "c", "odd"]
    for name, side in (("a", 3), ("b", 2), ("c", 4)):
        labels = np.asarray(nib.load(out / f"{name}_seg.nii.gz").dataobj)
        assert np.array_equal(labels.transpose(2, 1, 0) > 0, brain(side) > 300)
    head, *rows = table(out)
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert [(r["case"], r["status"], r["voxels"]) for r in found[:3]] == [
        ("a", "done", "27"),
        ("b", "done", "12"),
        ("c", "done", "48"),
    ]
    assert float(found[0]["volume_ml"]) == 0.027
    assert found[3]["status"] == "failed" and "flair" in found[3]["reason"].lower()
    assert str(tmp_path) not in (out / "cohort.csv").read_text()
    work = Worklist.open(data, out)
    assert [work.entry(name).state for name in ("a", "odd")] == [State.SEGMENTED, State.NEW]


def test_second_run_does_nothing_and_gives_the_same_bytes(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    before = {p: (sha256(p), p.stat().st_mtime_ns) for p in out.glob("*_seg.*")}
    text = (out / "cohort.csv").read_bytes()
    assert states(data, out, settings) == {"a": "done", "b": "done", "c": "done", "odd": "failed"}
    assert new(run(data, out, settings)) == []
    assert before == {p: (sha256(p), p.stat().st_mtime_ns) for p in out.glob("*_seg.*")}
    assert (out / "cohort.csv").read_bytes() == text
    other = tmp_path / "other"
    run(data, other, settings)
    assert (other / "cohort.csv").read_bytes() == text


def test_what_is_missing_or_changed_is_done_again(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    os.utime(data / "a" / "a_flair.nii.gz", (1, 1))  # the same content
    (out / "b_seg.nii.gz").unlink()
    (out / "cohort_records" / "b.json").write_text("damaged")
    write_case(tmp_path / "made", {"flair": brain(5)}, "c")
    (tmp_path / "made" / "c" / "c_flair.nii.gz").replace(data / "c" / "c_flair.nii.gz")
    write_case(data, {"flair": brain()}, "d")
    masks = {name: (out / f"{name}_seg.nii.gz").stat().st_mtime_ns for name in ("a", "c")}
    assert new(run(data, out, settings)) == ["a", "b", "c", "d"]
    assert (out / "a_seg.nii.gz").stat().st_mtime_ns == masks["a"]
    assert [row[9] for row in table(out)[1:5]] == ["27", "12", "75", "27"]
    assert new(run(data, out, settings)) == []
    (out / "cohort_records" / "a.json").unlink()
    assert new(run(data, out, settings)) == ["a"]


def test_changed_slice_of_a_dicom_series_is_noticed(tmp_path: Path, settings: CohortSettings) -> None:
    pytest.importorskip("pydicom", reason="the dicom extra is not installed")
    from tests.dicom_files import LPS_TO_RAS, SEQUENCES, write_series

    def write(lesion: int) -> None:
        array = brain(lesion).transpose(2, 1, 0).astype(np.uint16)
        write_series(tmp_path / "study" / "x", array, LPS_TO_RAS, 1, "AX FLAIR", **SEQUENCES["flair"])

    out = tmp_path / "out"
    write(3)
    assert len(new(run(tmp_path / "study", out, settings))) == 1
    assert table(out)[1][9] == "27" and new(run(tmp_path / "study", out, settings)) == []
    write(4)
    assert len(new(run(tmp_path / "study", out, settings))) == 1
    assert table(out)[1][9] == "48"


def test_other_settings_or_another_model_do_all_again(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    other = replace(settings, inference=Settings(threshold=0.4))
    assert set(states(data, out, other).values()) == {"changed"}
    assert set(states(data, out, replace(settings, inference=Settings(device="cpu"))).values()) == {
        "done",
        "failed",
    }
    card = Path(str(settings.model))
    card.write_text(card.read_text().replace("threshold = 0.5", "threshold = 0.6"))
    assert set(states(data, out, settings).values()) == {"changed"}


def test_roles_are_stated_for_the_images_that_fit_a_pattern(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    stated = replace(settings, roles={"*_t1*": Role.FLAIR, "odd_*": Role.T2, "nothing": Role.T1C})
    assert set(states(data, out, stated).values()) == {"changed"}
    run(data, out, stated)
    found = {row[0]: row for row in table(out)[1:]}
    assert found["odd"][3] == "done" and found["odd"][9] == "27" and found["b"][9] == "12"


def test_failed_case_is_retried_when_asked_or_when_its_files_change(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    assert new(run(data, out, settings, retry_failed=True)) == ["odd"]
    write_case(tmp_path / "made", {"flair": brain()}, "odd")
    (tmp_path / "made" / "odd" / "odd_flair.nii.gz").replace(data / "odd" / "odd_flair.nii.gz")
    assert new(run(data, out, settings)) == ["odd"]
    assert {row[3] for row in table(out)[1:]} == {"done"}


def test_mask_corrected_by_hand_is_kept_and_measured(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    run(data, out, settings)
    from napari_tumorseg.io import read_mask, write_mask

    seg = read_mask(out / "a_seg.nii.gz")
    labels = seg.labels.copy()
    labels[0, 0, 0] = 1
    side = json.loads((out / "a_seg.json").read_text())
    facts = {key: side[key] for key in ("model", "settings", "inputs", "warnings", "versions")}
    corrected = replace(seg, labels=labels, provenance={**facts, "corrected_by_hand": True})
    write_mask(corrected, out / "a_seg.nii.gz", overwrite=True)
    kept = (out / "a_seg.nii.gz").read_bytes()
    other = replace(settings, inference=Settings(threshold=0.4))
    assert "a" not in new(run(data, out, other))
    assert (out / "a_seg.nii.gz").read_bytes() == kept
    head, row, *_ = table(out)
    found = dict(zip(head, row, strict=True))
    assert (found["case"], found["voxels"], found["flags"]) == ("a", "28", "corrected by hand")


def test_mask_that_is_there_already_or_approved_is_kept(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    from napari_tumorseg.io import read, write_mask
    from napari_tumorseg.regions import CONVENTIONS
    from napari_tumorseg.scan import Segmentation

    scan = read(data / "a")
    drawn = np.zeros(scan.grid.shape, np.uint8)
    drawn[3, 4, 5] = 1
    write_mask(Segmentation(drawn, scan.grid, CONVENTIONS["binary"], "a"), out / "a_seg.nii.gz")
    assert "a" not in new(run(data, out, settings))
    head, row, *_ = table(out)
    found = dict(zip(head, row, strict=True))
    assert (found["voxels"], found["flags"]) == ("1", "made elsewhere")
    text = (out / "cohort.csv").read_bytes()
    Worklist.open(data, out).set("b", State.DONE)
    other = replace(settings, inference=Settings(threshold=0.4))
    assert new(run(data, out, other)) == ["c", "odd"]
    assert (out / "cohort.csv").read_bytes() == text


def test_mask_of_another_program_is_never_replaced(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), out / "a_seg.nii.gz")
    before = (out / "a_seg.nii.gz").read_bytes()
    run(data, out, settings)
    assert (out / "a_seg.nii.gz").read_bytes() == before
    assert "not written by this program" in (out / "cohort.csv").read_text()
    (out / "a_seg.nii.gz").unlink()
    assert new(run(data, out, settings)) == ["a"]
    assert table(out)[1][3] == "done"


def test_closed_iterator_leaves_what_is_done_and_the_rest_for_later(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    steps = cohort(data, out, settings)
    assert next(steps).record.case == "a"
    steps.close()  # type: ignore[attr-defined]
    todo = [task.name for task in plan(data, out, settings).todo()]
    assert "a" not in todo and "odd" in todo
    run(data, out, settings)
    assert len(table(out)) == 5


def test_parts_are_put_together_to_the_same_table(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    whole = tmp_path / "whole"
    run(data, whole, settings)
    text = (whole / "cohort.csv").read_bytes()
    shared = tmp_path / "shared out"
    copies = [tmp_path / "copy 1", tmp_path / "copy 2"]
    for number, copy in enumerate(copies, start=1):
        run(data, shared, settings, part=Part(number, 2))
        run(data, copy, settings, part=Part(number, 2))
        assert not (copy / "cohort.csv").exists()
    assert not collect(shared).missing
    assert (shared / "cohort.csv").read_bytes() == text
    half = collect(tmp_path / "half", [copies[0]])
    assert half.missing == ("b", "odd")
    collect(tmp_path / "both", copies)
    assert (tmp_path / "both" / "cohort.csv").read_bytes() == text
    assert sorted(p.name for p in (tmp_path / "both").glob("*.nii.gz")) == [
        "a_seg.nii.gz",
        "b_seg.nii.gz",
        "c_seg.nii.gz",
    ]
    assert states(data, tmp_path / "both", settings)["a"] == TaskState.DONE


def test_parts_of_different_settings_are_not_mixed(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    other = replace(settings, inference=Settings(threshold=0.4))
    run(data, tmp_path / "1", settings, part=Part(1, 2))
    run(data, tmp_path / "2", other, part=Part(2, 2))
    with pytest.raises(InputError, match="different settings"):
        collect(tmp_path / "out", [tmp_path / "1", tmp_path / "2"])
    with pytest.raises(InputError, match="holds no results"):
        collect(tmp_path / "out", [data])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_part_is_a_number_of_a_number(text: str) -> None:
    with pytest.raises(InputError, match="2/8"):
        Part.parse(text)
    assert Part.parse(" 2/8 ") == Part(2, 8)


def test_output_does_not_lie_in_the_data(data: Path, tmp_path: Path, settings: CohortSettings) -> None:
    for inside in (data, data / "masks"):
        with pytest.raises(OutputError, match="beside it"):
            plan(data, inside, settings)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        plan(data, tmp_path / "file", settings)


def test_names_that_would_be_one_file_are_refused(tmp_path: Path, settings: CohortSettings) -> None:
    write_case(tmp_path / "study" / "x", {"flair": brain()}, "P_1")
    write_case(tmp_path / "study" / "y", {"flair": brain()}, "p_1")
    with pytest.raises(InputError, match="one"):
        plan([tmp_path / "study" / "x", tmp_path / "study" / "y"], tmp_path / "out", settings)


_KILLED = """
import os, signal, sys
from pathlib import Path
from napari_tumorseg.cohorts import CohortSettings, cohort
count, replace = 0, Path.replace
def counted(self, target):
    global count
    count += 1
    if count == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = counted
list(cohort(sys.argv[2], sys.argv[3], CohortSettings(model=sys.argv[4])))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.slow
def test_killed_between_any_two_files_and_run_again_gives_the_same_table(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out, clean = tmp_path / "out", tmp_path / "clean"
    for number in (1, 2, 3, 5):
        command = [sys.executable, "-c", _KILLED, str(number), str(data), str(out), str(settings.model)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
        assert done.returncode == -signal.SIGKILL, done.stderr
    run(data, out, settings)
    run(data, clean, settings)
    assert (out / "cohort.csv").read_bytes() == (clean / "cohort.csv").read_bytes()
    assert sorted(p.name for p in out.rglob("*")) == sorted(p.name for p in clean.rglob("*"))


@pytest.mark.slow
def test_processes_give_the_same_table(data: Path, tmp_path: Path, settings: CohortSettings) -> None:
    alone, both = tmp_path / "alone", tmp_path / "both"
    run(data, alone, settings)
    assert sorted(new(run(data, both, settings, jobs=2))) == ["a", "b", "c", "odd"]
    assert (alone / "cohort.csv").read_bytes() == (both / "cohort.csv").read_bytes()

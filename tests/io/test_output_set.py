"""Sets of files: all or none, never mixed unnoticed, whatever ends the process that writes them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.errors import ChoiceNeededError, OutputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import open_case, output_set, read_mask, write_lgg, write_mask
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.locks import LOCK, held
from napari_tumorseg.io.output_set import PART, sha256
from napari_tumorseg.io.side_files import set_problems
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

posix = pytest.mark.skipif(os.name != "posix", reason="kills and numbers of processes as POSIX has them")
SHAPE = (3, 8, 6)


def segmentation(label: int = 1, convention: str = "brats-2021") -> Segmentation:
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 2:5, 2:5] = label
    labels[1, 7, :2] = 1, 2  # what several conventions have
    grid = Grid.from_codes(SHAPE, spacing=(1.0, 1.0, 1.0))
    return Segmentation(labels, grid, CONVENTIONS[convention], "case", provenance={"run": label})


def write_case(folder: Path, label: int = 1, convention: str = "brats-2021", overwrite: bool = True) -> None:
    """Write a mask, its JSON, a table and a picture as one set."""
    seg = segmentation(label, convention)
    with output_set.output_set():
        write_mask(seg, folder / "case_seg.nii.gz", overwrite=overwrite)
        write_text(folder / "volumes.csv", f"run,{label}\n", overwrite)
        write_text(folder / "overlay.png", f"picture {label}\n", overwrite)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_description_lists_the_others(tmp_path: Path) -> None:
    write_case(tmp_path)
    assert names(tmp_path) == ["case_seg.json", "case_seg.nii.gz", "overlay.png", "volumes.csv"]
    stated = json.loads((tmp_path / "case_seg.json").read_text())
    assert stated["files"] == {
        name: sha256(tmp_path / name) for name in ("case_seg.nii.gz", "volumes.csv", "overlay.png")
    }
    assert set_problems(tmp_path / "case_seg.nii.gz") == []
    assert open_case(tmp_path / "case_seg.nii.gz").warnings == ()
    assert read_mask(tmp_path / "case_seg.nii.gz").convention.name == "brats-2021"


def test_nothing_appears_before_the_end_or_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), output_set.output_set():
        write_mask(segmentation(), tmp_path / "case_seg.nii.gz")
        write_text(tmp_path / "a.csv", "new")
        assert all(name.startswith(PART) for name in names(tmp_path))
        raise RuntimeError
    assert names(tmp_path) == []


def test_one_file_that_exists_keeps_all_others_away(tmp_path: Path) -> None:
    def meddle(_path: Path) -> None:
        (tmp_path / "b.txt").write_text("another process was faster")

    with pytest.raises(OutputError, match=r"b\.txt exists already"), output_set.output_set():
        write_text(tmp_path / "a.txt", "new")
        write_text(tmp_path / "b.txt", "new")
        meddle(tmp_path)
    assert names(tmp_path) == ["b.txt"]


def test_an_error_while_names_are_given_leaves_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def failing(source: Path, target: Path) -> None:
        if Path(target).name == "b.txt":
            raise KeyboardInterrupt
        link(source, target)

    monkeypatch.setattr(os, "link", failing)
    with pytest.raises(KeyboardInterrupt), output_set.output_set():
        write_text(tmp_path / "a.txt", "new")
        write_text(tmp_path / "b.txt", "new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("links", [True, False])
def test_a_replacement_that_fails_halfway_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, links: bool
) -> None:
    write_case(tmp_path, 1)
    (tmp_path / "overlay.png").unlink()  # one file of the set is new
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(target).suffix == ".json" and error not in raised:
            raised.append(error)
            raise error
        replace(source, target)

    def refuse(source: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    raised: list[BaseException] = []
    monkeypatch.setattr(os, "replace", failing)
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_case(tmp_path, 2)
    assert raised and {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_another_program_writes_to_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_set, "held", lambda path: held(path, 0.01))
    write_case(tmp_path, 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        held(tmp_path / LOCK),
        pytest.raises(OutputError, match="another program is writing"),
    ):
        write_case(tmp_path, 2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("changed", ["case_seg.nii.gz", "volumes.csv", "overlay.png"])
def test_a_file_of_another_run_is_noticed(tmp_path: Path, changed: str) -> None:
    write_case(tmp_path, 1)
    other = tmp_path / "other"
    other.mkdir()
    write_case(other, 2)
    (other / changed).replace(tmp_path / changed)
    (problem,) = open_case(tmp_path / "case_seg.nii.gz").warnings
    assert changed in problem and "case_seg.json" in problem


def test_the_convention_of_another_mask_is_not_used(tmp_path: Path) -> None:
    write_case(tmp_path, 1, "brats-2021")
    other = tmp_path / "other"
    other.mkdir()
    write_case(other, 2, "msd")
    (other / "case_seg.json").replace(tmp_path / "case_seg.json")
    with pytest.raises(ChoiceNeededError):
        read_mask(tmp_path / "case_seg.nii.gz")


def test_a_set_may_be_renamed(tmp_path: Path) -> None:
    write_mask(segmentation(), tmp_path / "a_seg.nii.gz")
    (tmp_path / "a_seg.nii.gz").rename(tmp_path / "b_seg.nii.gz")
    (tmp_path / "a_seg.json").rename(tmp_path / "b_seg.json")
    assert read_mask(tmp_path / "b_seg.nii.gz").convention.name == "brats-2021"
    assert set_problems(tmp_path / "b_seg.nii.gz") == []


def test_side_files_of_earlier_versions_are_used(tmp_path: Path) -> None:
    write_mask(segmentation(), tmp_path / "a_seg.nii.gz")
    side = tmp_path / "a_seg.json"
    stated = json.loads(side.read_text())
    del stated["files"]
    side.write_text(json.dumps(stated))
    assert read_mask(tmp_path / "a_seg.nii.gz").convention.name == "brats-2021"
    write_mask(segmentation(2), tmp_path / "a_seg.nii.gz", overwrite=True)
    assert read_mask(tmp_path / "a_seg.nii.gz").labels[1, 3, 3] == 2


def test_slices_of_an_lgg_case_are_a_set(tmp_path: Path) -> None:
    write_lgg(segmentation(), tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    empty = segmentation()
    empty.labels[:] = 0
    write_lgg(empty, other)
    assert set_problems(tmp_path) == []
    (other / "case_2_mask.tif").replace(tmp_path / "case_2_mask.tif")
    assert set_problems(tmp_path) == ["case_2_mask.tif and case_mask.json are of different runs or versions"]
    assert set_problems(tmp_path / "case_2_mask.tif")


@posix
def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from napari_tumorseg.io.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.txt")], check=False)
    ours = tmp_path / f"{PART}{output_set._HOST}-{os.getpid()}-alive.txt"
    elsewhere, old = tmp_path / f"{PART}0a0a0a-1-x.txt", tmp_path / f"{PART}abcd1234.txt"
    for path in (ours, elsewhere, old):
        path.write_text("x")
    os.utime(old, (0, 0))
    assert len(names(tmp_path)) == 4
    write_text(tmp_path / "b.txt", "new")
    assert names(tmp_path) == sorted([ours.name, elsewhere.name, "b.txt"])


WRITER = """
import sys
from pathlib import Path
from tests.io.test_output_set import write_case
print("ready", flush=True)
number = int(sys.argv[2])
while True:
    write_case(Path(sys.argv[1]), 1 + number % 2, ("brats-2021", "msd")[number % 2])
    number += int(sys.argv[3])
"""


def start_writer(folder: Path, first: int, step: int, script: str = WRITER) -> subprocess.Popen[str]:
    """Start a process that writes one set after the other into a folder."""
    command = [sys.executable, "-c", script, str(folder), str(first), str(step)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def is_mixed(folder: Path) -> bool:
    """Tell by the content whether the files are of different runs."""
    try:
        run = json.loads((folder / "case_seg.json").read_text())["run"]
    except FileNotFoundError:
        return False
    found = open_case(folder / "case_seg.nii.gz").masks[0].labels[1, 3, 3]
    table = (folder / "volumes.csv").read_text() == f"run,{run}\n"
    return not (found == run and table and (folder / "overlay.png").read_text() == f"picture {run}\n")


def kill_writers(folder: Path, times: int, seed: int = 0) -> int:
    """Kill a process at random times while it writes; return how often it left a mixed set.

    Every mixed set must be noticed by who reads it, and every set that is not mixed must be read as it is.
    """
    rng, mixed = random.Random(seed), 0
    for _ in range(times):
        writer = start_writer(folder, rng.randrange(2), 1)
        time.sleep(rng.uniform(0.02, 0.2))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        if is_mixed(folder):
            mixed += 1
            assert open_case(folder / "case_seg.nii.gz").warnings
        elif (folder / "case_seg.json").exists():
            assert not open_case(folder / "case_seg.nii.gz").warnings
    write_case(folder)
    assert names(folder) == ["case_seg.json", "case_seg.nii.gz", "overlay.png", "volumes.csv"]
    return mixed


@posix
def test_a_killed_process_leaves_no_mixed_set_unnoticed(tmp_path: Path) -> None:
    kill_writers(tmp_path, 4)


KILLED = """
import os, sys
from pathlib import Path
from tests.io.test_output_set import write_case
replace, left = os.replace, int(sys.argv[2])
def counted(source, target):
    global left
    if left == 0:
        os.kill(os.getpid(), 9)
    left -= 1
    replace(source, target)
os.replace = counted
write_case(Path(sys.argv[1]), 2, "msd")
"""


@posix
@pytest.mark.parametrize("named", range(5))
def test_a_process_killed_between_two_names_is_noticed(tmp_path: Path, named: int) -> None:
    """Of the four files `named` are of the new run when the process is killed."""
    write_case(tmp_path, 1)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(named)], check=False)
    assert done.returncode == (-signal.SIGKILL if named < 4 else 0)
    assert is_mixed(tmp_path) == (0 < named < 4)
    assert bool(open_case(tmp_path / "case_seg.nii.gz").warnings) == (0 < named < 4)
    write_case(tmp_path, 2, "msd")  # what was interrupted may be written again
    assert not is_mixed(tmp_path)


SLOW_WRITER = (
    """
import os, time
replace = os.replace
def slowly(source, target):
    replace(source, target)
    time.sleep(0.01)
os.replace = slowly
"""
    + WRITER
)


@posix
def test_two_processes_do_not_mix_their_sets(tmp_path: Path) -> None:
    """Whoever holds the lock, as each writer does while it gives names, finds a set of one run."""
    write_case(tmp_path)
    writers = [start_writer(tmp_path, number, 2, SLOW_WRITER) for number in (0, 1)]
    seen, until = [], time.monotonic() + 20
    try:
        while len(seen) < 10 or len(set(seen)) < 2:
            assert time.monotonic() < until and all(writer.poll() is None for writer in writers)
            with held(tmp_path / LOCK):
                assert not is_mixed(tmp_path) and not set_problems(tmp_path / "case_seg.nii.gz")
                seen.append((tmp_path / "volumes.csv").read_text())
            time.sleep(0.02)
    finally:
        for writer in writers:
            writer.terminate()
            writer.communicate()
    write_text(tmp_path / "x.txt", "clears what was left")
    if is_mixed(tmp_path):  # one of them was ended between two names
        assert set_problems(tmp_path / "case_seg.nii.gz")


def test_two_threads_do_not_share_a_set(tmp_path: Path) -> None:
    from threading import Thread

    with output_set.output_set():
        thread = Thread(target=write_text, args=(tmp_path / "a.txt", "of another thread"))
        thread.start()
        thread.join()
        assert names(tmp_path) == ["a.txt"]
        with atomic_path(tmp_path / "b.txt") as temporary:
            temporary.write_text("b")
        assert not (tmp_path / "b.txt").exists()
    assert names(tmp_path) == ["a.txt", "b.txt"]


if __name__ == "__main__":  # python -m tests.io.test_output_set 100
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        count = int(sys.argv[1])
        print(f"{count} kills: {kill_writers(Path(place), count, seed=1)} mixed sets, none unnoticed")

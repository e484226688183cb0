"""``tumorseg-bids``: levels, labels, filters, failures, and what is written."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.cli import bids_app
from napari_tumorseg.errors import InputError
from napari_tumorseg.io import read_mask, write_mask
from napari_tumorseg.io.bids.query import BidsFilter, select_sessions
from tests.bids_files import describe, problems, write_json, write_session
from tests.cli.conftest import Outcome

App = Callable[..., Outcome]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def app(capsys: pytest.CaptureFixture[str]) -> App:
    """Return a function that runs the app with arguments."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = 0
        try:
            bids_app.main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "ds"
    for subject, session in (("01", "a"), ("01", "b"), ("02", "a")):
        write_session(root, subject, session, ["acq-ax_FLAIR", "acq-sag_FLAIR"])
    describe(root)
    write_json(tmp_path / "filter.json", {"flair": {"acquisition": "ax"}})
    return root


def results(output: Path) -> list[str]:
    return sorted(path.parent.parent.name + "/" + path.name[:6] for path in output.rglob("*_dseg.nii.gz"))


def test_both_levels_make_a_valid_data_set(app: App, dataset: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    common = (dataset, out, "participant", "-m", model, "--bids-filter-file", tmp_path / "filter.json")
    done = app(*common, "--participant-label", "sub-01", "--omp-nthreads", 1, "-w", tmp_path / "work")
    assert done.code == 0, done.err
    assert results(out) == ["ses-a/sub-01", "ses-b/sub-01"]
    again = app(*common)
    assert again.out.count("done before") == 2 and len(results(out)) == 3
    group = app(dataset, out, "group")
    assert group.code == 0, group.err
    rows = (out / "group_tumour.tsv").read_text().splitlines()
    assert rows[0].split("\t")[:2] == ["participant_id", "session_id"]
    table = [dict(zip(rows[0].split("\t"), row.split("\t"), strict=True)) for row in rows[1:]]
    assert [(row["participant_id"], row["session_id"]) for row in table] == [
        ("sub-01", "ses-a"), ("sub-01", "ses-b"), ("sub-02", "ses-a"),
    ]  # fmt: skip
    mask = next(out.rglob("*label-WT_mask.nii.gz"))
    assert {row["WT_voxels"] for row in table} == {str(np.count_nonzero(nib.load(mask).dataobj))}
    assert {row["ET_volume_ml"] for row in table} == {"n/a"}
    assert problems(out) == []
    assert not (tmp_path / "work").exists()


def test_a_session_that_fails_does_not_stop_the_others(
    app: App, dataset: Path, model: Path, tmp_path: Path
) -> None:
    first = dataset / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_acq-ax_FLAIR.nii.gz"
    first.write_bytes(b"\x1f\x8bno image")
    common = (dataset, tmp_path / "out", "participant", "-m", model)
    filtered = ("--bids-filter-file", tmp_path / "filter.json")
    stopped = app(*common, *filtered, "--stop-on-first-crash")
    assert stopped.code == 3 and results(tmp_path / "out") == []
    done = app(*common, *filtered)
    assert done.code == 3 and results(tmp_path / "out") == ["ses-a/sub-02", "ses-b/sub-01"]
    assert "sub-01_ses-a: failed: " in done.err and "1 of 3 sessions failed (sub-01_ses-a)" in done.err
    assert "Traceback" not in done.err


def test_sessions_run_as_a_cohort_whose_corrected_masks_are_kept(
    app: App, dataset: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    common = (dataset, out, "participant", "-m", model, "--bids-filter-file", tmp_path / "filter.json")
    assert app(*common, "--participant-label", "01").code == 0
    first, second = sorted(out.rglob("*_dseg.nii.gz"))
    write_mask(replace(read_mask(first), provenance={"corrected_by_hand": True}), first, overwrite=True)
    before = first.read_bytes(), second.stat().st_mtime_ns
    again = app(*common, "--participant-label", "01", "--overwrite")
    assert again.code == 0, again.err
    assert "sub-01_ses-a: done before" in again.out and "sub-01_ses-b: WT" in again.out
    assert first.read_bytes() == before[0] and second.stat().st_mtime_ns != before[1]
    assert not (out / "cohort.csv").exists()


def test_results_in_the_data_set_itself_are_refused(app: App, dataset: Path, model: Path) -> None:
    done = app(dataset, dataset, "participant", "-m", model)
    assert done.code == 6 and "is the data set itself" in done.err
    assert not (dataset / "cohort_records").exists()


def test_without_a_filter_two_images_of_one_kind_are_told(
    app: App, dataset: Path, model: Path, tmp_path: Path
) -> None:
    done = app(dataset, tmp_path / "out", "participant", "-m", model, "--session-label", "b")
    assert done.code == 3 and "2 images that look like flair" in done.err


def test_mistakes_are_one_line(app: App, dataset: Path, tmp_path: Path) -> None:
    for arguments, sentence in (
        ((dataset, "o", "participant", "--participant-label", "77"), "has no sub-77"),
        ((dataset, "o", "participant", "--session-label", "ses-z"), "has no ses-z"),
        ((tmp_path / "none", "o", "participant"), "is not a folder"),
        ((dataset, tmp_path / "out", "group"), "holds no results"),
    ):
        done = app(*arguments)
        assert done.code == 3 and sentence in done.err and done.err.count("\n") == 1
    assert app(dataset, "o", "session").code == 2


def test_the_boilerplate_names_versions_and_papers(app: App, dataset: Path) -> None:
    done = app(dataset, "o", "participant", "--boilerplate")
    assert done.code == 0
    for word in ("napari-tumorseg ", "torch ", "brats-regions", "lgg-flair", "doi:", "Research use only"):
        assert word in done.out


# --- selection ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "taken"),
    [
        ({"acquisition": "ax"}, ["acq-ax_run-01_FLAIR"]),
        ({"acquisition": ["ax", "sag"]}, ["acq-ax_run-01_FLAIR", "acq-sag_FLAIR"]),
        ({"acquisition": None}, ["FLAIR"]),
        ({"run": 1, "datatype": "anat"}, ["acq-ax_run-01_FLAIR"]),
        ({"run": None, "acq": "sag"}, ["acq-sag_FLAIR"]),
    ],
)
def test_a_filter_takes_images_by_their_entities(
    tmp_path: Path, query: dict[str, object], taken: list[str]
) -> None:
    write_session(tmp_path, "1", None, ["FLAIR", "acq-ax_run-01_FLAIR", "acq-sag_FLAIR", "T1w"])
    images = BidsFilter.read(write_json(tmp_path / "f.json", {"flair": query}))
    (session,) = select_sessions(tmp_path, images=images)
    names = sorted(path.name.removeprefix("sub-1_").removesuffix(".nii.gz") for path in session.images)
    assert names == sorted([*taken, "T1w"])


def test_a_session_goes_to_another_process_and_is_read_there(dataset: Path) -> None:
    (session,) = select_sessions(dataset, ["02"], images=BidsFilter({"FLAIR": {"acq": "sag"}}))
    case = pickle.loads(pickle.dumps(session.reference(dataset))).open()
    assert [image.name for image in case.images] == ["sub-02_ses-a_acq-sag_FLAIR"]


@pytest.mark.parametrize("content", [[], {"flair": 3}, {"flair": {"colour": "red"}}])
def test_a_filter_that_is_none(tmp_path: Path, content: object) -> None:
    with pytest.raises(InputError, match=r"f.json (cannot be read as a BIDS filter|filters by 'colour')"):
        BidsFilter.read(write_json(tmp_path / "f.json", content))


# --- containers --------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["Dockerfile", "apptainer.def"])
def test_recipes_copy_what_is_there_and_call_the_app(recipe: str) -> None:
    text = (ROOT / "containers" / recipe).read_text(encoding="utf-8")
    lines = re.findall(r"^COPY (.*) \S+$|^    ([\w.]+\w) /opt/\S+/\S+$", text, re.MULTILINE)
    copied = {name for line in lines for name in " ".join(line).split()}
    assert copied == {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", "src", "sample_data"}
    assert all((ROOT / name).exists() for name in copied)
    assert "tumorseg-bids" in text and "whl/cpu" in text


def test_the_dockerfile_passes_the_linter() -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed")
    command = [str(program), str(ROOT / "containers" / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_app_is_installed_under_its_name() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'tumorseg-bids = "napari_tumorseg.cli.bids_app:main"' in text
    assert json.dumps(bids_app.parser().prog) == '"tumorseg-bids"'

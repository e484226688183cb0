"""BIDS data sets as lists of cases: contrast agent in side files, tables of labels, masks of pipelines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg import io
from napari_tumorseg.errors import ChoiceNeededError
from napari_tumorseg.io.bids.metadata import label_table, metadata_of
from napari_tumorseg.io.bids.names import BidsName, dataset_root, entity_value
from tests.bids_files import describe, problems, write_json, write_session
from tests.nifti_files import labels_like, save_nifti

SHAPE = (48, 40, 6)


def roles(path: Path, case: str | None = None) -> dict[str, str]:
    return {i.name.partition("_")[2]: str(i.role) for i in io.open_case(path, case).images}


def labels(path: Path, values: tuple[int, ...] = (0, 1, 2, 3)) -> Path:
    return save_nifti(path, labels_like(SHAPE, values))


def derived(root: Path, name: str, pipeline: str = "experts") -> Path:
    return root / "derivatives" / pipeline / "sub-01" / "anat" / f"sub-01_{name}.nii.gz"


def masks(root: Path) -> list[str]:
    return [mask.name for mask in io.open_case(root).masks]


# --- names -------------------------------------------------------------------------------------


def test_a_name_is_parted_and_put_together() -> None:
    name = BidsName.parse("sub-01_ses-a_ce-gadolinium_run-2_T1w")
    assert name == BidsName({"sub": "01", "ses": "a", "ce": "gadolinium", "run": "2"}, "T1w")
    assert str(name) == "sub-01_ses-a_ce-gadolinium_run-2_T1w"
    assert BidsName.parse("P-01_flair volume") is None


@pytest.mark.parametrize(("text", "value"), [("P-01", "P01"), ("Jérôme_2", "Jerome2"), ("NCR/NET", "NCRNET")])
def test_the_value_of_an_entity_has_letters_and_digits_only(text: str, value: str) -> None:
    assert entity_value(text) == value


def test_names_of_other_alphabets_stay_apart() -> None:
    one, other = entity_value("患者一"), entity_value("患者二")
    assert one != other and one.isalnum() and one.isascii()


def test_the_data_set_of_a_file(tmp_path: Path) -> None:
    assert dataset_root(tmp_path / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz") == tmp_path
    assert dataset_root(tmp_path / "P01/flair.nii.gz") is None


# --- metadata ----------------------------------------------------------------------------------


def test_side_files_are_inherited_and_the_nearest_wins(tmp_path: Path) -> None:
    write_session(tmp_path, "01", "a", ["T1w", "acq-post_T1w"])
    anatomy = tmp_path / "sub-01" / "ses-a" / "anat"
    write_json(tmp_path / "T1w.json", {"FlipAngle": 9, "EchoTime": 1})
    write_json(tmp_path / "T2w.json", {"FlipAngle": 100})
    write_json(tmp_path / "sub-01" / "ses-a" / "sub-01_ses-a_acq-post_T1w.json", {"EchoTime": 3})
    assert metadata_of(anatomy / "sub-01_ses-a_T1w.nii.gz") == {"FlipAngle": 9, "EchoTime": 1}
    assert metadata_of(anatomy / "sub-01_ses-a_acq-post_T1w.nii.gz") == {"FlipAngle": 9, "EchoTime": 3}


@pytest.mark.parametrize("level", ["acq-b_T1w.json", "sub-01/anat/sub-01_acq-b_T1w.json"])
def test_a_contrast_agent_in_a_side_file_makes_a_t1_a_t1c(tmp_path: Path, level: str) -> None:
    write_session(tmp_path, "01", None, ["FLAIR", "acq-a_T1w", "acq-b_T1w"])
    write_json(tmp_path / level, {"ContrastBolusIngredient": "GADOLINIUM"})
    write_json(tmp_path / "FLAIR.json", {"ContrastBolusIngredient": "GADOLINIUM"})
    assert roles(tmp_path) == {"FLAIR": "flair", "acq-a_T1w": "t1", "acq-b_T1w": "t1c"}


@pytest.mark.parametrize("content", ["none", " Not applicable", "", None, 3, "{"])
def test_no_contrast_agent(tmp_path: Path, content: object) -> None:
    write_session(tmp_path, "01", None, ["FLAIR", "T1w"])
    side = write_json(tmp_path / "T1w.json", {"ContrastBolusIngredient": content})
    if content == "{":
        side.write_text("{", encoding="utf-8")
    assert roles(tmp_path)["T1w"] == "t1"


def test_runs_of_one_sequence_are_asked_about(tmp_path: Path) -> None:
    write_session(tmp_path, "01", None, ["FLAIR", "run-1_T1w", "run-2_T1w"])
    with pytest.raises(ChoiceNeededError, match=r"look like t1: sub-01_run-1_T1w, sub-01_run-2_T1w"):
        io.read(tmp_path)


# --- layouts -----------------------------------------------------------------------------------


def test_a_study_with_raw_data_beside_its_derivatives(tmp_path: Path) -> None:
    write_session(tmp_path / "rawdata", "01", "a")
    write_session(tmp_path / "rawdata", "02", "a")
    labels(tmp_path / "derivatives/experts/sub-01/ses-a/anat/sub-01_ses-a_label-lesion_mask.nii.gz")
    assert io.list_cases(tmp_path) == ["sub-01_ses-a", "sub-02_ses-a"]
    assert io.list_cases(tmp_path / "rawdata") == ["sub-01_ses-a", "sub-02_ses-a"]
    (mask,) = io.open_case(tmp_path, "sub-01_ses-a").masks
    assert mask.name == "sub-01_ses-a_label-lesion_mask"


def test_data_sets_with_and_without_sessions_are_valid(tmp_path: Path) -> None:
    for subject, session in (("01", "pre"), ("01", "post"), ("02", None)):
        write_session(tmp_path, subject, session)
    describe(tmp_path)
    write_json(tmp_path / "T1w.json", {"ContrastBolusIngredient": "GADOLINIUM"})
    assert problems(tmp_path) == []
    assert io.list_cases(tmp_path) == ["sub-01_ses-post", "sub-01_ses-pre", "sub-02"]


# --- masks of pipelines ------------------------------------------------------------------------

TABLE = "index\tname\tabbreviation\tcolor\n0\tbackground\tBG\t#000000\n"


@pytest.mark.parametrize(
    ("rows", "convention"),
    [
        ("1\tnecrotic core\tNCR\t\n2\tedema\tED\t\n3\tenhancing tumor\tET\t\n", "brats-2023"),
        ("1\toedema\tED\t\n2\tnon-enhancing tumour\tNET\t\n3\tenhancing tumour\tET\t\n", "msd"),
        ("3\tlabel 3\tED\t\n1\tlabel 1\tET\t\n2\tlabel 2\tNCR\t\n",
         "bids: 1 enhancing, 2 necrosis, 3 oedema"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["sub-01/anat/sub-01_seg-tumor_dseg.tsv", "seg-tumor_dseg.tsv", "dseg.tsv"])
def test_a_table_of_labels_states_the_convention(
    tmp_path: Path, rows: str, convention: str, where: str
) -> None:
    write_session(tmp_path, "01")
    mask = labels(derived(tmp_path, "seg-tumor_dseg"))
    (tmp_path / "derivatives" / "experts" / where).write_text(TABLE + rows, encoding="utf-8")
    (found,) = io.open_case(tmp_path).masks
    assert found.convention is not None and found.convention.name == convention
    assert io.read_mask(mask).convention.name == convention
    assert 0 not in label_table(mask)


@pytest.mark.parametrize(
    ("row", "expected"),
    [("9" * 5000 + "\ttumour", [1]), ("3\t" + "x" * 200_000, []), ("3\tWT\tx\ty\tz", [1, 3])],
    ids=["an endless number", "an endless name", "too many fields"],
)
def test_a_row_of_a_table_that_cannot_be_meant(tmp_path: Path, row: str, expected: list[int]) -> None:
    describe(tmp_path)
    mask = labels(tmp_path / "sub-01" / "anat" / "sub-01_dseg.nii.gz")
    mask.with_name("sub-01_dseg.tsv").write_text(f"index\tname\n1\tedema\n{row}\n")
    assert sorted(label_table(mask)) == expected


def test_a_table_with_an_unknown_name_states_nothing(tmp_path: Path) -> None:
    write_session(tmp_path, "01")
    mask = labels(derived(tmp_path, "seg-tumor_dseg"))
    mask.with_name("sub-01_seg-tumor_dseg.tsv").write_text(TABLE + "1\tedema\t\t\n2\tregion B\t\t\n")
    (found,) = io.open_case(tmp_path).masks
    assert found.convention is None


def test_parcellations_and_tissues_are_no_tumours(tmp_path: Path) -> None:
    write_session(tmp_path, "01")
    labels(derived(tmp_path, "dseg", "fmriprep"))
    save_nifti(derived(tmp_path, "label-GM_probseg", "fmriprep"), np.zeros(SHAPE, np.float32))
    labels(derived(tmp_path, "seg-a_dseg", "other"))
    (tmp_path / "derivatives" / "other" / "dseg.tsv").write_text("index\tname\n1\tThalamus\n2\tPutamen\n")
    labels(derived(tmp_path, "atlas-x_dseg", "other"))
    labels(derived(tmp_path, "label-WT_mask"), (0, 1))
    found = io.open_case(tmp_path)
    assert [mask.name for mask in found.masks] == ["sub-01_label-WT_mask"]
    assert found.masks[0].segmentation().convention.name == "binary"
    assert len(found.images) == 4


def test_masks_of_one_name_are_distinguished_by_their_pipelines(tmp_path: Path) -> None:
    write_session(tmp_path, "01")
    for pipeline in ("brain-tools", "experts"):
        labels(derived(tmp_path, "label-WT_mask", pipeline))
    assert masks(tmp_path) == ["sub-01_label-WT_mask (brain-tools)", "sub-01_label-WT_mask (experts)"]

"""Case folders as data sets and people lay them out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg import io
from napari_tumorseg.errors import ChoiceNeededError, InputError, TooLargeError
from napari_tumorseg.io import nifti_cases
from napari_tumorseg.io.case import Case
from napari_tumorseg.scan import Role
from tests.nifti_files import affine_of, labels_like, save_nifti, set_fields

SHAPE = (8, 9, 10)
RNG = np.random.default_rng(3)


def picture(dtype: type = np.int16) -> np.ndarray:
    return RNG.integers(0, 900, SHAPE).astype(dtype)


def fill(
    folder: Path, *stems: str, values: tuple[float, ...] = (0, 1, 2, 4), ending: str = ".nii.gz"
) -> Path:
    """Make a folder of tiny files; what has seg or mask in its name holds labels."""
    for stem in stems:
        is_mask = any(word in stem.lower() for word in ("seg", "mask", "multiclass"))
        array = labels_like(SHAPE, values) if is_mask else picture()
        save_nifti(folder / f"{stem}{ending}", array)
    return folder


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def found(case: Case) -> dict[str, str]:
    """Return what each image was taken as."""
    return {image.name: str(image.role) for image in case.images}


# --- naming of data sets -----------------------------------------------------------------------

YEARS = [
    ("Brats17_TCIA_101_1", "_", ("flair", "t1", "t1ce", "t2"), (0, 1, 2, 4), "brats-2021", ""),
    ("Brats18_CBICA_AAB_1", "_", ("flair", "t1", "t1ce", "t2"), (0, 1, 2, 4), "brats-2021", ""),
    ("BraTS19_2013_0_1", "_", ("flair", "t1", "t1ce", "t2"), (0, 1, 2, 4), "brats-2021", ""),
    ("BraTS20_Training_001", "_", ("flair", "t1", "t1ce", "t2"), (0, 1, 2, 4), "brats-2021", ""),
    ("BraTS2021_00000", "_", ("flair", "t1", "t1ce", "t2"), (0, 1, 2, 4), "brats-2021", ""),
    ("BraTS-GLI-00001-000", "-", ("t2f", "t1n", "t1c", "t2w"), (0, 1, 2, 3), "brats-2023", "000"),
    ("BraTS-GLI-02060-101", "-", ("t2f", "t1n", "t1c", "t2w"), (0, 1, 2, 3, 4), "brats-2024", "101"),
    ("BraTS-MET-00001-000", "-", ("t2f", "t1n", "t1c", "t2w"), (0, 1, 2, 3), "brats-2023", "000"),
    ("BraTS-PED-00001-000", "-", ("t2f", "t1n", "t1c", "t2w"), (0, 1, 2, 3), None, "000"),
]


@pytest.mark.parametrize(
    ("name", "joint", "words", "values", "convention", "point"), YEARS, ids=[y[0] for y in YEARS]
)
@pytest.mark.parametrize("own_folder", [True, False], ids=["its folder", "renamed"])
def test_brats_of_each_year(
    tmp_path: Path,
    name: str,
    joint: str,
    words: tuple[str, ...],
    values: tuple[int, ...],
    convention: str | None,
    point: str,
    own_folder: bool,
) -> None:
    folder = tmp_path / (name if own_folder else "patient 7")
    fill(folder, *(f"{name}{joint}{w}" for w in (*words, "seg")), values=values)
    assert io.list_cases(folder) == [folder.name]
    case = io.open_case(folder)
    assert case.name == folder.name
    assert found(case) == dict(
        zip((f"{name}{joint}{w}" for w in sorted(words)),
            ("flair", "t1", "t1c", "t2") if joint == "_" else ("t1c", "t1", "flair", "t2"), strict=True)
    )  # fmt: skip
    (mask,) = case.masks
    assert (mask.convention.name if mask.convention else None) == convention
    assert case.time_point == (point if own_folder else "")
    assert not case.warnings
    scan = case.scan()
    assert scan.reference.role is Role.FLAIR
    assert set(scan.roles) == {Role.T1, Role.T1C, Role.T2, Role.FLAIR}


def test_brats_2013(tmp_path: Path) -> None:
    fill(tmp_path / "p1", "Flair_subtrMeanDivStd", "T1c_subtrMeanDivStd", "brainmask", values=(0, 1))
    save_nifti(
        tmp_path / "p1" / "OTMultiClass.nii.gz", labels_like(SHAPE, (0, 1, 2, 3, 4)).astype(np.float32)
    )
    case = io.open_case(tmp_path / "p1")
    assert sorted(found(case).values()) == ["flair", "t1c"]
    assert case.brain_mask is not None
    assert [(m.name, m.convention.name) for m in case.masks if m.convention] == [
        ("OTMultiClass", "brats-2015")
    ]
    brain = case.scan().brain_mask
    assert brain is not None
    assert brain.dtype == bool
    assert brain.sum() == 2


@pytest.mark.parametrize(
    ("stem", "values", "convention"),
    [
        ("BraTS2021_00000_seg", (0, 1, 2, 3), None),  # labels that year has not
        ("BraTS2021_00000_nnunet_seg", (0, 1, 2, 4), None),  # another tool's
        ("BraTS2021_00000-mytool-seg", (0, 1, 2, 4), None),
        ("BraTS15_0001_seg", (0, 1, 2, 3, 4), "brats-2015"),
        ("seg-BraTS23_1", (0, 1, 2, 3), "brats-2023"),
        ("seg-BraTS23_1_mapped", (0, 1, 2, 4), None),
        ("my_seg", (0, 1, 2, 4), None),
        ("VSD.Brain_3more.XX.O.OT.54517_mask", (0, 1, 2, 3, 4), "brats-2015"),
    ],
)
def test_the_case_speaks_for_its_own_mask_only(
    tmp_path: Path, stem: str, values: tuple[int, ...], convention: str | None
) -> None:
    fill(tmp_path / "BraTS2021_00000", "BraTS2021_00000_flair", stem, values=values)
    (mask,) = io.open_case(tmp_path / "BraTS2021_00000").masks
    assert (mask.convention.name if mask.convention else None) == convention


@pytest.mark.parametrize(
    ("content", "convention"),
    [
        ('{"scheme": "msd"}', "msd"),
        ('{"scheme": "binary"}', None),  # not with these labels
        ('{"scheme": "unheard of"}', None),
        ('{"scheme": 5}', None),
        ('{"scheme": null}', None),
        ('["scheme"]', None),
        ('"scheme"', None),
        ("{", None),
        ("[" * 100_000, None),
        ("\udcff", None),
    ],
    ids=range(10),
)
def test_side_file(tmp_path: Path, content: str, convention: str | None) -> None:
    fill(tmp_path, "x_flair", "x_seg", values=(0, 1, 2, 3))
    (tmp_path / "x_seg.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    (mask,) = io.open_case(tmp_path).masks
    assert (mask.convention.name if mask.convention else None) == convention


def test_other_names_and_endings(tmp_path: Path) -> None:
    folder = tmp_path / "Müller, Jürgen (2)"
    fill(folder, "Größe FLAIR", "scan", "sub-01_ce-gadolinium_T1w", ending=".NII.GZ")
    fill(folder, "T2 axial", ending=".nii")
    (folder / "._T2 axial.nii").write_bytes(b"Mac OS X")
    (folder / "notes.txt").write_text("x")
    (folder / "old.nii").mkdir()
    case = io.open_case(folder)
    assert case.name == "Müller, Jürgen (2)"
    assert found(case) == {
        "Größe FLAIR": "flair", "T2 axial": "t2", "scan": "other", "sub-01_ce-gadolinium_T1w": "t1c",
    }  # fmt: skip
    assert not case.warnings


def test_the_folder_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "patient 7" / "deeper", "flair", "t1c")
    fill(tmp_path / "patient 7", "flair", "t1c")
    monkeypatch.chdir(tmp_path / "patient 7")
    assert io.open_case(".").name == "patient 7"
    monkeypatch.chdir("deeper")
    assert io.open_case("..").name == "patient 7"
    assert io.open_case(["flair.nii.gz", "t1c.nii.gz"]).name == "deeper"


# --- several cases -----------------------------------------------------------------------------


def test_a_folder_of_case_folders(tmp_path: Path) -> None:
    for name in ("A", "B"):
        fill(tmp_path / name, f"{name}_flair", f"{name}_t1c")
    fill(tmp_path / "HGG" / "C", "C_flair")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "empty").mkdir()
    assert io.list_cases(tmp_path) == ["A", "B", str(Path("HGG", "C"))]
    assert io.open_case(tmp_path, "B").name == "B"
    with pytest.raises(ChoiceNeededError, match="3 cases") as raised:
        io.open_case(tmp_path)
    assert raised.value.options[0] == "A"
    with pytest.raises(InputError, match="no case 'D'"):
        io.open_case(tmp_path, "D")


def test_a_flat_folder_of_several_patients(tmp_path: Path) -> None:
    for name in ("A_01", "A_02", "A_012"):
        fill(tmp_path, f"{name}_flair", f"{name}_t1c", f"{name}_seg", f"{name}_nnunet_seg")
    fill(tmp_path, "atlas")
    assert io.list_cases(tmp_path) == ["A_01", "A_012", "A_02"]
    case = io.open_case(tmp_path, "A_012")
    assert found(case) == {"A_012_flair": "flair", "A_012_t1c": "t1c"}
    assert [m.name for m in case.masks] == ["A_012_nnunet_seg", "A_012_seg"]
    with pytest.raises(ChoiceNeededError, match="3 cases"):
        io.open_case(tmp_path)


def test_time_points_in_one_folder(tmp_path: Path) -> None:
    fill(tmp_path, *(f"BraTS-GLI-00001-{t}-{m}" for t in ("000", "001") for m in ("t2f", "t1c")))
    assert io.list_cases(tmp_path) == ["BraTS-GLI-00001-000", "BraTS-GLI-00001-001"]
    assert io.open_case(tmp_path, "BraTS-GLI-00001-001").time_point == "001"


def test_before_and_after_an_operation(tmp_path: Path) -> None:
    fill(tmp_path, *(f"P1_{t}_{m}" for t in ("pre-op", "post-op") for m in ("flair", "t1")))
    assert io.list_cases(tmp_path) == ["P1_post-op", "P1_pre-op"]
    assert found(io.open_case(tmp_path, "P1_post-op")) == {"P1_post-op_flair": "flair", "P1_post-op_t1": "t1"}


def test_doubled_roles_are_asked_about(tmp_path: Path) -> None:
    fill(tmp_path, "flair", "flair_new", "t1c")
    case = io.open_case(tmp_path)
    with pytest.raises(ChoiceNeededError, match="2 images that look like flair: flair, flair_new") as raised:
        case.scan()
    assert raised.value.options == ("flair", "flair_new")
    assert io.read(tmp_path, roles={"flair": Role.OTHER}).reference.name == "flair_new"


# --- masks and damaged files -------------------------------------------------------------------


def test_several_masks_are_listed(tmp_path: Path) -> None:
    fill(tmp_path, "flair", "seg", "manual_seg", "seg_old", "brain_mask")
    case = io.open_case(tmp_path)
    assert [m.name for m in case.masks] == ["manual_seg", "seg", "seg_old"]
    assert all(m.convention is None for m in case.masks)
    assert case.brain_mask is not None
    assert len(case.images) == 1


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ((0, 0.99999997, 2.0000001), {0, 1, 2}),
        ((0, 255), {0, 1}),
        ((0.0, 255.0), {0, 1}),
        ((-0.001, 1), {0, 1}),
    ],
)
def test_values_that_count_as_labels(tmp_path: Path, values: tuple[float, ...], labels: set[int]) -> None:
    array = np.zeros(SHAPE, np.float32)
    array.flat[: len(values)] = values
    save_nifti(tmp_path / "x_seg.nii", array)
    (mask,) = io.open_case(tmp_path / "x_seg.nii").masks
    assert mask.labels.dtype == np.uint8
    assert set(np.unique(mask.labels).tolist()) == labels


def test_masks_by_content(tmp_path: Path) -> None:
    """Names that state nothing: few small integers are a mask, all else is an image."""
    save_nifti(tmp_path / "simple.nii", labels_like(SHAPE))
    save_nifti(tmp_path / "whatever.nii", picture(np.uint8) % 200)
    case = io.open_case(tmp_path)
    assert [m.name for m in case.masks] == ["simple"]
    assert found(case) == {"whatever": "other"}


@pytest.mark.parametrize("name", ["Tumor_01", "Seger", "mask study 7"])
def test_words_for_masks_in_the_name_of_the_case(tmp_path: Path, name: str) -> None:
    for image in ("flair", "t1c", "other"):
        save_nifti(tmp_path / name / f"{name}_{image}.nii.gz", picture(np.uint8))
    save_nifti(tmp_path / name / f"{name}_seg.nii.gz", labels_like(SHAPE))
    case = io.open_case(tmp_path / name)
    assert found(case) == {f"{name}_flair": "flair", f"{name}_other": "other", f"{name}_t1c": "t1c"}
    assert [m.name for m in case.masks] == [f"{name}_seg"]
    assert not case.warnings


@pytest.mark.parametrize("name", ["flair", "t1"])
def test_a_folder_called_like_a_modality(tmp_path: Path, name: str) -> None:
    fill(tmp_path / name, "flair_7", "t1c_7")
    assert found(io.open_case(tmp_path / name)) == {"flair_7": "flair", "t1c_7": "t1c"}


def test_named_like_a_mask_but_none(tmp_path: Path) -> None:
    fill(tmp_path, "flair")
    save_nifti(tmp_path / "x_seg.nii", picture())
    save_nifti(tmp_path / "seg_t1c.nii", picture())
    case = io.open_case(tmp_path)
    assert found(case) == {"flair": "flair", "seg_t1c": "t1c"}
    assert "x_seg.nii is named like a mask but holds no labels" in case.warnings[0]


BAD = {
    "truncated": truncate,
    "text": lambda path: path.write_text("404 not found"),
    "empty": lambda path: path.write_bytes(b""),
    "giant": lambda path: set_fields(path, dim=np.array([3, 32767, 32767, 32767, 1, 1, 1, 1])),
    "lost": lambda path: (path.unlink(), path.symlink_to(path.parent / "annex" / "key")),
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
def test_a_bad_mask_never_blocks(tmp_path: Path, spoil: object) -> None:
    fill(tmp_path, "a_flair", "a_seg", "a_brainmask", "b_seg", values=(0, 1))
    for name in ("a_seg", "a_brainmask"):
        spoil(tmp_path / f"{name}.nii.gz")  # type: ignore[operator]
    case = io.open_case(tmp_path)
    assert [m.name for m in case.masks] == ["b_seg"]
    assert case.brain_mask is None
    assert [w.startswith("left out: ") for w in case.warnings] == [True, True]
    assert "a_seg.nii.gz" in " ".join(case.scan().warnings)


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
def test_a_bad_image_is_named(tmp_path: Path, spoil: object) -> None:
    fill(tmp_path, "a_flair", "a_t1c", "a_seg")
    spoil(tmp_path / "a_flair.nii.gz")  # type: ignore[operator]
    truncate(tmp_path / "a_seg.nii.gz")
    with pytest.raises(InputError, match=r"a_flair\.nii\.gz"):
        io.open_case(tmp_path)


def test_a_giant_alone(tmp_path: Path) -> None:
    fill(tmp_path, "anything")
    BAD["giant"](tmp_path / "anything.nii.gz")  # type: ignore[no-untyped-call]
    with pytest.raises(TooLargeError):
        io.open_case(tmp_path / "anything.nii.gz")


def test_a_bad_image_of_no_known_role_is_noted(tmp_path: Path) -> None:
    fill(tmp_path, "whatever", "a_seg")
    truncate(tmp_path / "whatever.nii.gz")
    case = io.open_case(tmp_path)
    with pytest.raises(InputError, match=r"no image, only 1 mask.*whatever\.nii\.gz is truncated"):
        case.scan()


def test_several_brain_masks(tmp_path: Path) -> None:
    fill(tmp_path, "flair", "t1_brain_mask", "t2_brain_mask")
    case = io.open_case(tmp_path)
    assert case.brain_mask is not None
    assert case.brain_mask.name == "t1_brain_mask"
    assert "2 brain masks" in case.warnings[0]


def test_a_brain_mask_elsewhere_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "flair")
    away = affine_of(("L", "P", "S"))
    away[:3, 3] += 500
    save_nifti(tmp_path / "brain_mask.nii", labels_like((5, 5, 5), (0, 1)), away)
    scan = io.read(tmp_path)
    assert scan.brain_mask is None
    assert "the brain mask is left out" in scan.warnings[0]


# --- MSD ---------------------------------------------------------------------------------------

MSD = {"modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}}


def msd(root: Path, description: object = MSD, channels: int = 4) -> Path:
    task = root / "Task01_BrainTumour"
    for number in (1, 2):
        name = f"BRATS_00{number}.nii.gz"
        affine = affine_of(("R", "A", "S"))
        volumes = np.stack([picture() + 1000 * c for c in range(channels)], axis=-1)
        save_nifti(task / "imagesTr" / name, volumes, affine)
        save_nifti(task / "labelsTr" / name, labels_like(SHAPE, (0, 1, 2, 3)), affine)
        (task / "imagesTr" / f"._{name}").write_bytes(b"Mac OS X")
    save_nifti(task / "imagesTs" / "BRATS_003.nii.gz", volumes, affine)
    if description is not None:
        (task / "dataset.json").write_text(json.dumps(description))
    return task


@pytest.mark.parametrize(
    "description", [MSD, None, {}, [], {"modality": {"a": "b"}}, {"channel_names": MSD["modality"]}]
)
def test_msd_task(tmp_path: Path, description: object) -> None:
    task = msd(tmp_path, description)
    for folder, more in ((task, ["BRATS_003"]), (task / "imagesTr", [])):
        assert io.list_cases(folder) == ["BRATS_001", "BRATS_002", *more]
        case = io.open_case(folder, "BRATS_002")
        assert case.layout == "MSD task"
        assert found(case) == {"FLAIR": "flair", "T1w": "t1", "t1gd": "t1c", "T2w": "t2"}
        (mask,) = case.masks
        assert mask.convention is not None
        assert mask.convention.name == "msd"
        data = nib.load(task / "imagesTr" / "BRATS_002.nii.gz").get_fdata()
        np.testing.assert_array_equal(case.images[2].data, data[::-1, ::-1, :, 2].T)
    with pytest.raises(ChoiceNeededError):
        io.open_case(task)


def test_msd_by_file(tmp_path: Path) -> None:
    task = msd(tmp_path)
    case = io.open_case(task / "imagesTr" / "BRATS_001.nii.gz")
    assert [m.name for m in case.masks] == ["BRATS_001"]
    assert io.open_case(task / "imagesTs" / "BRATS_003.nii.gz").masks == ()
    assert io.read_mask(task / "labelsTr" / "BRATS_001.nii.gz").convention.name == "msd"


def test_msd_order_is_that_of_the_description(tmp_path: Path) -> None:
    order = {"modality": {"10": "T2w", "2": "FLAIR", "1": "T1w", "0": "t1gd"}}
    case = io.open_case(msd(tmp_path, order), "BRATS_001")
    assert list(found(case)) == ["t1gd", "T1w", "FLAIR", "T2w"]


def test_channels_that_nothing_names(tmp_path: Path) -> None:
    case = io.open_case(msd(tmp_path, None, channels=2), "BRATS_001")
    assert found(case) == {"channel 0": "other", "channel 1": "other"}
    save_nifti(tmp_path / "scan.nii", np.stack([picture()] * 4, axis=-1))
    assert set(found(io.open_case(tmp_path / "scan.nii")).values()) == {"other"}


def test_msd_with_a_truncated_image(tmp_path: Path) -> None:
    task = msd(tmp_path)
    truncate(task / "imagesTr" / "BRATS_001.nii.gz")
    with pytest.raises(InputError, match=r"imagesTr.BRATS_001\.nii\.gz is truncated"):
        io.open_case(task, "BRATS_001")


def test_msd_with_a_truncated_label(tmp_path: Path) -> None:
    task = msd(tmp_path)
    truncate(task / "labelsTr" / "BRATS_001.nii.gz")
    case = io.open_case(task, "BRATS_001")
    assert len(case.images) == 4
    assert "left out" in case.warnings[0]


def test_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no NIfTI"):
        nifti_cases.open_case(tmp_path)
    (tmp_path / "T" / "imagesTr").mkdir(parents=True)
    with pytest.raises(InputError):
        io.open_case(tmp_path / "T")


# --- real scans --------------------------------------------------------------------------------


def test_real_brats_2013(shared_data: Path) -> None:
    case = io.open_case(shared_data / "brats" / "brats_2013_pat0001_1")
    assert sorted(found(case).values()) == ["flair", "t1c"]
    (mask,) = case.masks
    assert mask.convention is not None
    assert mask.convention.name == "brats-2015"
    assert set(np.unique(mask.labels).tolist()) == {0, 1, 2, 3, 4}
    scan = case.scan()
    assert not scan.warnings
    assert scan.brain_mask is not None
    stored = nib.load(shared_data / "brats" / "brats_2013_pat0001_1" / "brainmask.nii.gz").get_fdata()
    assert scan.brain_mask.sum() == np.count_nonzero(stored > 0.5)


def test_real_gli(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "brats" / "BraTS-GLI-00001-000"
    case = io.open_case(source)
    assert case.time_point == "000"
    assert sorted(found(case).values()) == ["flair", "t1", "t1c", "t2"]
    assert {m.name: m.convention and m.convention.name for m in case.masks} == {
        "seg-BraTS23_1": "brats-2023",
        "seg-BraTS23_1_mapped": None,
        "seg-bratstoolkit_isen": None,
    }
    damaged = tmp_path / "BraTS-GLI-00001-000"
    shutil.copytree(source, damaged)
    truncate(damaged / "BraTS-GLI-00001-000-t2f.nii.gz")
    with pytest.raises(InputError, match=r"t2f\.nii\.gz is truncated"):
        io.open_case(damaged)


def test_real_tcga(shared_data: Path) -> None:
    folder = shared_data / "brats" / "TCGA-FG-6692"
    assert io.list_cases(folder) == ["algorithmic_segs", "brain_extracted", "native"]
    assert sorted(found(io.open_case(folder, "brain_extracted")).values()) == ["flair", "t1c"]
    (mask,) = io.open_case(folder, "algorithmic_segs").masks
    with pytest.raises(ChoiceNeededError):
        mask.segmentation()
    assert mask.segmentation("brats-2021").convention.name == "brats-2021"

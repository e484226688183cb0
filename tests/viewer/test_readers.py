from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Layer

from napari_tumorseg.errors import CancelledError, ChoiceNeededError, InputError
from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.readers import get_reader, open_layers, read_layers
from napari_tumorseg.viewer.widgets import ask

SHAPE = (6, 7, 5)


def write(path, values=None, affine=None) -> str:
    values = np.random.default_rng(0).normal(100, 9, SHAPE).astype(np.float32) if values is None else values
    nib.Nifti1Image(values, np.diag([-1.0, -1, 2, 1]) if affine is None else affine).to_filename(path)
    return str(path)


def labels(*values: int) -> np.ndarray:
    made = np.zeros(SHAPE, np.uint8)
    made.flat[40 : 40 + len(values)] = values
    return made


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


@pytest.mark.parametrize("name", ["a.nii", "A.NII.GZ", "a b.h5", "x.hdf5", "cj.mat", "s.tif", "s.TIFF"])
def test_scans_are_claimed_by_their_names(name):
    assert get_reader(name) is open_layers


@pytest.mark.parametrize("name", ["a.png", "a.csv", "a.nii.txt", "gone"])
def test_other_files_are_not_claimed(name):
    assert get_reader(name) is None


def test_several_files_are_claimed_if_all_can_be_read(tmp_path):
    assert get_reader(["a.nii", "b.nii"]) is open_layers
    assert get_reader(["a.nii", "b.png"]) is None
    assert get_reader(str(tmp_path)) is open_layers


def test_a_case_folder_becomes_images_and_its_mask(tmp_path):
    folder = tmp_path / "BraTS-GLI-00009-000"
    folder.mkdir()
    for word in ("t2f", "t1c"):
        write(folder / f"{folder.name}-{word}.nii.gz")
    write(folder / f"{folder.name}-seg.nii.gz", labels(1, 2, 3))
    layers = [Layer.create(*data) for data in read_layers(str(folder))]
    assert [type(layer).__name__ for layer in layers] == ["Image", "Image", "Labels"]
    assert [layer.visible for layer in layers] == [True, False, False]
    origins = [origin_of(layer) for layer in layers]
    assert {o.group for o in origins} == {origins[0].group}
    assert [o.role for o in origins] == [Role.FLAIR, Role.T1C, Role.TUMOUR_MASK]
    assert origins[2].convention.name == "brats-2023"
    assert origins[2].case == folder.name


def test_several_masks_are_listed_and_hidden(tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    write(folder / "case_flair.nii.gz")
    for name in ("seg_a", "seg_b"):
        write(folder / f"case_{name}.nii.gz", labels(1))
    layers = [Layer.create(*data) for data in read_layers(str(folder))]
    assert [layer.visible for layer in layers] == [True, False, False]


def test_an_ambiguous_mask_does_not_keep_the_images_from_being_shown(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", told.append)
    folder = tmp_path / "case"
    folder.mkdir()
    write(folder / "case_flair.nii.gz")
    write(folder / "case_seg.nii.gz", labels(1, 2, 4))
    layers = read_layers(str(folder))
    assert len(layers) == 1
    assert any("left out" in text and "several conventions" in text for text in told)


def test_an_ambiguous_mask_alone_is_asked_about(tmp_path, monkeypatch):
    path = write(tmp_path / "x_seg.nii.gz", labels(1, 2, 4))
    with pytest.raises(ChoiceNeededError):
        read_layers(path)
    monkeypatch.setattr(ask, "choose", lambda title, question, options: "brats-2021")
    (data,) = read_layers(path)
    assert data[1]["visible"]
    assert origin_of(Layer.create(*data)).convention.name == "brats-2021"


def test_of_several_cases_the_user_picks_one(tmp_path, monkeypatch):
    for name in ("p1", "p2"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / f"{name}_flair.nii.gz")
    with pytest.raises(ChoiceNeededError):
        read_layers(str(tmp_path))
    monkeypatch.setattr(ask, "choose", lambda title, question, options: options[1])
    (data,) = read_layers(str(tmp_path))
    assert data[1]["name"] == "p2 flair"


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"not gzip")
    with pytest.raises(InputError, match="broken"):
        read_layers(str(broken))


def test_files_opened_together_are_one_case(tmp_path):
    paths = [write(tmp_path / f"p_{word}.nii.gz") for word in ("flair", "t1ce")]
    layers = [Layer.create(*data) for data in read_layers(paths)]
    assert [layer.name for layer in layers] == ["p flair", "p t1c"]


def test_in_a_window_an_error_is_one_short_notification(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("napari.utils.notifications.show_error", told.append)
    broken = tmp_path / "my scans" / "broken.nii.gz"
    broken.parent.mkdir()
    broken.write_bytes(b"not gzip")
    with pytest.raises(InputError):
        open_layers(str(broken))  # a script wants to know
    monkeypatch.setattr(ask, "window", lambda: object())
    assert open_layers(str(broken)) == [(None,)]
    (text,) = told
    assert text.startswith("broken.nii.gz")


def test_to_cancel_is_no_error(tmp_path, monkeypatch):
    def dismiss(title, question, options):
        raise CancelledError("nothing was chosen")

    told = []
    monkeypatch.setattr("napari.utils.notifications.show_error", told.append)
    monkeypatch.setattr(ask, "window", lambda: object())
    monkeypatch.setattr(ask, "choose", dismiss)
    assert open_layers(write(tmp_path / "x_seg.nii.gz", labels(1, 2, 4))) == [(None,)]
    assert not told

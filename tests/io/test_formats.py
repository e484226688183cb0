"""The table of formats: every module it names is there, and the manifest says the same."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import napari_tumorseg
from napari_tumorseg.io import formats
from napari_tumorseg.io.formats import FORMATS, HDF5, NIFTI, WRITABLE, Format, Reader, SliceReader, Writer

npe2 = pytest.importorskip("npe2", reason="the viewer extra is not installed")
MANIFEST = npe2.PluginManifest.from_file(Path(napari_tumorseg.__file__).with_name("napari.yaml"))


def arguments(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.title)
def test_the_modules_have_the_functions_of_the_protocols(form: Format) -> None:
    reader = form.reader()
    assert arguments(reader.list_cases) == arguments(Reader.list_cases)[1:]
    assert arguments(reader.open_case)[:2] == arguments(Reader.open_case)[1:]
    if form in WRITABLE:
        assert arguments(form.writer().write_mask) == arguments(Writer.write_mask)[1:]


def test_only_some_formats_have_slices_in_files_of_their_own() -> None:
    assert [f.title for f in FORMATS if isinstance(f.reader(), SliceReader)] == ["TIFF", "HDF5"]


def test_no_ending_is_of_two_formats() -> None:
    assert len(set(formats.READ_ENDINGS)) == len(formats.READ_ENDINGS)
    assert all(set(form.written) <= set(form.endings) for form in FORMATS)


def test_the_manifest_reads_the_endings_of_the_table() -> None:
    (reader,) = MANIFEST.contributions.readers
    assert sorted(reader.filename_patterns) == sorted(f"*{e}" for e in formats.VIEWER_ENDINGS)


def test_the_manifest_writes_the_endings_of_the_table() -> None:
    written = [tuple(writer.filename_extensions) for writer in MANIFEST.contributions.writers]
    assert written == [form.written for form in WRITABLE]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.nii", NIFTI), ("A B.NII.GZ", NIFTI), ("x.MAT", HDF5), ("._a.nii", None), ("a.gz", None)],
)
def test_a_format_is_known_by_its_ending(name: str, form: Format | None) -> None:
    assert formats.format_of(Path(name)) is form


@pytest.mark.parametrize(
    ("name", "expected"),
    [("X_seg.nii.gz", "X_seg.json"), ("v1.2_seg.TIF", "v1.2_seg.json"), ("a.b.xyz", "a.b.json")],
)
def test_a_side_file_has_the_name_of_its_mask(name: str, expected: str) -> None:
    assert formats.side_file(Path("folder", name)) == Path("folder", expected)


def test_a_name_is_that_of_a_folder_unless_it_ends_as_a_file_does() -> None:
    files = ["a.nii", "a.mat", "a.png", "a.mha", "a.NRRD", "a.npz", "a.dcm"]
    assert all(formats.looks_like_file(Path(name)) for name in files)
    assert not any(formats.looks_like_file(Path(name)) for name in ("results", "v1.2", "sub-01"))


def test_dialogs_offer_every_format() -> None:
    assert formats.save_dialog_filter().startswith("NIfTI (*.nii.gz *.nii);;TIFF (*.tif *.tiff);;")
    assert "*.mat" in formats.file_dialog_filter("Masks")
    assert "*.png" not in formats.file_dialog_filter("Masks")

"""The library's few names, and that they cost nothing until they are used."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import napari_tumorseg as ts

PACKAGES = [ts.__name__] + [m.name for m in pkgutil.walk_packages(ts.__path__, "napari_tumorseg.") if m.ispkg]


@pytest.mark.parametrize("name", ts.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(ts, name) is not None


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'napari_tumorseg' has no attribute 'nothing'"):
        ts.nothing  # noqa: B018


@pytest.mark.parametrize("name", [p for p in PACKAGES if "viewer" not in p])
def test_no_submodule_takes_the_place_of_a_name_that_is_imported_late(name: str) -> None:
    package = importlib.import_module(name)
    if "__getattr__" in vars(package):
        submodules = {module.name for module in pkgutil.iter_modules(package.__path__)}
        assert not submodules & set(package.__all__)


def test_dir_tells_the_public_names() -> None:
    assert set(ts.__all__) <= set(dir(ts))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("napari_tumorseg", "torch numpy pydantic nibabel"),
        ("napari_tumorseg.models", "torch napari"),
        ("napari_tumorseg.inference", "torch napari"),
        ("napari_tumorseg.io", "torch napari h5py tifffile"),
        ("napari_tumorseg.measurement", "torch napari"),
        ("napari_tumorseg.report", "torch napari"),
        ("napari_tumorseg.cli", "torch napari numpy"),
    ],
)
def test_importing_is_light(module: str, absent: str) -> None:
    code = f"import sys, {module}; print(sorted(set('{absent}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_torch_comes_with_the_run_only() -> None:
    """Models are listed and cards are shown without it."""
    code = (
        "import sys, napari_tumorseg as ts\n"
        "[m.card.as_text() for m in ts.list_models()]\n"
        "ts.Settings()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

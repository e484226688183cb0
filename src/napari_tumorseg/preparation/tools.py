"""The tools that a preparation is made with unless others are given."""

from __future__ import annotations

from importlib.util import find_spec

from napari_tumorseg.extras import to_install
from napari_tumorseg.preparation import deepbet
from napari_tumorseg.preparation.prepare import Needs, Tools
from napari_tumorseg.preparation.rigid import SimpleITKRegistration


def default_tools(device: str = "auto") -> Tools:
    """Return deepbet, on CUDA if that is there and not ruled out, and SimpleITK."""
    return Tools(deepbet.DeepBet(device), SimpleITKRegistration())


def missing_packages(needed: Needs) -> str:
    """Return a sentence on the packages that the steps need and that are not installed; empty if none are."""
    lacking = [] if deepbet.is_installed() else ["deepbet"]
    if needed.moving and find_spec("SimpleITK") is None:
        lacking.append("SimpleITK")
    if not needed or not lacking:
        return ""
    names = " and ".join(lacking)
    return f"{needed.case.name} needs {needed.words()}, and {names} is not installed: {to_install('native')}"

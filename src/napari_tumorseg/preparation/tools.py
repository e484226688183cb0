"""The tools that a preparation is made with unless others are given."""

from __future__ import annotations

from importlib.util import find_spec

from napari_tumorseg.preparation import deepbet
from napari_tumorseg.preparation.prepare import Needs, Tools
from napari_tumorseg.preparation.rigid import SimpleITKRegistration

INSTALL = "pip install 'napari-tumorseg[native]'"


def default_tools(device: str = "auto") -> Tools:
    """Return deepbet, on CUDA if that is there and not ruled out, and SimpleITK."""
    return Tools(deepbet.DeepBet(device), SimpleITKRegistration())


def missing_packages(what: Needs) -> str:
    """Return a sentence on the packages that the steps need and that are not installed; empty if none are."""
    lacking = [] if deepbet.is_installed() else ["deepbet"]
    if what.moving and find_spec("SimpleITK") is None:
        lacking.append("SimpleITK")
    if not what or not lacking:
        return ""
    needed = " and ".join(lacking)
    return f"{what.case.name} needs {what.words()}, and {needed} is not installed: {INSTALL}"

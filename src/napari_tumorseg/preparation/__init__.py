"""Preparation of native scans: brain extraction and registration of the sequences onto one of them.

Needs the extra ``native`` (deepbet's weights, SimpleITK). Importing this package imports neither torch nor
SimpleITK.
"""

from napari_tumorseg.preparation.alignment import Alignment, align
from napari_tumorseg.preparation.deepbet import DeepBet
from napari_tumorseg.preparation.prepare import Needs, Step, Tools, needs, prepare
from napari_tumorseg.preparation.protocols import BrainExtractor, Head, Registration
from napari_tumorseg.preparation.rigid import SimpleITKRegistration
from napari_tumorseg.preparation.tools import default_tools, missing_packages
from napari_tumorseg.preparation.vote import Brain, Voter, vote

__all__ = [
    "Alignment",
    "Brain",
    "BrainExtractor",
    "DeepBet",
    "Head",
    "Needs",
    "Registration",
    "SimpleITKRegistration",
    "Step",
    "Tools",
    "Voter",
    "align",
    "default_tools",
    "missing_packages",
    "needs",
    "prepare",
    "vote",
]

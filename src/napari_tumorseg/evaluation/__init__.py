"""Evaluation of a model on a data set with reference masks. Importing this package does not import torch."""

from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.run import Plan, Step, evaluate, plan
from napari_tumorseg.evaluation.scores import CaseScores, FailedCase, PackedMask, RowScores
from napari_tumorseg.evaluation.select import SavedSplit, read_split
from napari_tumorseg.evaluation.settings import EvaluationSettings
from napari_tumorseg.evaluation.statistics import RegionSummary, Stats, by_dice, groups, summarise

__all__ = [
    "CaseScores",
    "Evaluation",
    "EvaluationSettings",
    "FailedCase",
    "PackedMask",
    "Plan",
    "RegionSummary",
    "RowScores",
    "SavedSplit",
    "Stats",
    "Step",
    "by_dice",
    "evaluate",
    "groups",
    "plan",
    "read_split",
    "summarise",
]

"""Questions that a model file can leave open."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, auto

from napari_tumorseg.errors import ChoiceNeededError


class Question(StrEnum):
    """Facts that a model card needs; each front end has a field or an option that states one."""

    ROLES = auto()
    PLANE = auto()
    NORMALISATION = auto()
    SPACING = auto()
    ACTIVATION = auto()
    OUTPUTS = auto()
    CONVENTION = auto()
    NETWORK = auto()


_FACTS = {
    Question.ROLES: "the modality of each input channel",
    Question.PLANE: "the plane of its slices",
    Question.NORMALISATION: "the normalisation of intensities",
    Question.SPACING: "the voxel size it was trained on",
    Question.ACTIVATION: "whether its outputs are regions of their own or classes that exclude each other",
    Question.OUTPUTS: "what each output stands for",
    Question.CONVENTION: "the label convention of its outputs",
    Question.NETWORK: "the network that its weights belong to",
}


class OpenQuestionsError(ChoiceNeededError):
    """A model file leaves facts open that its card needs.

    Parameters
    ----------
    file : str
        Name of the file.
    questions : sequence of Question
        Those that are open.
    details : str
        Figures that help to answer, such as the number of channels; a phrase.
    """

    def __init__(self, file: str, questions: Sequence[Question], details: str = "") -> None:
        facts = [_FACTS[question] for question in questions]
        listed = facts[0] if len(facts) == 1 else f"{', '.join(facts[:-1])} and {facts[-1]}"
        super().__init__(f"{file}{f' ({details})' if details else ''} does not state {listed}", questions)
        self.file = file
        self.questions = tuple(questions)
        self.details = details

    def __reduce__(self) -> tuple[type[OpenQuestionsError], tuple[str, tuple[Question, ...], str]]:  # type: ignore[override]
        return type(self), (self.file, self.questions, self.details)

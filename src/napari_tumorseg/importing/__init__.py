"""Import of foreign models as networks, weights and cards of this package; nothing foreign is run."""

from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.importer import import_model
from napari_tumorseg.importing.questions import OpenQuestionsError, Question

__all__ = ["Answers", "OpenQuestionsError", "Question", "import_model"]

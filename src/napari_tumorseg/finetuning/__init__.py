"""Fine-tuning: corrected cases become a new version of a model, if it proves to be better.

Importing this package does not import torch.
"""

from napari_tumorseg.finetuning.process import begin, start
from napari_tumorseg.finetuning.settings import Settings, Source
from napari_tumorseg.finetuning.state import Phase, Status, runs_folder, status_of

__all__ = ["Phase", "Settings", "Source", "Status", "begin", "finetune", "runs_folder", "start", "status_of"]


def __getattr__(name: str) -> object:
    """Import lazily what needs torch and Lightning."""
    if name == "finetune":
        from napari_tumorseg.finetuning.run import finetune

        return finetune
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

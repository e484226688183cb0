"""Networks, their weights and their cards. Importing this package does not import torch."""

import os
import sys

if "torch" not in sys.modules:
    # Whatever imports torch here comes by this package first. Threads of OpenMP that wait for the next layer
    # shall sleep, not spin: beside two other busy programs on two cores a slice of brats-regions took 700 to
    # 900 ms spinning, 85 to 290 ms sleeping; on a quiet machine there is no difference.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model, get_model, list_models, unusable_models, user_folder

__all__ = ["Model", "ModelCard", "get_model", "list_models", "unusable_models", "user_folder"]

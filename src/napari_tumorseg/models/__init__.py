"""Networks, their weights and their cards. Importing this package does not import torch."""

import os
import sys

if "torch" not in sys.modules:
    # Whatever imports torch here comes by this package first. Threads of OpenMP that wait for the next layer
    # shall sleep, not spin: on a machine that is busy otherwise, the spinning takes the cores from the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model, get_model, list_models, user_folder

__all__ = ["Model", "ModelCard", "get_model", "list_models", "user_folder"]

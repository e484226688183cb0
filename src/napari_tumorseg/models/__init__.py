"""Networks, their weights and their cards. Importing this package does not import torch."""

from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.store import Model, get_model, list_models, user_folder

__all__ = ["Model", "ModelCard", "get_model", "list_models", "user_folder"]

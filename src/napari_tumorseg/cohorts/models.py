"""Models of a cohort, loaded once."""

from __future__ import annotations

from collections.abc import Sequence

from napari_tumorseg.evaluation.case import Loaded
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.scan import Role


class LoadedModels:
    """The model of all cases, or the one that suits each case; networks stay in memory.

    Parameters
    ----------
    name : str or None
        Name or path of the model for all cases.

    Attributes
    ----------
    chosen : Model or None
        That model; None where each case has its own.
    """

    def __init__(self, name: str | None) -> None:
        self.chosen = get_model(name) if name else None
        self._loaded: dict[str, Loaded] = {}

    @property
    def roles(self) -> Sequence[Role]:
        """Modalities that the model for all cases takes; none where each case has its own."""
        return self.chosen.card.input.roles if self.chosen else ()

    def loaded(self, model: Model) -> Loaded:
        """Return a model with its network."""
        key = str(model.weights)
        if key not in self._loaded:
            self._loaded[key] = Loaded.of(model)
        return self._loaded[key]

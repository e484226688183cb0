"""Models of a cohort, loaded once."""

from __future__ import annotations

from collections.abc import Sequence

from napari_tumorseg.evaluation.case import Loaded
from napari_tumorseg.inference.model_selection import choose_model
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.scan import Role, Scan


class LoadedModels:
    """The model of all cases, or the one that suits each case; networks stay in memory.

    Parameters
    ----------
    name : str or None
        Name or path of the model for all cases.
    """

    def __init__(self, name: str | None) -> None:
        self._chosen = get_model(name) if name else None
        self._loaded: dict[str, Loaded] = {}

    @property
    def roles(self) -> Sequence[Role]:
        """Modalities that the model for all cases takes; none where each case has its own."""
        return self._chosen.card.input.roles if self._chosen else ()

    def suitable(self, scan: Scan, analysis: ScanAnalysis) -> Model:
        """Return the model for a scan, not loaded yet."""
        return self._chosen or choose_model(scan, analysis)

    def loaded(self, model: Model) -> Loaded:
        """Return a model with its network."""
        key = str(model.weights)
        if key not in self._loaded:
            self._loaded[key] = Loaded.of(model)
        return self._loaded[key]

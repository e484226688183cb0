"""Probabilities that a run keeps, and the mask that they give at another threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid, bounding_box
from napari_tumorseg.inference.evidence import tumour_levels
from napari_tumorseg.inference.postprocess import postprocess
from napari_tumorseg.inference.uncertainty import entropy_map
from napari_tumorseg.models.card import ModelCard, Output
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.regions import CONVENTIONS, LabelConvention
from napari_tumorseg.scan import Segmentation

Box = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class StoredProbabilities:
    """Probabilities of a run and the settings that turn them into labels.

    Attributes
    ----------
    probabilities : mapping of str to array of uint8
        Per output, 255 for 1, in `box`. 0 where the model may not put a label.
    box : tuple of slice
        Where they lie in the grid.
    grid : Grid
        Of the whole volume.
    output : Output
        The card's: the label of each output, and in which order they are painted.
    post : PostSettings
        The post-processing of the run.
    brain : array of bool or None
        For `post.inside_brain`.
    threshold : float
        At which the run made its labels.
    flipped : bool
        Whether the probabilities are averaged with those of the flipped slice.
    disagreement : array of uint8 or None
        Between the members of an ensemble, in `box`; 255 for the most it can be. None for a single model.
    """

    probabilities: Mapping[str, Array]
    box: Box
    grid: Grid
    output: Output
    post: PostSettings = field(default_factory=PostSettings)
    brain: Array | None = None
    threshold: float = 0.5
    flipped: bool = False
    disagreement: Array | None = None
    _result: tuple[Box, Array] | None = None

    @classmethod
    def of(
        cls, result: Segmentation, card: ModelCard, post: PostSettings | None, brain: Array | None = None
    ) -> StoredProbabilities | None:
        """Return the probabilities that a run kept, or None if it kept none.

        Parameters
        ----------
        result : Segmentation
            Run with `Settings.probabilities`.
        card : ModelCard
            Of the model that was run.
        post : PostSettings or None
            Post-processing of the run; None: the card's.
        brain : array of bool, optional
            The brain, if `post.inside_brain`.
        """
        if not result.probabilities or result.probability_box is None:
            return None
        settings = result.provenance.get("settings", {})
        where = bounding_box(result.labels)
        kept = None if where is None else (where, result.labels[where].copy())
        return cls(
            probabilities=result.probabilities,
            box=result.probability_box,
            grid=result.grid,
            output=card.output,
            post=post or card.postprocessing,
            brain=brain,
            threshold=settings.get("threshold") or card.output.threshold,
            flipped=bool(settings.get("flip")),
            disagreement=result.disagreement,
            _result=kept,
        )

    @property
    def convention(self) -> LabelConvention:
        """Label convention of the output."""
        return CONVENTIONS[self.output.scheme]

    @property
    def shown(self) -> Mapping[str, Array]:
        """The maps without that of the background, which is redundant."""
        pairs = zip(self.output.names, self.output.labels, strict=True)
        return {name: self.probabilities[name] for name, label in pairs if label}

    @property
    def adjustable(self) -> bool:
        """True if a threshold has an effect: among classes the most probable one wins."""
        return self.output.activation == "sigmoid"

    def result(self) -> Array:
        """Return the labels that the run gave, as a new array."""
        labels = np.zeros(self.grid.shape, dtype=np.uint8)
        if self._result is not None:
            labels[self._result[0]] = self._result[1]
        return labels

    def uncertainty(self) -> Array:
        """Return the uncertainty in `box`, 255 for the most.

        The disagreement between the members of an ensemble; of a single model, the normalised entropy, as
        `inference.uncertainty` defines it.
        """
        if self.disagreement is not None:
            return self.disagreement
        return entropy_map(self.probabilities, self.output.activation)

    def labels_at(self, thresholds: Mapping[str, float] | float) -> Array:
        """Return the labels that the stored probabilities give, post-processed as the run was.

        Labels are painted in the card's order: nested regions from the outermost inwards. Probabilities
        have 256 levels, so thresholds count to within 0.002; at the run's own threshold its very result
        comes back.

        Parameters
        ----------
        thresholds : float or mapping of str to float
            For all outputs, or by name; outputs that are not named keep the run's.

        Returns
        -------
        (Z, Y, X) array of uint8
            A new array.

        Raises
        ------
        InputError
            If the model has no threshold, or one is not between 0 and 1.
        """
        if not self.adjustable:
            raise InputError("this model takes the most probable class, so a threshold has no effect")
        limits = self._limits(thresholds)
        if set(limits) == {self.threshold} and self._result is not None:
            return self.result()
        labels = np.zeros(self.grid.shape, dtype=np.uint8)
        inside = labels[self.box]
        for name, label, limit in zip(self.output.names, self.output.labels, limits, strict=True):
            inside[self.probabilities[name] >= _least_level(limit)] = label
        certain = self._certain() if self.post.min_confident_voxels else None
        levels = self._levels() if self.post.needs_levels else None
        return postprocess(labels, self.grid, self.convention, self.post, self.brain, certain, levels)[0]

    def _certain(self) -> Array:
        """Return the voxels where the model is confident of any output, as in the run."""
        found = np.zeros(self.grid.shape, dtype=bool)
        level = _least_level(self.output.certain)
        for name in self.output.names:
            found[self.box] |= self.probabilities[name] >= level
        return found

    def _levels(self) -> Array:
        """Return the probability of any tumour, 255 for 1, on the whole grid."""
        found = np.zeros(self.grid.shape, dtype=np.uint8)
        stacked = np.stack([self.probabilities[name] for name in self.output.names])
        found[self.box] = tumour_levels(stacked, self.output)
        return found

    def _limits(self, thresholds: Mapping[str, float] | float) -> list[float]:
        if isinstance(thresholds, Mapping):
            limits = [float(thresholds.get(name, self.threshold)) for name in self.output.names]
        else:
            limits = [float(thresholds)] * len(self.output.names)
        wrong = next((limit for limit in limits if not 0 < limit < 1), None)
        if wrong is not None:
            raise InputError(f"a threshold lies between 0 and 1, not at {wrong:g}")
        return limits


def _least_level(limit: float) -> int:
    """Return the smallest stored level that lies above a threshold."""
    return min(int(np.floor(limit * 255)) + 1, 255)

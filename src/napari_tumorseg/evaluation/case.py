"""Scoring of one case: segmentation, then scores in 3-D, lesion by lesion and slice by slice."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tumorseg.errors import ModelError
from napari_tumorseg.evaluation.brier import squared_errors
from napari_tumorseg.evaluation.compared_regions import ComparedRegion, rows_of, tumour_slices
from napari_tumorseg.evaluation.network import NetworkSize
from napari_tumorseg.evaluation.scores import CaseScores, Members, PackedMask, RowScores
from napari_tumorseg.evaluation.settings import EvaluationSettings
from napari_tumorseg.evaluation.slicewise import slice_counts
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.model_selection import as_expected
from napari_tumorseg.inference.run import run
from napari_tumorseg.inference.slice_plane import plane_for, slice_plane_for
from napari_tumorseg.inference.steps import Steps
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.measurement import LESION_RULES, LesionScores, agreement, lesion_wise
from napari_tumorseg.models.store import Model
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Scan, Segmentation

if TYPE_CHECKING:
    from napari_tumorseg.models.segmentation_network import SegmentationNetwork

Done = tuple[int, int]
"""Number of slices that are done, and to do."""


@dataclass(frozen=True)
class Loaded(Model):
    """A model whose network is loaded once, for one case after the other.

    Attributes
    ----------
    net : SegmentationNetwork or None
        The network.
    run_facts : dict
        Settings and versions of its last run, from the provenance of the mask.
    """

    net: SegmentationNetwork | None = None
    run_facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model) -> Loaded:
        """Load a model."""
        return cls(model.card, model.weights, model.origin, model.load())

    def load(self) -> SegmentationNetwork:
        """Return the network."""
        if self.net is None:
            raise ModelError(f"the network of {self.name} is not loaded")
        return self.net

    def part(self, indices: Sequence[int]) -> Loaded:
        """Return the model with some of its members; all of them are the model itself."""
        from napari_tumorseg.models.ensemble import Ensemble

        net = self.load()
        if not isinstance(net, Ensemble) or len(indices) == len(self.card.members):
            return self
        members = tuple(self.card.members[index] for index in indices)
        card = self.card.model_copy(update={"members": members})
        return replace(self, card=card, net=net.part(indices))


class CaseScorer:
    """Scores one case after the other with one model.

    Parameters
    ----------
    model : Loaded
        Model with its network.
    settings : EvaluationSettings
        Settings.
    """

    def __init__(self, model: Loaded, settings: EvaluationSettings) -> None:
        self.model, self.settings = model, settings
        self._networks: dict[tuple[int, ...], NetworkSize] = {}

    def score(
        self, case: CaseRef, members: Members, only: frozenset[int] | None = None
    ) -> Generator[Done, None, tuple[CaseScores, Segmentation]]:
        """Score a case; yield the progress after each slice, return the scores and the segmentation.

        Parameters
        ----------
        case : CaseRef
            Case on disk.
        members : Members
            Sets of weights to run it with.
        only : frozenset of int, optional
            Slices that per-slice figures are limited to.

        Raises
        ------
        TumorSegError
            If the case cannot be segmented or scored.
        """
        start = time.perf_counter()
        scan, reference = case.load(self.settings.labels, self.settings.same_voxels)
        scan = as_expected(replace(scan, case=case.name), self.model.card)
        seg = yield from self._segment(scan, self.model.part(members.run))
        agreed = agreement(seg, reference)
        rows = rows_of(agreed)
        cut = yield from self._cut(scan, seg, reference, rows, only, self._network(members.run))
        errors = squared_errors(seg, reference, rows, self.model.card.output)
        lesions = [self._lesions(row, seg, reference) for row in rows]
        doubts = [seg.provenance["doubt"].get(row.name) if row.kind == "region" else None for row in rows]
        parts = zip(agreed.rows, errors, lesions, cut.counts, doubts, strict=True)
        scores = CaseScores(
            ref=case,
            trained_on=bool(members.trained_on),
            convention=seg.convention.name,
            reference_convention=reference.convention.name,
            unit=agreed.unit,
            plane=plane_for(self.model.card.input.plane, scan.grid),
            pixels=cut.pixels,
            at_network_size=self.settings.at_network_size,
            slices=cut.numbers,
            tumour=cut.tumour,
            rows=tuple(RowScores(*part) for part in parts),
            seconds=time.perf_counter() - start,
            warnings=tuple(str(warning) for warning in seg.provenance["warnings"]),
            mask=PackedMask.of(seg.labels),
            members=members,
        )
        return scores, seg

    def _network(self, members: tuple[int, ...]) -> NetworkSize | None:
        """Return the network for figures at its own size, if these are wanted."""
        if self.settings.at_network_size and members not in self._networks:
            model = self.model.part(members)
            self._networks[members] = NetworkSize(model.load(), model.card, self.settings.inference)
        return self._networks.get(members)

    def _segment(self, scan: Scan, model: Loaded) -> Generator[Done, None, Segmentation]:
        steps = Steps(run(scan, model, replace(self.settings.inference, probabilities=True)))
        for step in steps:
            yield step.done, step.total
        seg = steps.result
        self.model.run_facts.update({key: seg.provenance[key] for key in ("settings", "versions")})
        return seg

    def _cut(
        self,
        scan: Scan,
        seg: Segmentation,
        reference: Segmentation,
        rows: Sequence[ComparedRegion],
        only: frozenset[int] | None,
        network: NetworkSize | None,
    ) -> Generator[Done, None, _Cut]:
        """Count the chosen slices, at the scan's or the network's size."""
        slice_plane = slice_plane_for(self.model.card.input.plane, scan.grid)
        ours, theirs = slice_plane.apply(seg.labels), slice_plane.apply(reference.labels)
        tumour = tumour_slices(theirs, reference.convention)
        wanted = self._wanted(tumour, only)
        counts: Array = np.zeros((len(rows), 0, 4), dtype=np.int64)
        pixels: tuple[int, int] | None = None
        if wanted and network is None:
            counts = slice_counts(ours[wanted], theirs[wanted], rows)
            pixels = (int(ours.shape[1]), int(ours.shape[2]))
        elif wanted and network is not None:
            counts, pixels = yield from _at_network_size(network, scan, reference, rows, wanted)
        return _Cut(counts, pixels, tuple(wanted), tumour[wanted])

    def _wanted(self, tumour: Array, only: frozenset[int] | None) -> list[int]:
        """Return the indices of the slices that are scored."""
        wanted = range(len(tumour)) if self.settings.slices == "all" else np.flatnonzero(tumour)
        return [int(index) for index in wanted if only is None or index in only]

    def _lesions(
        self, row: ComparedRegion, seg: Segmentation, reference: Segmentation
    ) -> LesionScores | None:
        if row.kind != "region":
            return None
        masks = region_mask(seg.labels, row.ours), region_mask(reference.labels, row.theirs)
        return lesion_wise(*masks, reference.grid, **LESION_RULES[self.settings.lesions])


def _at_network_size(
    network: NetworkSize,
    scan: Scan,
    reference: Segmentation,
    rows: Sequence[ComparedRegion],
    wanted: Sequence[int],
) -> Generator[Done, None, tuple[Array, tuple[int, int]]]:
    """Count slices at the network's size; yield the progress, return counts and size."""
    found = []
    for one in network.counts(scan, reference, rows, wanted):
        found.append(one)
        yield len(found), len(wanted)
    return np.stack([counts for counts, _ in found], axis=1), found[-1][1]


@dataclass(frozen=True, eq=False)
class _Cut:
    """Counts of a case's slices."""

    counts: Array  # (rows, S, 4)
    pixels: tuple[int, int] | None
    numbers: tuple[int, ...]
    tumour: Array

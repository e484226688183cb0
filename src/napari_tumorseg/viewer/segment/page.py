"""The page Segment of the panel: images, model, options and the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget
from superqt.utils import create_worker

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference import ScanAnalysis, Settings, available_devices
from napari_tumorseg.inference.slice_plane import PLANES, plane_for
from napari_tumorseg.models import Model
from napari_tumorseg.scan import Role, Scan
from napari_tumorseg.viewer.layers.inputs import INPUT_ROLES, case_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.showing import shown_slice
from napari_tumorseg.viewer.layers.skull import SkullKnowledge
from napari_tumorseg.viewer.preferences import Preferences
from napari_tumorseg.viewer.segment.input_section import InputSection
from napari_tumorseg.viewer.segment.model_section import ModelSection
from napari_tumorseg.viewer.segment.options_section import SLICE, OptionsSection
from napari_tumorseg.viewer.segment.prepared_layers import PreparedLayers, place
from napari_tumorseg.viewer.segment.registration_section import RegistrationSection
from napari_tumorseg.viewer.segment.run import Run
from napari_tumorseg.viewer.segment.run_section import RunSection
from napari_tumorseg.viewer.state.job import Job
from napari_tumorseg.viewer.widgets.messages import short
from napari_tumorseg.viewer.widgets.section import Section

if TYPE_CHECKING:
    from napari import Viewer


class SegmentPage(QObject):
    """Sections that describe a run, and the run itself.

    Parameters
    ----------
    viewer : Viewer
        Whose image layers are segmented.
    """

    succeeded = Signal(object)
    """A run is over: the finished Labels layer."""
    failed = Signal(str)
    """A run is over: the error message."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._model_shown: Model | None = None
        self._skull = SkullKnowledge()
        self.run: Run | None = None
        self.inputs = InputSection(viewer.layers)
        self.model = ModelSection()
        self.options = OptionsSection()
        self.runs = RunSection()
        self.registration = RegistrationSection(viewer)
        self._connect()
        self.update_scan()
        self._look_for_devices()

    def parts(self) -> list[QWidget]:
        """Return the sections with their titles, from top to bottom."""
        return [
            Section("Images", self.inputs),
            Section("Model", self.model),
            Section("Options", self.options, is_open=False),
            self.runs.native,
            self.registration.native,
        ]

    def prefer(self, preferences: Preferences) -> None:
        """Start with the preferred model and device where they are available."""
        self.model.prefer(preferences.model)
        self.options.prefer(preferences.device)

    # ---- the run

    @property
    def problem(self) -> str:
        """Reason why nothing can be run, as a sentence; empty if there is none."""
        return short(self.inputs.problem or self.model.problem)

    @property
    def is_running(self) -> bool:
        """True while a run is under way."""
        return self.run is not None and not self.run.is_over

    @property
    def running_layer(self) -> LabelsLayer | None:
        """The layer in which the result of the current run grows."""
        return self.run.layer if self.run is not None and self.is_running else None

    def start(self) -> None:
        """Start a run.

        Raises
        ------
        InputError
            If something is missing for it.
        """
        job = self.job(self._slices(self.model.model))
        taken = dict(self.inputs.chosen)
        run = Run(self._viewer, job, lambda found: self._place(found, taken))
        run.progressed.connect(self.runs.show_step)
        run.succeeded.connect(self._on_success)
        run.failed.connect(self._on_failure)
        run.cancelled.connect(self._on_cancelled)
        self.run = run
        run.start()
        self._show_ready()

    def job(self, slices: range | None = None) -> Job:
        """Return the description of a run as the page is set, of the whole volume or of `slices`.

        Raises
        ------
        InputError
            If something is missing for it.
        """
        group, model = self.inputs.group, self.model.model
        problem = self.problem
        if problem or group is None or model is None:
            raise InputError(problem or "There is nothing to segment.")
        case = case_of(group, self.inputs.chosen, native=self.options.prepare.value)
        settings = Settings(
            device=self.options.device.value,
            precision=self.options.precision.value,
            post=self.options.post,
            slices=slices,
            probabilities=self.options.probabilities.value,
        )
        used = {str(x.unique_id): role for x, role in self.inputs.chosen.items() if role in INPUT_ROLES}
        stripped = self._is_stripped(self.scan())
        return Job(
            case, group.key, used, model, settings, stripped=stripped, prepare=self.options.prepare.value
        )

    def cancel(self, quietly: bool = False) -> None:
        """Stop the run, if one is under way."""
        if self.run is not None:
            self.run.cancel(quietly)

    def detach(self) -> None:
        """Stop the run and unsubscribe from the viewer."""
        self.cancel(quietly=True)
        self._skull.cancel()
        self.registration.detach()
        self.inputs.detach()

    # ---- the scan

    def scan(self) -> Scan | None:
        """Return the images with their roles, the reference first, each on its own grid."""
        group = self.inputs.group
        if group is None or self.inputs.problem:
            return None
        case = case_of(group, self.inputs.chosen, native=True)
        reference = case.reference()
        others = [image for image in case.images if image is not reference]
        brain = case.brain_mask
        return Scan(case.name, (reference, *others), brain.data > 0 if brain is not None else None)

    def update_scan(self) -> None:
        """Adapt model, options and voxel size to the images as they are now."""
        scan = self.scan()
        known = scan is None or scan.grid.unit == "mm"
        self.options.know_unit(known)
        stated = self._spacing_is_stated()
        self.inputs.spacing.setVisible(stated or not known)
        self.inputs.spacing.show_stated(stated)
        stripped = self._is_stripped(scan)
        analysis = ScanAnalysis(scan, stripped) if scan and stripped is not None else None
        self.model.suit(scan, analysis, self.options.prepare.value)

    def _spacing_is_stated(self) -> bool:
        """Return whether the voxel size was typed, so that it can be corrected."""
        group = self.inputs.group
        origins = map(origin_of, group.layers if group else ())
        return any(origin.stated_spacing for origin in origins if origin)

    def _is_stripped(self, scan: Scan | None) -> bool | None:
        """Return whether the scan is skull-stripped; None while that is computed, or without a scan."""
        if scan is None:
            return None
        role = scan.reference.role
        layer = next(layer for layer, taken in self.inputs.chosen.items() if taken is role)
        return self._skull.is_stripped(layer, scan.reference.data)

    def _slices(self, model: Model | None) -> range | None:
        """Return the displayed slice if only that is wanted, None for the whole volume."""
        scan = self.scan()
        if self.options.region.value != SLICE or scan is None or model is None:
            return None
        plane = plane_for(model.card.input.plane, scan.grid)
        axis = PLANES[plane].axes[0]
        index = shown_slice(self._viewer.dims, scan.grid, axis)
        if index is None:
            raise InputError(
                f"{model.name} works on {plane} slices: turn the viewer to one, or take the whole volume"
            )
        if not 0 <= index < scan.grid.shape[axis]:
            raise InputError("the current slice lies outside the scan")
        return range(index, index + 1)

    # ---- reactions

    def _place(self, found: PreparedLayers, taken: dict[ImageLayer, Role]) -> dict[str, Role]:
        """Add the layers of a preparation and return the images that a result was made from."""
        used = {layer: role for layer, role in taken.items() if role in INPUT_ROLES}
        images = place(self._viewer, self.inputs.inputs, used, found)
        self.inputs.refresh()
        return images

    def _connect(self) -> None:
        self.inputs.edited.connect(self.update_scan)
        self._skull.known.connect(self.update_scan)
        self.model.edited.connect(self._on_model)
        self.options.prepare.changed.connect(self.update_scan)
        self.runs.cancel.changed.connect(lambda: self.cancel())

    def _look_for_devices(self) -> None:
        """Ask torch, whose import takes seconds, outside the window's thread; a run reports its errors."""
        worker = create_worker(available_devices, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(self.options.offer_devices)
        worker.start()

    def _on_model(self) -> None:
        model = self.model.model
        if model is not None and model != self._model_shown:
            self._model_shown = model
            self.options.take_defaults(model.card)
        self._show_ready()

    def _show_ready(self) -> None:
        self.runs.show_ready(self.problem, self.is_running)
        self.inputs.spacing.setEnabled(not self.is_running)  # the result is made on the present grid
        if not self.is_running:
            self.runs.status.value = self.problem or "Ready."

    def _on_success(self, layer: LabelsLayer) -> None:
        self._show_ready()
        self.succeeded.emit(layer)

    def _on_failure(self, message: str) -> None:
        self._show_ready()
        self.failed.emit(message)

    def _on_cancelled(self) -> None:
        self._show_ready()
        self.runs.status.value = "Cancelled, nothing was kept."

"""Panel section: device, region of interest and post-processing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, SpinBox
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_tumorseg.inference.postprocess import PostSettings
from napari_tumorseg.models import ModelCard

WHOLE = "whole volume"
SLICE = "current slice"
_IN_MM = ("min_component_mm3", "opening_mm", "closing_mm")


class OptionsSection(QWidget):
    """How a model is run. Post-processing steps are named as in `PostSettings`."""

    def __init__(self) -> None:
        super().__init__()
        self._devices = ["auto"]
        self._preferred = ""
        self.device = ComboBox(choices=lambda _: self._devices, tooltip="Those that work here")
        self.region = ComboBox(choices=[WHOLE, SLICE], tooltip="What is segmented")
        self.min_component_mm3 = _number(10, "Components smaller than this are taken away")
        self.opening_mm = _number(
            0.5, "Takes away spurs and bridges that a ball of this radius does not fit into"
        )
        self.closing_mm = _number(0.5, "Closes gaps that a ball of this radius does not fit into")
        self.fill_holes = CheckBox(text="Fill holes", tooltip="Those enclosed in three dimensions")
        self.largest_only = CheckBox(text="Largest tumour only")
        self.inside_brain = CheckBox(text="Inside the brain only", tooltip="Needs a brain mask, or no skull")
        self.probabilities = CheckBox(
            value=True,
            text="Keep probability maps",
            tooltip="For Where to look on the page Correct: a byte a voxel and region while the layer lives",
        )
        form = QFormLayout(self)
        self.certain_voxels = SpinBox(
            min=0,
            max=1_000_000,
            tooltip="Parts in which the model is certain of fewer voxels are taken away; 0 keeps all",
        )
        form.addRow("Device", self.device.native)
        form.addRow("Region", self.region.native)
        form.addRow("Drop parts below (mm³)", self.min_component_mm3.native)
        form.addRow("Opening (mm)", self.opening_mm.native)
        form.addRow("Closing (mm)", self.closing_mm.native)
        form.addRow("Certain voxels at least", self.certain_voxels.native)
        for tick in (self.fill_holes, self.largest_only, self.inside_brain, self.probabilities):
            form.addRow(tick.native)

    @property
    def post(self) -> PostSettings:
        """The post-processing as set; steps in mm are off where the voxel size is unknown."""
        off = {} if self.min_component_mm3.enabled else dict.fromkeys(_IN_MM, 0.0)
        return PostSettings(**{name: getattr(self, name).value for name in asdict(PostSettings())} | off)

    def offer_devices(self, devices: Sequence[str]) -> None:
        """Show the devices that work here."""
        self._devices = ["auto", *devices]
        self.device.reset_choices()
        if self._preferred in self._devices:
            self.device.value = self._preferred
            self._preferred = ""  # what the user chooses from now on counts

    def prefer(self, device: str) -> None:
        """Start with this device once it is known to work here."""
        self._preferred = device

    def take_defaults(self, card: ModelCard) -> None:
        """Set the post-processing to what a model's card says."""
        for name in asdict(PostSettings()):
            getattr(self, name).value = getattr(card.postprocessing, name)

    def know_unit(self, known: bool) -> None:
        """Switch the steps in mm on or off."""
        for name in _IN_MM:
            getattr(self, name).enabled = known


def _number(step: float, tooltip: str) -> FloatSpinBox:
    return FloatSpinBox(min=0, max=100_000, step=step, tooltip=tooltip)

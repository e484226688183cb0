"""Panel section: device, precision, region of interest and post-processing."""

from __future__ import annotations

from collections.abc import Sequence

from magicgui.widgets import CheckBox, ComboBox
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_tumorseg.inference.settings import PRECISIONS
from napari_tumorseg.models import ModelCard
from napari_tumorseg.post_settings import PostSettings, Step
from napari_tumorseg.viewer.widgets.spin_boxes import DecimalSpinBox, WholeSpinBox

WHOLE = "whole volume"
SLICE = "current slice"


class OptionsSection(QWidget):
    """Device, precision, region and post-processing of a run.

    Attributes
    ----------
    steps : dict of str to widget
        One for each field of `PostSettings`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._devices = ["auto"]
        self._preferred = ""
        self._unit_known = True
        self.device = ComboBox(choices=lambda _: self._devices, tooltip="Those that work here")
        self.precision = ComboBox(
            choices=PRECISIONS,
            tooltip="Arithmetic of the network. auto: float32, or bfloat16 where the model's card shows that "
            "masks stay as good and it is measured to be faster here. int8 needs the extra fast",
        )
        self.region = ComboBox(choices=[WHOLE, SLICE], tooltip="What is segmented")
        self.steps = {step.name: _widget(step) for step in PostSettings.steps()}
        self.probabilities = CheckBox(
            value=True,
            text="Keep probability maps",
            tooltip="Needed for Uncertainty on the page Correct; takes one byte per voxel and region",
        )
        self.prepare = CheckBox(
            value=True,
            text="Prepare native scans",
            tooltip="Find the brain and register the sequences where the model needs it",
        )
        form = QFormLayout(self)
        form.addRow("Device", self.device.native)
        form.addRow("Precision", self.precision.native)
        form.addRow("Region", self.region.native)
        switches = []
        for step in PostSettings.steps():
            widget = self.steps[step.name]
            if isinstance(widget, CheckBox):
                switches.append(widget)
            else:
                form.addRow(step.label, widget.native)
        for switch in (*switches, self.probabilities, self.prepare):
            form.addRow(switch.native)

    @property
    def post(self) -> PostSettings:
        """The post-processing as set; steps that need a voxel size are off where it is unknown."""
        possible = (s.name for s in PostSettings.steps() if self._unit_known or not s.needs_voxel_size)
        return PostSettings(**{name: self.steps[name].value for name in possible})

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
        """Set the post-processing to the defaults of a model's card."""
        for name, widget in self.steps.items():
            widget.value = getattr(card.postprocessing, name)

    def know_unit(self, known: bool) -> None:
        """Enable the steps in mm if the voxel size is known, else disable them."""
        self._unit_known = known
        for step in PostSettings.steps():
            if step.needs_voxel_size:
                self.steps[step.name].enabled = known


def _widget(step: Step) -> CheckBox | DecimalSpinBox:
    """Return a widget for a step: a tick box, or a box for its number."""
    if step.kind is bool:
        return CheckBox(text=step.title, tooltip=step.help)
    if step.kind is int:
        return WholeSpinBox(min=0, max=1_000_000, tooltip=step.help)
    return DecimalSpinBox(min=0, max=100_000, step=step.increment, tooltip=step.help)

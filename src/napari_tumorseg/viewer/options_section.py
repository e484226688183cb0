"""Panel section: device, region of interest and post-processing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, LineEdit, PushButton
from psygnal import Signal

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.postprocess import PostSettings
from napari_tumorseg.models import ModelCard
from napari_tumorseg.viewer.section import wrapping_label

WHOLE = "whole volume"
SLICE = "current slice"
_IN_MM = ("min_component_mm3", "closing_mm", "opening_mm")


class OptionsSection(Container):  # type: ignore[type-arg]
    """How a model is run."""

    spacing_stated = Signal(tuple)
    """A voxel size (Z, Y, X) in mm was typed for a scan that has none."""

    refused = Signal(str)
    """What was typed is not a voxel size; the sentence says what is."""

    def __init__(self) -> None:
        self._devices = ["auto"]
        self.device = ComboBox(
            label="Device", choices=lambda _: self._devices, tooltip="Only devices that work here"
        )
        self.region = ComboBox(label="Region", choices=[WHOLE, SLICE])
        self.min_component_mm3 = _number("Drop pieces below (mm³)", 10, "Components smaller than this go")
        self.opening_mm = _number("Opening (mm)", 0.5, "Takes away spurs that a ball of this radius misses")
        self.closing_mm = _number("Closing (mm)", 0.5, "Closes gaps that a ball of this radius misses")
        self.fill_holes = CheckBox(text="Fill holes")
        self.largest_only = CheckBox(text="Largest tumour only")
        self.inside_brain = CheckBox(text="Inside the brain only", tooltip="Needs a brain mask or no skull")
        self.spacing = LineEdit(label="Voxel size (mm)", tooltip="Z Y X, as in: 5 0.94 0.94")
        self.state = PushButton(text="Set voxel size")
        self.note = wrapping_label()
        self.note.value = "The voxel size is unknown: steps in mm are off, volumes stay in voxels."
        steps = [self.min_component_mm3, self.opening_mm, self.closing_mm]
        ticks = [self.fill_holes, self.largest_only, self.inside_brain]
        unknown = [self.note, self.spacing, self.state]
        super().__init__(widgets=[self.device, self.region, *steps, *ticks, *unknown], labels=True)
        self.state.changed.connect(self._state_spacing)
        self.know_unit(True)

    @property
    def post(self) -> PostSettings:
        """The post-processing as set; steps in mm are off where the voxel size is unknown."""
        off = {} if self.min_component_mm3.enabled else dict.fromkeys(_IN_MM, 0.0)
        return PostSettings(**{name: getattr(self, name).value for name in asdict(PostSettings())} | off)

    def offer_devices(self, devices: Sequence[str]) -> None:
        """Show the devices that work here."""
        self._devices = ["auto", *devices]
        self.device.reset_choices()

    def take_defaults(self, card: ModelCard) -> None:
        """Set the post-processing to what a model's card says."""
        for name in asdict(PostSettings()):
            getattr(self, name).value = getattr(card.postprocessing, name)

    def know_unit(self, known: bool) -> None:
        """Switch the steps in mm on or off, and ask for the voxel size where it is unknown."""
        for name in _IN_MM:
            getattr(self, name).enabled = known
        for widget in (self.note, self.spacing, self.state):
            widget.visible = not known

    def _state_spacing(self) -> None:
        try:
            spacing = parse_spacing(self.spacing.value)
        except InputError as error:
            self.refused.emit(str(error))
        else:
            self.spacing_stated.emit(spacing)


def parse_spacing(text: str) -> tuple[float, float, float]:
    """Return the three numbers in a text.

    Raises
    ------
    InputError
        If there are not three positive ones.
    """
    try:
        z, y, x = (float(word) for word in text.replace(",", " ").replace("x", " ").split())
    except ValueError:
        raise InputError(
            f"a voxel size is three numbers in mm (Z Y X), such as 5 0.94 0.94, not {text!r}"
        ) from None
    if min(z, y, x) <= 0:
        raise InputError("a voxel size is positive")
    return z, y, x


def _number(label: str, step: float, tooltip: str) -> FloatSpinBox:
    return FloatSpinBox(label=label, min=0, max=100_000, step=step, tooltip=tooltip)

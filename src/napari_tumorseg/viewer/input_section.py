"""Panel section: which scan, and which layer plays which role."""

from __future__ import annotations

from functools import partial
from typing import Any

from magicgui.widgets import ComboBox, Container
from napari.components import LayerList
from napari.layers import Image as ImageLayer
from psygnal import Signal

from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.inputs import TITLES, Group, Inputs, groups_of, problem_with
from napari_tumorseg.viewer.origin import origin_of
from napari_tumorseg.viewer.section import wrapping_label

_MOST_LETTERS = 22
_ROLES = [(title, role) for role, title in TITLES.items()]


class InputSection(Container):  # type: ignore[type-arg]
    """Shows the image layers of a scan with their roles; follows the layer list."""

    edited = Signal()
    """What would be segmented has changed."""

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self.inputs = Inputs()
        self.groups: list[Group] = []
        self._shown: list[tuple[ImageLayer, str]] = []
        # choices come from a function: magicgui resets a plain list whenever the panel is docked anew
        self.scan = ComboBox(label="Scan", choices=self._offered, tooltip="The case that is segmented")
        self.roles: list[ComboBox] = []
        self.note = wrapping_label()
        super().__init__(widgets=[self.scan, self.note], labels=True)
        self.scan.changed.connect(self._show_roles)
        for event in (layers.events.inserted, layers.events.removed, layers.events.reordered):
            event.connect(self._follow)
        self._follow()

    @property
    def group(self) -> Group | None:
        """The chosen scan's layers, or None while there are none."""
        return next((group for group in self.groups if group.key == self.scan.value), None)

    @property
    def chosen(self) -> dict[ImageLayer, Role]:
        """The role of each layer of the chosen scan."""
        return self.inputs.roles(self.group) if self.group else {}

    @property
    def problem(self) -> str:
        """What keeps the choice from being a scan, in a sentence; empty if nothing does."""
        return problem_with(self.chosen)

    def disconnect_all(self) -> None:
        """Stop following the viewer."""
        events = self._layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.disconnect(self._follow)
        for layer in self._layers:
            layer.events.name.disconnect(self._follow)

    def _follow(self, event: Any = None) -> None:
        """Bring the choices up to date with the layer list; a new case becomes the chosen one."""
        for layer in self._layers:
            layer.events.name.disconnect(self._follow)  # never twice
            layer.events.name.connect(self._follow)
        before = {group.key for group in self.groups}
        chosen = self.scan.value
        self.groups = groups_of(self._layers)
        keys = [group.key for group in self.groups]
        fresh = [key for key in keys if key not in before and key != "*"]
        with self.scan.changed.blocked():
            self.scan.reset_choices()
            if keys:
                self.scan.value = fresh[0] if fresh else chosen if chosen in keys else keys[0]
        self.scan.enabled = len(keys) > 1
        self._show_roles()

    def _offered(self, widget: Any) -> list[tuple[str, str]]:
        return [(group.title, group.key) for group in self.groups]

    def _show_roles(self) -> None:
        layers = self.group.layers if self.group else ()
        shown = [(layer, layer.name) for layer in layers]
        if shown != self._shown:
            self._shown = shown
            for box in self.roles:
                self.remove(box)
            self.roles = [self._role_box(layer) for layer in layers]
            for place, box in enumerate(self.roles, start=1):
                self.insert(place, box)
        self.note.value = self._notes(layers)
        self.note.visible = bool(self.note.value)
        self.edited.emit()

    def _role_box(self, layer: ImageLayer) -> ComboBox:
        box = ComboBox(label=_short(layer), choices=_ROLES, value=self.inputs.role(layer))
        box.tooltip = _told(layer)
        box.changed.connect(partial(self._choose, layer))
        return box

    def _choose(self, layer: ImageLayer, role: Role) -> None:
        self.inputs.choose(layer, role)
        self.edited.emit()

    def _notes(self, layers: tuple[ImageLayer, ...]) -> str:
        origins = [(layer, origin_of(layer)) for layer in layers]
        return "\n".join(f"{_short(layer)}: {o.note}" for layer, o in origins if o and o.note)


def _short(layer: ImageLayer) -> str:
    """Return a layer's name without its case, fit for a narrow column."""
    origin = origin_of(layer)
    name = layer.name.removeprefix(origin.case).strip(" -_") if origin else layer.name
    name = name or layer.name
    return name if len(name) <= _MOST_LETTERS else f"{name[:9]}…{name[-12:]}"


def _told(layer: ImageLayer) -> str:
    origin = origin_of(layer)
    lines = [layer.name, f"{' x '.join(map(str, layer.data.shape))} voxels"]
    if origin and origin.source:
        lines.append(str(origin.source))
    if origin and origin.note:
        lines.append(origin.note)
    return "\n".join(lines)

"""Panel section: choice of a scan, and of the role of each layer."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from napari.components import LayerList
from napari.layers import Image as ImageLayer
from psygnal import Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.layers.inputs import TITLES, Inputs, LayerGroup, groups_of, problem_with
from napari_tumorseg.viewer.layers.origin import Origin, origin_of
from napari_tumorseg.viewer.widgets.section import wrapping_label
from napari_tumorseg.viewer.widgets.spacing_row import SpacingRow

_MOST_LETTERS = 22
_ROLES = [(title, role) for role, title in TITLES.items()]


class RoleRow:
    """A layer's name and the choice of its role."""

    chosen = Signal(object, object)
    """The user gave the layer a role."""

    def __init__(self) -> None:
        self.layer: ImageLayer | None = None
        self.label = QLabel()
        self.box = ComboBox(choices=_ROLES)
        self.box.changed.connect(self._on_changed)

    def show_layer(self, layer: ImageLayer | None, inputs: Inputs) -> None:
        """Show a layer with its role, or nothing."""
        self.layer = layer
        for widget in (self.label, self.box.native):
            widget.setVisible(layer is not None)
        if layer is None:
            return
        self.label.setText(_short(layer))
        self.label.setToolTip(_tip(layer))
        self.box.tooltip = _tip(layer)
        with self.box.changed.blocked():
            self.box.value = inputs.role(layer)

    def _on_changed(self, role: Role) -> None:
        if self.layer is not None:
            self.chosen.emit(self.layer, role)


class InputSection(QWidget):
    """Shows the image layers of a scan with their roles; follows the layer list."""

    edited = Signal()
    """Another scan is chosen, or its layers or roles have changed."""

    def __init__(self, layers: LayerList) -> None:
        super().__init__()
        self._layers = layers
        self.inputs = Inputs()
        self.groups: list[LayerGroup] = []
        self._rows: list[RoleRow] = []
        self._state: tuple[object, ...] | None = None
        # choices come from a function: magicgui resets a plain list whenever the panel is docked anew
        self.scan = ComboBox(choices=self._offered, tooltip="The case that is segmented")
        self.note = wrapping_label()
        self.spacing = SpacingRow()
        self._heads = (QLabel("Layer"), QLabel("Role"))
        self._form = QFormLayout(self)
        self._form.addRow("Scan", self.scan.native)
        self._form.addRow(*self._heads)
        self._form.addRow(self.note.native)
        self._form.addRow(self.spacing)
        self.scan.changed.connect(self._show_roles)
        for event in (layers.events.inserted, layers.events.removed, layers.events.reordered):
            event.connect(self._follow)
        self._follow()

    @property
    def group(self) -> LayerGroup | None:
        """The chosen scan's layers, or None while there are none."""
        return next((group for group in self.groups if group.key == self.scan.value), None)

    @property
    def chosen(self) -> dict[ImageLayer, Role]:
        """The role of each layer of the chosen scan."""
        return self.inputs.roles(self.group) if self.group else {}

    @property
    def roles(self) -> list[ComboBox]:
        """The choices as they are shown, a box for each layer."""
        return [row.box for row in self._rows if row.layer is not None]

    @property
    def problem(self) -> str:
        """Sentence on why the choice is no scan; empty if it is one."""
        return problem_with(self.chosen)

    def refresh(self) -> None:
        """Show the roles as they are now."""
        self._show_roles()

    def detach(self) -> None:
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
        titles = [group.title for group in self.groups]
        # a list of choices takes those of one name for one
        return [
            (title if titles.count(title) == 1 else f"{title} ({titles[: i + 1].count(title)})", group.key)
            for i, (title, group) in enumerate(zip(titles, self.groups, strict=True))
        ]

    def _show_roles(self) -> None:
        layers = self.group.layers if self.group else ()
        for _ in range(len(self._rows), len(layers)):
            self._add_row()
        for head in self._heads:
            head.setVisible(bool(layers))
        for index, row in enumerate(self._rows):
            row.show_layer(layers[index] if index < len(layers) else None, self.inputs)
        self._show_notes(layers)
        brain = self.group.brain if self.group else None
        state = (id(brain), *((id(layer), layer.name, self.inputs.role(layer)) for layer in layers))
        if (
            state != self._state
        ):  # a mask that is added changes nothing here, and looking at a scan takes time
            self._state = state
            self.edited.emit()

    def _add_row(self) -> None:
        row = RoleRow()
        row.chosen.connect(self._choose)
        # rows are hidden and used again, never deleted: Qt and Python would disagree on when
        self._form.insertRow(2 + len(self._rows), row.label, row.box.native)
        self._rows.append(row)

    def _choose(self, layer: ImageLayer, role: Role) -> None:
        self.inputs.choose(layer, role)
        self._show_notes(self.group.layers if self.group else ())
        self.edited.emit()

    def _show_notes(self, layers: tuple[ImageLayer, ...]) -> None:
        self.note.value = self._notes(layers)
        self.note.visible = bool(self.note.value)

    def _notes(self, layers: tuple[ImageLayer, ...]) -> str:
        origins = [(layer, origin_of(layer)) for layer in layers]
        notes = [(layer, note) for layer, o in origins if o for note in (o.note, self._role_note(layer, o))]
        return "\n".join(f"{_short(layer)}: {note}" for layer, note in notes if note)

    def _role_note(self, layer: ImageLayer, origin: Origin) -> str:
        """Return the contested word that a role rests on, as long as it is the guessed one."""
        return origin.role_note if self.inputs.role(layer) is origin.role else ""


def _short(layer: ImageLayer) -> str:
    """Return the name of a layer's file, or of a renamed layer, without its case, for a narrow column.

    The file's name stands beside the role that was guessed from it.
    """
    origin = origin_of(layer)
    name = layer.name
    if origin:
        is_as_opened = bool(origin.name) and layer.name == f"{origin.case} {origin.role}"
        name = origin.name if is_as_opened else layer.name
        name = name.removeprefix(origin.case).strip(" -_")
    name = name or layer.name
    return name if len(name) <= _MOST_LETTERS else f"{name[:9]}…{name[-12:]}"


def _tip(layer: ImageLayer) -> str:
    origin = origin_of(layer)
    lines = [layer.name, f"{' x '.join(map(str, layer.data.shape))} voxels"]
    if origin and origin.source:
        lines.append(str(origin.source))
    if origin:
        lines += [note for note in (origin.note, origin.role_note) if note]
    return "\n".join(lines)

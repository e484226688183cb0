"""Image layers as the inputs of a run: cases and roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import WeakKeyDictionary

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.io.case import Case
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.scan import MODALITIES, Image, Role
from napari_tumorseg.viewer.layers.arrays import array_of
from napari_tumorseg.viewer.layers.from_layers import grid_of, same_voxels, to_image
from napari_tumorseg.viewer.layers.origin import is_brain, is_view, origin_of, source_of

TITLES: Mapping[Role, str] = {
    **{role: role.title for role in (*MODALITIES, Role.BRAIN_MASK)},
    Role.OTHER: "not used",
}
"""The roles that a layer can be given, as they are shown."""

ELSEWHERE = "layers from elsewhere"
FOREIGN_KEY = "elsewhere"
"""Key of the group of images that another reader or a script added."""
EVERYTHING = "all image layers"


@dataclass(frozen=True, eq=False)
class LayerGroup:
    """Image layers that belong together.

    Attributes
    ----------
    key : str
        The same for all layers of the group, also for masks.
    title : str
        Title in the panel.
    layers : tuple of Image layers
        In the order of the layer list.
    roles : mapping of Image layer to Role
        Roles in the run that made a mask; empty where the present roles count.
    brain : Labels layer or None
        Brain mask that a preparation made for the case, corrected since or not.
    """

    key: str
    title: str
    layers: tuple[ImageLayer, ...]
    roles: Mapping[ImageLayer, Role] = field(default_factory=dict)
    brain: LabelsLayer | None = None


class Inputs:
    """Roles of the layers of one viewer: those that the user chose, else guesses."""

    def __init__(self) -> None:
        self._chosen: WeakKeyDictionary[Layer, Role] = WeakKeyDictionary()

    def role(self, layer: ImageLayer) -> Role:
        """Return the role that the user chose for a layer, else the one of its reader or name."""
        chosen = self._chosen.get(layer)
        return chosen if chosen is not None else guessed_role(layer)

    def choose(self, layer: ImageLayer, role: Role) -> None:
        """Keep the user's choice."""
        self._chosen[layer] = role

    def roles(self, group: LayerGroup) -> dict[ImageLayer, Role]:
        """Return the role of every layer of a group."""
        return dict(group.roles) or {layer: self.role(layer) for layer in group.layers}

    def group_of(self, layer: Layer, layers: Sequence[Layer]) -> LayerGroup | None:
        """Return the images among `layers` that a mask belongs to, if they make a scan.

        For a model's result, these are the images that it was made from, with the roles of that run.
        """
        made_from = images_of(layer, layers)
        return made_from or group_of(layer, [g for g in groups_of(layers) if not problem_with(self.roles(g))])


def usable(layer: Layer) -> bool:
    """Return whether a layer can be a channel: an image of two or three axes that is no view of others."""
    is_image = isinstance(layer, ImageLayer) and layer.ndim in (2, 3) and not layer.multiscale
    return is_image and not is_view(layer)


def guessed_role(layer: ImageLayer) -> Role:
    """Return the role that a layer's reader or its name states."""
    origin = origin_of(layer)
    role = origin.role if origin else guess_role(layer.name)
    return role if role in TITLES else Role.OTHER


def groups_of(layers: Sequence[Layer]) -> list[LayerGroup]:
    """Return the cases that lie in a viewer, the last one opened first, and all layers as the last choice."""
    found: dict[str, list[ImageLayer]] = {}
    for layer in layers:
        if usable(layer):
            assert isinstance(layer, ImageLayer)
            origin = origin_of(layer)
            found.setdefault(origin.group if origin else FOREIGN_KEY, []).append(layer)
    titles = {key: _title(key, members) for key, members in found.items()}
    groups = [
        LayerGroup(key, titles[key], tuple(members), brain=_brain_of(key, layers))
        for key, members in reversed(found.items())
    ]
    if len(groups) > 1:
        everything = tuple(layer for members in found.values() for layer in members)
        groups.append(LayerGroup("*", EVERYTHING, everything))
    return groups


def images_of(layer: Layer, layers: Sequence[Layer]) -> LayerGroup | None:
    """Return the images that a result was made from; None if it is no result or one of them was removed."""
    origin = origin_of(layer)
    if origin is None or not origin.images:
        return None
    roles = {
        image: origin.images[str(image.unique_id)]
        for image in layers
        if isinstance(image, ImageLayer) and str(image.unique_id) in origin.images
    }
    if len(roles) < len(origin.images):
        return None
    return LayerGroup(origin.group, origin.case, tuple(roles), roles, _brain_of(origin.group, layers))


def group_of(layer: Layer, groups: Sequence[LayerGroup]) -> LayerGroup | None:
    """Return the case of a mask: the one it was made for, else the first one on whose voxels it lies."""
    origin = origin_of(layer)
    own = next((group for group in groups if origin is not None and group.key == origin.group), None)
    return own or next((group for group in groups if _lies_on(layer, group)), None)


def members_of(group: LayerGroup, layers: Sequence[Layer]) -> list[Layer]:
    """Return the images of a case and the masks that belong to it, be they drawn or opened by themselves."""
    masks = [x for x in layers if isinstance(x, LabelsLayer) and x.ndim == 3 and not is_view(x)]
    cases = [(mask, group_of(mask, groups_of(layers))) for mask in masks]
    brain = [group.brain] if group.brain is not None else []
    return [
        *group.layers,
        *brain,
        *(mask for mask, own in cases if own and set(own.layers) <= set(group.layers)),
    ]


def problem_with(roles: Mapping[ImageLayer, Role]) -> str:
    """Return what keeps these roles from being a scan, in a sentence; empty if nothing does."""
    if not roles:
        return "There is no image layer. Open a scan, or a sample under File > Open Sample."
    for role in (*MODALITIES, Role.BRAIN_MASK):
        names = [layer.name for layer, taken in roles.items() if taken is role]
        if len(names) > 1:
            return f"{_listed(names)} are both {TITLES[role]}: set one of them to something else."
    if not any(role in MODALITIES for role in roles.values()):
        return "Say which layer is FLAIR, T1, T1c or T2."
    return ""


INPUT_ROLES = (*MODALITIES, Role.BRAIN_MASK)
"""Roles of images that a run reads."""


def case_of(group: LayerGroup, roles: Mapping[ImageLayer, Role], native: bool = False) -> Case:
    """Return the layers that are used as a case: views of their data, nothing is computed yet.

    Parameters
    ----------
    group : LayerGroup
        The layers, and the brain mask that a preparation made for them.
    roles : mapping of Image layer to Role
        What each layer is.
    native : bool
        Whether images that layers show resampled are taken as their files hold them.
    """
    images = tuple(_image_of(layer, role, native) for layer, role in roles.items() if role in MODALITIES)
    given = next((layer for layer, role in roles.items() if role is Role.BRAIN_MASK), None)
    brain = to_image(given, Role.BRAIN_MASK) if given is not None else _brain_image(group.brain)
    return Case(name=case_name(group), images=images, brain_mask=brain, layout="viewer layers")


def _image_of(layer: ImageLayer, role: Role, native: bool) -> Image:
    shown, origin = to_image(layer, role), origin_of(layer)
    # a layer that was moved in napari lies where it was moved to
    if not native or origin is None or origin.native is None or shown.grid is not origin.grid:
        return shown
    return replace(origin.native, role=role)


def _brain_image(layer: LabelsLayer | None) -> Image | None:
    if layer is None:
        return None
    return Image(layer.name, Role.BRAIN_MASK, array_of(layer) > 0, grid_of(layer))


def _brain_of(group: str, layers: Sequence[Layer]) -> LabelsLayer | None:
    """Return the last brain mask that a preparation made for a case."""
    found = [x for x in layers if is_brain(x) and (origin := origin_of(x)) and origin.group == group]
    return found[-1] if found else None


def case_name(group: LayerGroup) -> str:
    """Return the name under which results of a group are kept."""
    origins = [origin for origin in map(origin_of, group.layers) if origin]
    return origins[0].case if origins else group.layers[0].name


def folder_of(group: LayerGroup) -> Path | None:
    """Return the folder that the files of a group come from."""
    sources = [source for source in map(source_of, group.layers) if source]
    return sources[0].parent if sources else None


def _lies_on(layer: Layer, group: LayerGroup) -> bool:
    scan = None if origin_of(layer) else same_voxels(layer, group.layers)
    grid = scan.grid if scan else grid_of(layer)
    return any(grid.same_space(grid_of(image)) for image in group.layers if not image.rgb)


def _title(key: str, members: Sequence[ImageLayer]) -> str:
    origin = origin_of(members[0])
    return origin.case if origin else ELSEWHERE


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1]

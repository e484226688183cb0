"""Inputs and outputs of an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted, some
from napari_tumorseg.models.onnx.protobuf import View, fields, signed

FLOAT = 1
"""ONNX' number for float32."""


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Attributes
    ----------
    name : str
        Its name.
    kind : int
        ONNX' number of the type of its elements; 0 if it is no tensor.
    shape : tuple of int or None
        Sides; None for one that is not fixed.
    """

    name: str
    kind: int = 0
    shape: tuple[int | None, ...] = ()

    def words(self) -> str:
        """Return name and shape for a sentence."""
        return f"{quoted(self.name)} ({', '.join('?' if side is None else str(side) for side in self.shape)})"


def port_of(message: View) -> Port:
    """Return an input or output from its message."""
    name, found = "", Port("")
    for part in fields(message):
        if part.number == 1:
            name = part.text
        elif part.number == 2:
            for kind in fields(part.content):
                if kind.number == 1:
                    found = _tensor_type(kind.content)
    return Port(name, found.kind, found.shape)


def _tensor_type(message: View) -> Port:
    kind, shape = 0, tuple[int | None, ...]()
    for part in fields(message):
        if part.number == 1:
            kind = part.integer
        elif part.number == 2:
            shape = tuple(_side(side.content) for side in fields(part.content) if side.number == 1)
    return Port("", kind, shape)


def _side(message: View) -> int | None:
    """Return a fixed side, or None for one that is named or left open."""
    values = [signed(part.integer) for part in fields(message) if part.number == 1]
    return values[-1] if values and values[-1] > 0 else None


def single_ports(inputs: Sequence[Port], outputs: Sequence[Port], output: str = "") -> tuple[Port, Port]:
    """Return the image that goes in and the result.

    Parameters
    ----------
    inputs, outputs : sequence of Port
        Of a graph.
    output : str
        Name of the result to take, where there are several.

    Raises
    ------
    ModelError
        If there are several inputs, or several outputs and none is named, or they are no float32 images.
    """
    if len(inputs) != 1:
        raise ModelError(f"takes {len(inputs)} inputs ({_names(inputs)}), and one is given")
    named = [port for port in outputs if port.name == output] if output else list(outputs)
    if len(named) != 1:
        raise ModelError(f"gives {len(outputs)} outputs ({_names(outputs)}); its card must name one of them")
    return _image(inputs[0], "takes"), _image(named[0], "gives")


def _image(port: Port, verb: str) -> Port:
    if port.kind != FLOAT:
        raise ModelError(f"{verb} {port.words()} in another type than float32")
    if len(port.shape) not in (4, 5):
        raise ModelError(f"{verb} {port.words()}, and images have 4 axes or 5: batch, channels and sides")
    return port


def _names(ports: Sequence[Port]) -> str:
    return some([port.name for port in ports]) if ports else "none"

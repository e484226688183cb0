"""ONNX files: what they take and give, read and checked before any library sees them.

The checks need nothing but the bytes of the file, whose layout is that of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. One with data elsewhere, operators of other libraries,
loops or sizes that it does not hold is refused in a sentence and never reaches the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted
from napari_tumorseg.models.onnx.operators import OPERATORS
from napari_tumorseg.models.onnx.ports import Port, port_of
from napari_tumorseg.models.onnx.protobuf import Field, View, fields
from napari_tumorseg.models.onnx.tensors import check_attribute, check_tensor

MAX_BYTES = (2 << 30) - 1
"""No message of Protocol Buffers may be longer; larger models keep their weights in other files."""

MAX_NODES = 20_000
"""The largest published segmentation networks have some thousand."""

MAX_TEXT = 1 << 20
"""Bytes of one entry of metadata."""


@dataclass(frozen=True)
class OnnxFile:
    """Contents of an ONNX file that passed all checks.

    Attributes
    ----------
    content : bytes
        The whole file, as the runtime gets it.
    inputs, outputs : tuple of Port
        Images that go in (without the weights, which old files list as inputs, too) and results.
    operators : frozenset of str
        Operators of its graph.
    last : dict of str to str
        By output, the last operator that computes something.
    opset : int
        Version of ONNX' own operators.
    metadata : dict of str to str
        Entries that its writer added.
    producer : str
        Program that wrote it.
    """

    content: bytes = field(repr=False)
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: frozenset[str]
    last: Mapping[str, str]
    opset: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    producer: str = ""


def read_onnx(path: Path) -> OnnxFile:
    """Read an ONNX file whole and check it.

    Raises
    ------
    ModelError
        If it is damaged, larger than ONNX allows, or holds anything that is not run here; one sentence that
        names the file.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ModelError(f"{path.name}: more than 2 GiB, which no ONNX file can have")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read ({error.strerror or error})") from error
    return check_onnx(content, path.name)


def check_onnx(content: bytes, name: str) -> OnnxFile:
    """Check the bytes of an ONNX file.

    Parameters
    ----------
    content : bytes
        All of them.
    name : str
        Name of the file, for the message.

    Raises
    ------
    ModelError
        As `read_onnx`.
    """
    if not content:
        raise ModelError(f"{name}: the file is empty; copy or download it again")
    try:
        return _Reader(content).read()
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except ValueError as error:
        raise ModelError(f"{name}: damaged or no ONNX file ({error})") from error


class _Reader:
    """One pass over the messages of a file, each checked where it stands."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._metadata: dict[str, str] = {}
        self._operators: set[str] = set()
        self._made_by: dict[str, tuple[str, str]] = {}  # operator and first input, by result
        self._weights: set[str] = set()
        self._ports: dict[int, list[Port]] = {_GRAPH_INPUT: [], _GRAPH_OUTPUT: []}
        self._nodes = self._opset = self._graphs = 0
        self._producer = ""

    def read(self) -> OnnxFile:
        """Return the file's contents."""
        self._each(memoryview(self._content), self._model_fields)
        if self._graphs != 1 or not self._opset:
            raise ModelError("not an ONNX model: it holds no graph or does not state its operators' version")
        inputs = tuple(port for port in self._ports[_GRAPH_INPUT] if port.name not in self._weights)
        return OnnxFile(
            self._content,
            inputs,
            tuple(self._ports[_GRAPH_OUTPUT]),
            frozenset(self._operators),
            {port.name: self._last(port.name) for port in self._ports[_GRAPH_OUTPUT]},
            self._opset,
            self._metadata,
            self._producer,
        )

    def _last(self, name: str) -> str:
        """Return the operator that computes a result; those that only pass it on are gone through."""
        operator = ""
        for _ in range(_MOST_PASSES):
            operator, name = self._made_by.get(name, ("", ""))
            if operator not in _PASSING:
                break
        return operator

    @staticmethod
    def _each(message: View, readers: Mapping[int, Callable[[Field], None]]) -> None:
        """Hand each field of a message to its reader; fields without one hold names and remarks."""
        for found in fields(message):
            reader = readers.get(found.number)
            if reader is not None:
                reader(found)

    @property
    def _model_fields(self) -> dict[int, Callable[[Field], None]]:
        return {
            2: self._read_producer,
            7: self._read_graph,
            8: self._read_opset,
            14: self._read_metadata,
            20: _refusal("a training procedure; only networks for inference are run"),
            25: _refusal("functions of its own; write it again with them inlined"),
        }

    def _read_producer(self, found: Field) -> None:
        self._producer = _text(found)[:80]

    def _read_opset(self, found: Field) -> None:
        domain, version = "", 0
        for part in fields(found.content):
            if part.number == 1:
                domain = part.text
            elif part.number == 2:
                version = part.integer
        # some writers list domains that they do not use, so a node decides
        if domain in _STANDARD:
            self._opset = version

    def _read_metadata(self, found: Field) -> None:
        entry = {part.number: _text(part) for part in fields(found.content)}
        self._metadata[entry.get(1, "")] = entry.get(2, "")

    def _read_graph(self, found: Field) -> None:
        self._graphs += 1
        for part in fields(found.content):
            if part.number == 1:
                self._read_node(part.content)
            elif part.number == 5:
                self._weights.add(check_tensor(part.content))
            elif part.number in self._ports:
                self._ports[part.number].append(port_of(part.content))
            elif part.number == 15:
                raise ModelError("holds sparse weights, which are not run here")

    def _read_node(self, message: View) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ModelError(f"has more than {MAX_NODES} operators; it is damaged or hostile")
        operator = domain = ""
        names: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: []}
        for part in fields(message):
            if part.number in names:
                names[part.number].append(part.text)
            elif part.number == 4:
                operator = part.text
            elif part.number == 7:
                domain = part.text
            elif part.number == 5:
                check_attribute(part.content)
        if domain not in _STANDARD:
            raise ModelError(
                f"needs the operator {quoted(operator)} of {quoted(domain)}, and only ONNX' own are run"
            )
        if operator not in OPERATORS:
            raise ModelError(f"needs the operator {quoted(operator)}, which is not one of those that are run")
        self._operators.add(operator)
        given = (*names[_NODE_INPUT], "")[0]
        self._made_by.update((result, (operator, given)) for result in names[_NODE_OUTPUT])


_STANDARD = ("", "ai.onnx")
_GRAPH_INPUT, _GRAPH_OUTPUT = 11, 12
_NODE_INPUT, _NODE_OUTPUT = 1, 2

_PASSING = ("Identity", "Transpose", "Cast")
_MOST_PASSES = 10
"""A cycle of such operators is left after this many."""


def _refusal(reason: str) -> Callable[[Field], None]:
    def refuse(found: Field) -> None:
        raise ModelError(f"holds {reason}")

    return refuse


def _text(found: Field) -> str:
    if len(found.content) > MAX_TEXT:
        raise ModelError("holds an entry of metadata of more than 1 MiB; it is damaged or hostile")
    return found.text

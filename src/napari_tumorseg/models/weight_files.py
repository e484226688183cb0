"""Files of weights: read so that none can do harm, written whole or not at all.

`.safetensors` holds nothing but numbers. `.pt` and `.pth` are pickles, which can run code: those that
hold anything besides tensors and plain values are refused before they are opened as such.
"""

from __future__ import annotations

import hashlib
import json
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_tumorseg.errors import ModelError, OutputError
from napari_tumorseg.io.atomic import atomic_path
from napari_tumorseg.models.messages import one_line, quoted

State: TypeAlias = dict[str, Tensor]

SUFFIXES = (".safetensors", ".pt", ".pth")
"""Endings of the files that can be read as weights."""

MAX_HEADER_BYTES = 4 << 20
"""A network has some hundred tensors of about 100 bytes of header each."""

_SAFE_TORCH = (2, 10)
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "net.", "model.")

# What a pickled state dict consists of. Narrower than torch's own list, which has `bytearray`: a few
# bytes of pickle that fill all memory.
_PLAIN_GLOBALS = re.compile(
    r"(collections (OrderedDict|Counter)"
    r"|torch (\w+Storage|Size|device|float\d+|bfloat16|int\d+|uint8|bool)"
    r"|torch\.storage (Typed|Untyped)Storage"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch\.nn\.parameter Parameter"
    r"|torch\.serialization _get_layout"
    r"|(builtins|__builtin__) (set|complex)"
    r"|_codecs encode)"
)


_NUMPY_GLOBALS = re.compile(
    r"numpy(\._core|\.core)?\.multiarray scalar|numpy dtype|numpy\.dtypes (Float|Int)(32|64)DType"
)
"""Makers of single NumPy numbers, which logs of trainings hold."""


def load_checkpoint(path: Path, key: str) -> tuple[State, Mapping[str, Any]]:
    """Read a checkpoint that holds more than weights: the weights under `key`, and all the rest.

    Besides tensors and plain values it may hold single NumPy numbers; nothing in it is run.

    Raises
    ------
    ModelError
        As `load_state_dict`, or if it holds no weights under that key.
    """
    with about(path):
        size = _file_size(path)
        content = _read_pickle(path, size, numbers=True)
        if not isinstance(content, Mapping) or not isinstance(content.get(key), Mapping):
            raise ModelError(f"holds no {quoted(key)}")
        state = _without_prefixes(content[key])
        for name, tensor in state.items():
            _check_tensor(name, tensor, size)
        return state, {name: value for name, value in content.items() if name != key}


def load_state_dict(path: Path) -> State:
    """Read the weights in a file, whatever their layout, with wrappers and prefixes taken off.

    Nothing in the file is run, and no more memory is taken than the file is large.

    Parameters
    ----------
    path : Path
        A `.safetensors`, `.pt` or `.pth` file; a dict of tensors, or one that has it under
        `state_dict`, `model_state_dict` or `model`.

    Raises
    ------
    ModelError
        If the file holds anything but finite weights, is damaged or could run code.
    """
    with about(path):
        size = _file_size(path)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ModelError(f"weights are read from {', '.join(SUFFIXES)} files only")
        content = _read_safetensors(path, size) if suffix == ".safetensors" else _read_pickle(path, size)
        state = _without_prefixes(_unwrapped(content))
        for name, tensor in state.items():
            _check_tensor(name, tensor, size)
        return state


def save_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """Write weights as safetensors; a file that was there is replaced only once the new one is whole.

    Parameters
    ----------
    state : mapping of str to Tensor
        For example `net.state_dict()`; tensors may lie on any device.
    path : Path
        Ends in `.safetensors`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    if path.suffix.lower() != ".safetensors":
        raise OutputError(f"weights are written as .safetensors, so {path.name} needs that ending")
    # copies, since safetensors refuses views and tensors that share memory
    tensors = {
        name: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, t in state.items()
    }
    with atomic_path(path, overwrite=True) as temporary:
        try:
            save_file(tensors, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OutputError(f"{path} could not be written: {one_line(error)}") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, by which a model is known.

    Raises
    ------
    ModelError
        If the file cannot be read.
    """
    with about(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Begin every sentence with the file's name."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}") from error
    except OSError as error:
        raise ModelError(f"{path.name}: cannot be read ({error.strerror or error})") from error


def _file_size(path: Path) -> int:
    if not path.exists():
        raise ModelError(f"there is no such file in {path.parent}")
    if not path.is_file():
        raise ModelError("not a file")
    size = path.stat().st_size
    if size == 0:
        raise ModelError("the file is empty; copy or download it again")
    return size


def _read_safetensors(path: Path, size: int) -> State:
    with path.open("rb") as file:
        _check_safetensors_header(file, size)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise ModelError(f"not a valid safetensors file ({one_line(error)})") from error


def _check_safetensors_header(file: IO[bytes], size: int) -> None:
    """Compare what the header claims with the size of the file, before any of it is believed."""
    prefix = file.read(8)
    if len(prefix) < 8:
        raise ModelError(f"too short for a safetensors file ({size} bytes); copy or download it again")
    (length,) = struct.unpack("<Q", prefix)
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise ModelError(f"declares a header of {length} bytes in a file of {size}; it is damaged or hostile")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError) as error:
        raise ModelError("its safetensors header cannot be read; it is damaged or another format") from error
    if not isinstance(header, dict):
        raise ModelError("its safetensors header is no table of tensors")
    for name, entry in header.items():
        if name != "__metadata__" and not _lies_within(entry, size - 8 - length):
            raise ModelError(f"tensor {quoted(name)} is not all in the file; it is cut short or hostile")


def _lies_within(entry: object, size: int) -> bool:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        return False
    return bool(0 <= offsets[0] <= offsets[1] <= size)


def _read_pickle(path: Path, size: int, numbers: bool = False) -> object:
    """Read a pickle of tensors and plain values; with `numbers`, of single NumPy numbers, too."""
    _check_torch_version()
    zipped = _is_zip(path)
    # Damaged and hostile files fail in a dozen ways in these libraries; each means the same to a user.
    try:
        _check_zip(path, numbers) if zipped else _check_legacy_pickle(path)
        with torch.serialization.safe_globals(_numpy_makers() if numbers else []):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (ModelError, OSError):
        raise
    except Exception as error:
        # torch's own words advise to switch the protection off, so they are not passed on
        raise ModelError(
            "damaged or not PyTorch weights; copy or download it again, or ask for a .safetensors file"
        ) from error


def _numpy_makers() -> list[Any]:
    """Return what `_NUMPY_GLOBALS` names, under the names of NumPy 1 and 2."""
    scalar = np.float64(0).__reduce__()[0]
    numbers = [np.dtype, *(type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8"))]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), *numbers]


def _check_torch_version() -> None:
    found = re.match(r"(\d+)\.(\d+)", torch.__version__)
    if found is None or tuple(map(int, found.groups())) < _SAFE_TORCH:
        raise ModelError(
            f"torch {torch.__version__} cannot open .pt files safely; "
            f"install torch >= {'.'.join(map(str, _SAFE_TORCH))} or use a .safetensors file"
        )


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _check_zip(path: Path, numbers: bool = False) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            # torch stores; what is compressed could be a bomb
            if member.compress_type != zipfile.ZIP_STORED:
                raise ModelError("a compressed archive, as PyTorch writes none")
            if member.filename.endswith("/constants.pkl"):
                raise ModelError("a TorchScript program, not weights; ask its author for a .safetensors file")
            if member.filename.endswith("data.pkl"):
                with archive.open(member) as file:
                    _check_pickle(file, numbers)


def _check_legacy_pickle(path: Path) -> None:
    """Check the five pickles that stand before the numbers in files of torch < 1.6."""
    with path.open("rb") as file:
        for _ in range(5):
            _check_pickle(file)


def _check_pickle(file: IO[bytes], numbers: bool = False) -> None:
    """Read a pickle's instructions without following them, and refuse what is no plain value."""
    recent: list[str] = []  # the strings from which STACK_GLOBAL takes its name
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("GLOBAL", "INST") and not _is_plain(str(argument), numbers):
            raise _runs_code(str(argument).replace(" ", "."))
        if opcode.name == "STACK_GLOBAL":
            raise _runs_code(".".join(recent[-2:]))
        if isinstance(argument, str):
            recent = [*recent[-1:], argument]


def _is_plain(name: str, numbers: bool) -> bool:
    if _PLAIN_GLOBALS.fullmatch(name):
        return True
    return numbers and _NUMPY_GLOBALS.fullmatch(name) is not None


def _runs_code(name: str) -> ModelError:
    return ModelError(
        f"holds more than weights ({quoted(name)}), and opening such a file can run code, so it was not "
        "opened; ask its author for a .safetensors file"
    )


def _unwrapped(content: object) -> Mapping[Any, Any]:
    for _ in range(len(_WRAPPERS)):
        inner = next((v for v in map(_getter(content), _WRAPPERS) if isinstance(v, Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise ModelError("holds no weights")
    return content


def _getter(content: object) -> Callable[[str], object]:
    return content.get if isinstance(content, Mapping) else lambda name: None


def _without_prefixes(content: Mapping[Any, Any]) -> State:
    """Take off the prefixes that DataParallel, `torch.compile` and Lightning modules leave."""
    state: State = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ModelError(f"entry {quoted(key)} is no tensor; only weights are read")
        name = key
        while found := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
            name = name.removeprefix(found)
        if name in state:
            raise ModelError(f"holds two tensors for {quoted(name)}; save one network alone")
        state[name] = value
    return state


def _check_tensor(name: str, tensor: Tensor, file_size: int) -> None:
    if tensor.dtype not in _DTYPES or tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise ModelError(f"tensor {quoted(name)} is of a kind that no weight has ({tensor.dtype})")
    # a view that repeats one number, or memory that the file asks for but does not fill
    if tensor.numel() * tensor.element_size() > file_size:
        raise ModelError(f"tensor {quoted(name)} claims more memory than the file has bytes")
    if not torch.isfinite(tensor).all():
        raise ModelError(f"weights {quoted(name)} have NaN or infinite values; the training went wrong")

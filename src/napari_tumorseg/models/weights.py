"""Weights of a network: read so that no file can do harm, written whole or not at all.

`.safetensors` holds nothing but numbers. `.pt` and `.pth` are pickles, which can run code: those that
hold anything besides tensors and plain values are refused before they are opened as such. Weights
come in a few layouts of names; all are translated into that of `UNet`.
"""

from __future__ import annotations

import hashlib
import json
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_tumorseg.errors import ModelError, OutputError
from napari_tumorseg.io.atomic import atomic_path
from napari_tumorseg.models.unet import UNet

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

_OWN = re.compile(
    r"((encoder|decoder)\.\d{1,3}|bottleneck)\.(conv|norm|post_norm)[12]\.\w+|up\.\d{1,3}\.\w+|head\.\w+",
    re.ASCII,
)
_HUB = re.compile(
    r"(?P<side>encoder|decoder)(?P<level>\d{1,3})\.(?:enc|dec)(?P=level)(?P<layer>(?:conv|norm)[12])\.(?P<rest>\w+)"
    r"|bottleneck\.bottleneck(?P<low_layer>(?:conv|norm)[12])\.(?P<low_rest>\w+)"
    r"|upconv(?P<up>\d{1,3})\.(?P<up_rest>\w+)"
    r"|conv\.(?P<head>\w+)",
    re.ASCII,
)
_DCONV = re.compile(
    r"dconv_(?P<side>down|up)(?P<level>\d{1,3})\.(?:double_conv\.)?(?P<index>\d{1,3})\.(?P<rest>\w+)"
    r"|conv_last\.(?P<head>\w+)",
    re.ASCII,
)


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
    with _about(path):
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
            raise OutputError(f"{path} could not be written: {_one_line(error)}") from error


def to_unet_layout(state: Mapping[str, Tensor]) -> State:
    """Translate names into those of `UNet`.

    Known are, besides `UNet`'s own, torch.hub's U-Net (`encoder1.enc1conv1.weight`) and the one with
    `dconv_down1.double_conv.0.weight`, also without the `double_conv`.

    Raises
    ------
    ModelError
        If the layout is unknown; the sentence names the first few keys.
    """
    layouts: tuple[tuple[re.Pattern[str], Callable[[Mapping[str, Tensor]], State]], ...] = (
        (_OWN, dict),
        (_HUB, _from_hub),
        (_DCONV, _from_dconv),
    )
    for pattern, translate in layouts:
        strangers = [name for name in state if not pattern.fullmatch(name)]
        if state and not strangers:
            return translate(state)
        if len(strangers) < len(state):
            raise ModelError(f"some of its keys belong to no known U-Net: {_some(strangers)}")
    raise ModelError(f"weights of no known layout (keys: {_some(state) or 'none'}); a U-Net is needed")


def infer_unet_arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of the `UNet` that weights were trained in, as far as they tell.

    Channels, biases, norms, their order and the upsampling show in the weights. Dropout, which does
    nothing at inference, and `norm_eps` do not: these keep their defaults.

    Parameters
    ----------
    state : mapping of str to Tensor
        In any layout that `to_unet_layout` knows.

    Raises
    ------
    ModelError
        If the weights are those of no such network.
    """
    state = to_unet_layout(state)
    levels = len({name.split(".")[1] for name in state if name.startswith("encoder.")})
    if levels == 0:
        raise ModelError("a U-Net without an encoder")
    first = _conv_shape(state, "encoder.0.conv1.weight")
    post, plain = (any(f".{kind}" in name for name in state) for kind in ("post_norm", "norm"))
    return {
        "in_channels": first[1],
        "out_channels": _conv_shape(state, "head.weight")[0],
        "widths": [_conv_shape(state, f"encoder.{i}.conv1.weight")[0] for i in range(levels)],
        "bottleneck": _conv_shape(state, "bottleneck.conv1.weight")[0],
        "conv_bias": "encoder.0.conv1.bias" in state,
        "order": "conv-relu-norm" if post else "conv-norm-relu" if plain else "conv-relu",
        "encoder_norm": _norms_of(state, "encoder.0"),
        "bottleneck_norm": _norms_of(state, "bottleneck"),
        "decoder_norm": _norms_of(state, "decoder.0"),
        "upsampling": "transposed" if "up.0.weight" in state else "bilinear",
    }


def load_unet(path: Path, arguments: Mapping[str, Any] | None = None) -> UNet:
    """Return the network that a file holds, in eval mode and float32.

    Parameters
    ----------
    path : Path
        Weights in any layout that `to_unet_layout` knows.
    arguments : mapping, optional
        Those of `UNet`, from a model card; by default what `infer_unet_arguments` finds.

    Raises
    ------
    ModelError
        If the file cannot be read safely or its weights are not those of the network, name for name
        and shape for shape; the sentence has the file's name and the first mismatches.
    """
    state = load_state_dict(path)
    with _about(path):
        state = to_unet_layout(state)
        net = _skeleton(infer_unet_arguments(state) if arguments is None else arguments)
        _add_batch_counters(state, net)
        _check_fit(state, net)
        net.load_state_dict({name: _as_float32(name, t) for name, t in state.items()}, assign=True)
        return net.eval()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, by which a model is known.

    Raises
    ------
    ModelError
        If the file cannot be read.
    """
    with _about(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- reading files


@contextmanager
def _about(path: Path) -> Iterator[None]:
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
        raise ModelError(f"not a valid safetensors file ({_one_line(error)})") from error


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
            raise ModelError(f"tensor {_quoted(name)} is not all in the file; it is cut short or hostile")


def _lies_within(entry: object, size: int) -> bool:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int]:
        return False
    return bool(0 <= offsets[0] <= offsets[1] <= size)


def _read_pickle(path: Path, size: int) -> object:
    _check_torch_version()
    zipped = _is_zip(path)
    # Damaged and hostile files fail in a dozen ways in these libraries; each means the same to a user.
    try:
        _check_zip(path) if zipped else _check_legacy_pickle(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except (ModelError, OSError):
        raise
    except Exception as error:
        # torch's own words advise to switch the protection off, so they are not passed on
        raise ModelError(
            "damaged or not PyTorch weights; copy or download it again, or ask for a .safetensors file"
        ) from error


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


def _check_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            # torch stores; what is compressed could be a bomb
            if member.compress_type != zipfile.ZIP_STORED:
                raise ModelError("a compressed archive, as PyTorch writes none")
            if member.filename.endswith("/constants.pkl"):
                raise ModelError("a TorchScript program, not weights; ask its author for a .safetensors file")
            if member.filename.endswith("data.pkl"):
                with archive.open(member) as file:
                    _check_pickle(file)


def _check_legacy_pickle(path: Path) -> None:
    """Check the five pickles that stand before the numbers in files of torch < 1.6."""
    with path.open("rb") as file:
        for _ in range(5):
            _check_pickle(file)


def _check_pickle(file: IO[bytes]) -> None:
    """Read a pickle's instructions without following them, and refuse what is no plain value."""
    recent: list[str] = []  # the strings from which STACK_GLOBAL takes its name
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("GLOBAL", "INST") and not _PLAIN_GLOBALS.fullmatch(str(argument)):
            raise _runs_code(str(argument).replace(" ", "."))
        if opcode.name == "STACK_GLOBAL":
            raise _runs_code(".".join(recent[-2:]))
        if isinstance(argument, str):
            recent = [*recent[-1:], argument]


def _runs_code(name: str) -> ModelError:
    return ModelError(
        f"holds more than weights ({_quoted(name)}), and opening such a file can run code, so it was not "
        "opened; ask its author for a .safetensors file"
    )


# ---------------------------------------------------------------- what a file may hold


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
            raise ModelError(f"entry {_quoted(key)} is no tensor; only weights are read")
        name = key
        while found := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
            name = name.removeprefix(found)
        if name in state:
            raise ModelError(f"holds two tensors for {_quoted(name)}; save one network alone")
        state[name] = value
    return state


def _check_tensor(name: str, tensor: Tensor, file_size: int) -> None:
    if tensor.dtype not in _DTYPES or tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise ModelError(f"tensor {_quoted(name)} is of a kind that no weight has ({tensor.dtype})")
    # a view that repeats one number, or memory that the file asks for but does not fill
    if tensor.numel() * tensor.element_size() > file_size:
        raise ModelError(f"tensor {_quoted(name)} claims more memory than the file has bytes")
    if not torch.isfinite(tensor).all():
        raise ModelError(f"weights {_quoted(name)} have NaN or infinite values; the training went wrong")


# ---------------------------------------------------------------- layouts


def _from_hub(state: Mapping[str, Tensor]) -> State:
    return {_hub_name(name): tensor for name, tensor in state.items()}


def _hub_name(name: str) -> str:
    found = _HUB.fullmatch(name)
    assert found is not None  # the layout was chosen by this pattern
    if found["side"]:
        return f"{found['side']}.{int(found['level']) - 1}.{found['layer']}.{found['rest']}"
    if found["low_layer"]:
        return f"bottleneck.{found['low_layer']}.{found['low_rest']}"
    if found["up"]:
        return f"up.{int(found['up']) - 1}.{found['up_rest']}"
    return f"head.{found['head']}"


def _from_dconv(state: Mapping[str, Tensor]) -> State:
    """Translate blocks that are `Sequential`: what a layer is shows in its index and its weight."""
    layers = _dconv_layers(state)
    lowest = max((level for side, level in layers if side == "down"), default=0)
    translated: State = {}
    for name, tensor in state.items():
        found = _DCONV.fullmatch(name)
        assert found is not None  # the layout was chosen by this pattern
        if found["head"]:
            translated[f"head.{found['head']}"] = tensor
            continue
        side, level = found["side"], int(found["level"])
        block = "bottleneck" if (side, level) == ("down", lowest) else f"{_SIDES[side]}.{level - 1}"
        layer = layers[side, level].get(int(found["index"]))
        if layer is None:
            raise ModelError(f"layer {_quoted(name)} stands where this layout has none")
        translated[f"{block}.{layer}.{found['rest']}"] = tensor
    return translated


_SIDES = {"down": "encoder", "up": "decoder"}


def _dconv_layers(state: Mapping[str, Tensor]) -> dict[tuple[str, int], dict[int, str]]:
    """Return for each block what stands at which index of its `Sequential`."""
    ranks: dict[tuple[str, int], dict[int, int]] = {}
    for name, tensor in state.items():
        found = _DCONV.fullmatch(name)
        if found and found["side"]:
            rank = ranks.setdefault((found["side"], int(found["level"])), {})
            if found["rest"] == "weight":
                rank[int(found["index"])] = tensor.ndim
    return {block: _layer_names(rank) for block, rank in ranks.items()}


def _layer_names(ranks: Mapping[int, int]) -> dict[int, str]:
    """Name layers by index: a norm next to its convolution precedes the ReLU, the one after follows it."""
    names: dict[int, str] = {}
    conv, number = None, 0
    for index in sorted(ranks):
        if ranks[index] == 4:
            conv, number = index, number + 1
            names[index] = f"conv{number}"
        elif conv is not None and index - conv in (1, 2):
            names[index] = f"{'norm' if index - conv == 1 else 'post_norm'}{number}"
    return names if number == 2 else {}


# ---------------------------------------------------------------- fitting weights into a network


def _conv_shape(state: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in state:
        raise ModelError(f"a U-Net without {_quoted(name)}")
    if state[name].ndim != 4:
        raise ModelError(
            f"{_quoted(name)} has shape {tuple(state[name].shape)}, which no 2-D convolution has"
        )
    return state[name].shape


def _norms_of(state: Mapping[str, Tensor], block: str) -> str:
    first, second = (
        any(f"{block}.{kind}{number}.weight" in state for kind in ("norm", "post_norm")) for number in (1, 2)
    )
    if second and not first:
        raise ModelError(f"{block} has a norm after its second convolution only, which is not supported")
    return "both" if second else "first" if first else "none"


def _skeleton(arguments: Mapping[str, Any]) -> UNet:
    """Return a network without memory, so that claimed sizes cost nothing until they are checked."""
    try:
        with torch.device("meta"):
            return UNet(**arguments)
    except (ValueError, TypeError) as error:
        raise ModelError(f"its arguments make no U-Net: {_one_line(error)}") from error


def _add_batch_counters(state: State, net: UNet) -> None:
    """Add the counters that files of torch < 0.4.1 and Keras lack; inference does not use them."""
    for name in net.state_dict():
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, torch.zeros((), dtype=torch.int64))


def _check_fit(state: Mapping[str, Tensor], net: UNet) -> None:
    wanted = net.state_dict()
    missing = [name for name in wanted if name not in state]
    surplus = [name for name in state if name not in wanted]
    unlike = [
        f"{_quoted(name)} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems = [
        f"lack {_some(missing)}" if missing else "",
        f"have also {_some(surplus)}" if surplus else "",
        f"have {_some(unlike, quote=False)}" if unlike else "",
    ]
    if any(problems):
        raise ModelError(f"the weights do not fit the network: they {' and '.join(filter(None, problems))}")


def _as_float32(name: str, tensor: Tensor) -> Tensor:
    """Return a copy of its own: a mapped file must not change under a loaded network."""
    if name.endswith("num_batches_tracked"):
        return tensor.to(torch.int64, copy=True)
    copy = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if not torch.isfinite(copy).all():
        raise ModelError(f"weights {_quoted(name)} are too large for float32")
    if name.endswith("running_var") and (copy < 0).any():
        raise ModelError(f"{_quoted(name)} has negative variances; the file is damaged")
    return copy


# ---------------------------------------------------------------- words


def _quoted(name: object) -> str:
    """Show a name from a file: control characters escaped, no longer than a line."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:76]}..."


def _some(names: Iterable[str], limit: int = 3, quote: bool = True) -> str:
    listed = list(names)
    shown = ", ".join(_quoted(name) if quote else name for name in listed[:limit])
    return shown if len(listed) <= limit else f"{shown} and {len(listed) - limit} more"


def _one_line(error: BaseException) -> str:
    """Return the first line of a library's message, which may run to a page."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 160 else f"{text[:156]}..."

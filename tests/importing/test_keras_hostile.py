"""Hostile files of Keras: nothing in them runs, no other file is read, and each is refused in a sentence."""

from __future__ import annotations

import io
import json
import marshal
import pickle
import zipfile
from base64 import b64encode
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import Answers, import_model

CANARY = "the canary sings"
ANSWERS = Answers(like="egwaoje2026")


def layer(name: str, class_name: str, config: dict[str, Any], *inputs: str, **more: Any) -> dict[str, Any]:
    node = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {
        "class_name": class_name,
        "name": name,
        "config": config | {"name": name},
        "inbound_nodes": node,
    } | more


def conv(*inputs: str, **config: Any) -> dict[str, Any]:
    settings = {"filters": 1, "kernel_size": [1, 1], "padding": "same", "activation": "sigmoid"}
    return layer("conv", "Conv2D", settings | config, *inputs)


START = layer("start", "InputLayer", {"batch_shape": [None, 8, 8, 1]})


def model(*layers: dict[str, Any], output: str = "conv") -> dict[str, Any]:
    ends = {"input_layers": [["start", 0, 0]], "output_layers": [[output, 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "m", "layers": [START, *layers], **ends}}


def between(class_name: str, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a model with one more layer before its convolution."""
    return model(layer("odd", class_name, config, "start", **more), conv("odd"))


def weights(file: h5py.File) -> None:
    file["layers/conv2d/vars/0"] = np.ones((1, 1, 1, 1), np.float32)
    file["layers/conv2d/vars/1"] = np.zeros(1, np.float32)


def archive(path: Path, config: Any, fill: Callable[[h5py.File], None] = weights, **members: bytes) -> Path:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("metadata.json", json.dumps({"keras_version": "3.10.0"}))
        target.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        target.writestr("model.weights.h5", buffer.getvalue())
        for name, content in members.items():
            target.writestr(name, content)
    return path


def old_file(path: Path, config: Any, change: Callable[[h5py.File], None] = lambda file: None) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.11.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"conv"]
        group.create_group("conv").attrs["weight_names"] = [b"conv/kernel:0", b"conv/bias:0"]
        file["model_weights/conv/conv/kernel:0"] = np.ones((1, 1, 1, 1), np.float32)
        file["model_weights/conv/conv/bias:0"] = np.zeros(1, np.float32)
        change(file)
    return path


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fail if a model was written, or the code of a file made a file."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / CANARY).exists()


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as told:
        import_model(path, answers=ANSWERS)
    assert not (path.parent / "models").exists()
    sentence = str(told.value)
    assert path.name in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


def test_without_malice_the_files_are_imported(tmp_path: Path) -> None:
    net = model(conv("start"))
    assert import_model(archive(tmp_path / "new.keras", net), answers=ANSWERS).name == "new"
    assert import_model(old_file(tmp_path / "old.h5", net), answers=ANSWERS).name == "old"


CODE = compile(f"open({CANARY!r}, 'w')", "x", "exec")
BYTECODE = [b64encode(marshal.dumps(CODE)).decode(), None, None]
TOUCH = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}

CONFIGS: dict[str, tuple[Any, str]] = {
    "bytecode of a Lambda": (between("Lambda", {"function": BYTECODE, "function_type": "lambda"}), "Lambda"),
    "Lambda of Keras 3": (
        between("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": BYTECODE[0]}}}),
        "Lambda",
    ),
    "Lambda that downloads": (
        between("Lambda", {"function": TOUCH | {"module": "keras.utils", "config": "get_file"}}),
        "Lambda",
    ),
    "Lambda in a model in the model": (
        model(
            layer(
                "inner",
                "Functional",
                model(layer("evil", "Lambda", {"function": BYTECODE}, "start"), output="evil")["config"],
                "start",
            ),
            conv("inner"),
        ),
        "'evil' is a Lambda",
    ),
    "Lambda that nothing uses": (
        model(conv("start"), layer("evil", "Lambda", {"function": BYTECODE}, "start")),
        "'evil' is a Lambda",
    ),
    "class from os": (between("system", {"command": f"touch '{CANARY}'"}, module="os"), "'os.system'"),
    "layer by module": (between("Conv2D", {}, module="evil.layers"), "'evil.layers.Conv2D'"),
    "switch of Keras' protection": (
        between("enable_unsafe_deserialization", {}, module="keras.config"),
        "'keras.config.enable_unsafe_deserialization'",
    ),
    "operation": (between("Add", {}, module="keras.src.ops.numpy"), "'keras.src.ops.numpy.Add'"),
    "registered class": (between("Conv2D", {}, registered_name="Custom>Conv2D"), "'Custom>Conv2D'"),
    "operation of TensorFlow": (between("TFOpLambda", {"function": "io.read_file"}), "'TFOpLambda'"),
    "wrapper": (between("TimeDistributed", {"layer": {"class_name": "Lambda"}}), "'TimeDistributed'"),
    "activation that is a function": (model(conv("start", activation=TOUCH)), "activation 'system'"),
    "activation of another module": (
        model(conv("start", activation={"module": "os", "class_name": "LeakyReLU", "config": {}})),
        "activation",
    ),
    "activation that is evaluated": (model(conv("start", activation="__import__('os')")), "activation"),
    "class of a model": ({"class_name": "MyUNet", "config": {}, "module": "evil"}, "'MyUNet'"),
    "circle": (
        model(
            layer("a", "Add", {}, "start", "b"), layer("b", "ReLU", {}, "a"), conv("b")
        ),
        "form a circle",
    ),
    "layer of itself": (model(layer("a", "Add", {}, "start", "a"), conv("a")), "form a circle"),
    "input that is not there": (model(conv("gone")), "'gone', which is not there"),
    "two layers of one name": (model(conv("start"), conv("start")), "two layers named 'conv'"),
    "models without end": (None, "deeper than"),
    "list for a table": (["evil"], "not as Keras writes it"),
    "brackets without end": ("[" * 200_000, "no JSON"),
    "kernel of a billion": (model(conv("start", kernel_size=[10**9, 10**9])), "another size"),
    "stride of a billion": (model(conv("start", strides=[10**9, 1])), "no network"),
    "enlarged without end": (
        model(layer("up", "UpSampling2D", {"size": [60, 60]}, "start"), conv("up")),
        "enlarges",
    ),
    "text for a number": (between("Rescaling", {"scale": "__import__('os')"}), "scale"),
    "picture of a billion pixels": (
        {**model(conv("start")), "size": 10**9},
        "canvas",
    ),
}  # fmt: skip


def deep() -> dict[str, Any]:
    found = model(conv("start"))
    for _ in range(8):
        found = model(layer("inner", "Functional", found["config"], "start"), conv("inner"))
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations(name: str, tmp_path: Path) -> None:
    config, words = CONFIGS[name]
    if config is None:
        config = deep()
    if isinstance(config, dict) and (size := config.pop("size", None)):
        config = json.loads(json.dumps(config).replace("[null, 8, 8, 1]", f"[null, {size}, {size}, 1]"))
    assert words in refused(archive(tmp_path / "net.keras", config))
    if isinstance(config, dict):
        assert words in refused(old_file(tmp_path / "net.h5", config))


def test_losses_initialisers_and_regularisers_are_never_looked_at(tmp_path: Path) -> None:
    net = model(conv("start", kernel_initializer=TOUCH, kernel_regularizer=TOUCH, bias_constraint=TOUCH))
    net["compile_config"] = {"loss": TOUCH, "optimizer": TOUCH, "metrics": [TOUCH]}
    net["build_config"] = TOUCH
    assert import_model(archive(tmp_path / "net.keras", net), answers=ANSWERS).load().stride == 1


def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["w"] = np.full((1, 1, 1, 1), 7, np.float32)
    return path


@pytest.mark.parametrize("kind", ["external", "soft", "raw", "virtual", "huge", "text", "group", "nothing"])
def test_weights_that_are_not_in_the_file(kind: str, tmp_path: Path) -> None:
    other = secret(tmp_path)
    path = "model_weights/conv/conv/kernel:0"

    def change(file: h5py.File) -> None:
        del file[path]
        if kind == "external":
            file[path] = h5py.ExternalLink(str(other), "w")
        elif kind == "soft":
            file["hidden"] = np.ones((1, 1, 1, 1), np.float32)
            file[path] = h5py.SoftLink("/hidden")
        elif kind == "raw":
            file.create_dataset(path, (1, 1, 1, 1), "f4", external=[(str(other), 0, 4)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((1, 1, 1, 1), "f4")
            layout[...] = h5py.VirtualSource(str(other), "w", (1, 1, 1, 1))
            file.create_virtual_dataset(path, layout)
        elif kind == "huge":
            file.create_dataset(path, (1, 1, 10**6, 10**6), "f4", chunks=(1, 1, 64, 64))
        elif kind == "text":
            file[path] = "os.system"
        elif kind == "group":
            file.create_group(path)

    words = {
        "external": "is a link", "soft": "is a link", "raw": "lie in another file",
        "virtual": "lie in another file", "huge": "declares", "text": "no", "group": "no array",
        "nothing": "holds no weights",
    }  # fmt: skip
    assert words[kind] in refused(old_file(tmp_path / "net.h5", model(conv("start")), change))


def test_linked_groups_of_an_archive(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["layers"] = h5py.ExternalLink("secret.h5", "/")

    secret(tmp_path)
    assert "is a link" in refused(archive(tmp_path / "net.keras", model(conv("start")), fill))


@pytest.mark.parametrize("name", ["/etc/passwd", "../../evil.py", "C:\\evil", "a/../../b", "\\\\host\\share"])
def test_members_that_lead_out_of_the_archive(name: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "net.keras", model(conv("start")), **{name: b"x"})
    assert "leads out of it" in refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = archive(tmp_path / "net.keras", model(conv("start")), **{"config.json": b"{}"})
    assert "two members named 'config.json'" in refused(path)


def test_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("metadata.json", "{}")
        target.writestr("config.json", " " * (16 << 20))
        target.writestr("model.weights.h5", b"")
    assert "expands" in refused(path)


def test_members_that_are_missing_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("metadata.json", "{}")
    assert "holds no config.json" in refused(path)
    whole = archive(path, model(conv("start"))).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(path)
    with zipfile.ZipFile(path, "w") as target:
        for name in ("metadata.json", "config.json"):
            target.writestr(name, json.dumps(model(conv("start"))))
        target.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert "damaged" in refused(path)


class Evil:
    def __reduce__(self) -> Any:
        return (open, (CANARY, "w"))


@pytest.mark.parametrize("ending", [".keras", ".h5", ".pt", ".pkl"])
def test_a_pickle_under_any_name(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{ending}"
    path.write_bytes(pickle.dumps({"weights": Evil()}))
    refused(path)


def calls(name: str, class_name: str, config: dict[str, Any], count: int) -> dict[str, Any]:
    """Return a layer that is called on its own output again and again."""
    sources = ["start", *[name] * (count - 1)]
    nodes = [[[source, max(0, number - 1), 0, {}]] for number, source in enumerate(sources)]
    return layer(name, class_name, config) | {"inbound_nodes": nodes}


def test_few_bytes_that_stand_for_millions_of_layers(tmp_path: Path) -> None:
    inside = model(layer("drop", "Dropout", {}, "start"), output="drop")["config"]
    for _ in range(4):
        called = calls("inner", "Functional", inside, 60)
        inside = model(called)["config"] | {"output_layers": [["inner", 59, 0]]}
    config = model(layer("inner", "Functional", inside, "start"), conv("inner"))
    assert "calls of layers, more than 5000" in refused(archive(tmp_path / "net.keras", config))


def test_very_many_layers(tmp_path: Path) -> None:
    config = model(*(layer(f"l{n}", "Dropout", {}, "start") for n in range(20_000)), conv("start"))
    assert "has 20002 layers, more than 5000" in refused(archive(tmp_path / "net.keras", config))


def test_very_many_lists_around_no_tensor(tmp_path: Path) -> None:
    odd = layer("odd", "Add", {}) | {"inbound_nodes": [{"args": [[[]] * 100_000], "kwargs": {}}]}
    assert "second input" in refused(old_file(tmp_path / "net.h5", model(odd, conv("odd"))))


@pytest.mark.parametrize("linked", [True, False])
def test_weights_that_many_layers_share(
    linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUMORSEG_MAX_GIB", str(8 / 1024))
    kernel = np.random.default_rng(0).random((1, 1, 512, 512), dtype=np.float32)  # 1 MiB

    def fill(file: h5py.File) -> None:
        data = file.create_dataset("layers/conv2d/vars/0", data=kernel)
        for number in range(1, 9):
            file[f"layers/conv2d_{number}/vars/0"] = data

    settings = {"filters": 512, "kernel_size": [1, 1], "use_bias": False}
    if linked:
        names = ["start", *(f"c{n}" for n in range(8)), "conv"]
        layers = [layer(name, "Conv2D", settings, before) for before, name in pairwise(names)]
        config = model(*layers)
    else:
        config = model(calls("conv", "Conv2D", settings, 9))
    assert "weights take more than 0.00781 GiB" in refused(archive(tmp_path / "net.keras", config, fill))


@pytest.mark.parametrize("stated", [2, 10**10, "abc"])
def test_other_channels_than_the_weights_have(stated: Any, tmp_path: Path) -> None:
    path = archive(tmp_path / "net.keras", model(conv("start", filters=stated)))
    assert "and has weights for 1" in refused(path)


def test_numbers_that_are_too_large(tmp_path: Path) -> None:
    config = between("Rescaling", {"scale": 10**400})
    assert "has scale" in refused(archive(tmp_path / "net.keras", config))


def test_a_heap_that_hdf5_never_returns_from(tmp_path: Path) -> None:
    heap = b"GCOL\1\0\0\0"

    def fill(file: h5py.File) -> None:
        group = file.create_group("conv")
        file.attrs["layer_names"] = [b"conv"]
        group.attrs["weight_names"] = np.array(["kernel"], dtype=h5py.string_dtype())

    good = archive(tmp_path / "good.keras", model(conv("start")), fill)
    with zipfile.ZipFile(good) as source:
        content = {name: bytearray(source.read(name)) for name in source.namelist()}
    weights = content["model.weights.h5"]
    first = weights.index(heap) + 16
    weights[first : first + 16] = bytes(16)
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as target:
        for name, member in content.items():
            target.writestr(name, bytes(member))
    assert "weights are damaged" in refused(path)

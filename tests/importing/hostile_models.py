"""Model files that try to run code, to read or write elsewhere, or to fill memory: one function for each.

Each is given a folder of its own to write into and the paths of a canary, which exists only if something ran,
and of a secret that no import has any reason to open.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import marshal
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch

from tests.importing.bioimageio_packages import description_04, description_05, write, zipped
from tests.importing.nnunet_folders import CLASSES, dataset, plans
from tests.onnx_files import TensorProto, helper, model_of, save, threshold_model

CODE_TYPE = (lambda: 0).__code__


class Trap(NamedTuple):
    """Paths that a hostile model knows of."""

    folder: Path
    canary: Path
    secret: Path


class Touch:
    """An object whose unpickling writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


HOSTILE: dict[str, Callable[[Trap], Path]] = {}
"""Functions by the name of what they try."""


def hostile(make: Callable[[Trap], Path]) -> Callable[[Trap], Path]:
    """Add a function to the table."""
    HOSTILE[make.__name__] = make
    return make


# ---------------------------------------------------------------- pickles and tensors


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip archive of members, even of names that nobody should use."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@hostile
def pickled_reduce_in_a_pt(trap: Trap) -> Path:
    torch.save({"weight": torch.zeros(2), "extra": Touch(trap.canary)}, trap.folder / "a.pt")
    return trap.folder / "a.pt"


@hostile
def bare_pickle_in_a_pth(trap: Trap) -> Path:
    path = trap.folder / "a.pth"
    path.write_bytes(pickle.dumps(Touch(trap.canary)))
    return path


@hostile
def old_pickle_protocol(trap: Trap) -> Path:
    path = trap.folder / "a.pth"
    path.write_bytes(f"cos\nsystem\n(S'touch {trap.canary}'\ntR.".encode())
    return path


@hostile
def pickle_inside_of_a_legacy_checkpoint(trap: Trap) -> Path:
    path = trap.folder / "a.pth"
    state = {"state_dict": {"weight": torch.zeros(2)}, "optimizer": Touch(trap.canary)}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


@hostile
def pickle_by_stack_global(trap: Trap) -> Path:
    code = pickle.dumps(Touch(trap.canary), protocol=4)
    return archive(trap.folder / "a.pt", {"a/data.pkl": code, "a/version": b"3\n"})


@hostile
def whole_module(trap: Trap) -> Path:
    torch.save(torch.nn.Conv2d(1, 1, 1), trap.folder / "a.pt")
    return trap.folder / "a.pt"


@hostile
def torchscript(trap: Trap) -> Path:
    members = {"a/data.pkl": pickle.dumps({}), "a/constants.pkl": pickle.dumps(Touch(trap.canary))}
    return archive(trap.folder / "a.pt", members)


@hostile
def compressed_checkpoint(trap: Trap) -> Path:
    members = {"a/data.pkl": b"\x80\x02}." + bytes(1 << 20)}
    return archive(trap.folder / "a.pt", members, zipfile.ZIP_DEFLATED)


@hostile
def pickle_that_fills_memory(trap: Trap) -> Path:
    code = b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R."
    return archive(trap.folder / "a.pt", {"a/data.pkl": code})


@hostile
def truncated_checkpoint(trap: Trap) -> Path:
    path = trap.folder / "a.pt"
    torch.save({"weight": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def safetensors(trap: Trap, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    path = trap.folder / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


@hostile
def safetensors_with_an_endless_header(trap: Trap) -> Path:
    return safetensors(trap, b"{}", length=1 << 62)


@hostile
def safetensors_of_a_nested_header(trap: Trap) -> Path:
    return safetensors(trap, b"[" * 200_000)


@hostile
def safetensors_beyond_the_file(trap: Trap) -> Path:
    entry = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
    return safetensors(trap, json.dumps({"w": entry}).encode())


# ---------------------------------------------------------------- Keras


def keras_config(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a sequential model of an input and these layers."""
    first = {
        "class_name": "InputLayer",
        "module": "keras.layers",
        "config": {"name": "in", "batch_shape": [None, 32, 32, 1], "dtype": "float32"},
    }
    return {
        "class_name": "Sequential",
        "module": "keras",
        "config": {"name": "net", "layers": [first, *layers]},
    }


def keras_layer(name: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"class_name": name, "module": module, "registered_name": None, "config": {"name": "l", **config}}


def weights_file() -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_group("layers")
    return content.getvalue()


def keras_archive(trap: Trap, config: Any, **more: bytes) -> Path:
    """Write a `.keras` file; a configuration of bytes is written as it is."""
    members = {
        "metadata.json": b'{"keras_version": "3.12.0"}',
        "config.json": config if isinstance(config, bytes) else json.dumps(config).encode(),
        "model.weights.h5": weights_file(),
        **more,
    }
    return archive(trap.folder / "a.keras", members)


def keras_h5(trap: Trap, config: Any) -> Path:
    """Write an `.h5` file of a whole model."""
    path = trap.folder / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, np.void) else json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights")
    return path


def bytecode(trap: Trap) -> str:
    compiled = compile(f"__import__('os').system('touch {trap.canary}')", "x", "eval")
    return base64.b64encode(marshal.dumps(compiled)).decode()


@hostile
def lambda_in_a_keras_archive(trap: Trap) -> Path:
    function = {"class_name": "__lambda__", "config": {"code": bytecode(trap), "defaults": None}}
    return keras_archive(trap, keras_config(keras_layer("Lambda", function=function)))


@hostile
def lambda_in_an_h5(trap: Trap) -> Path:
    layer = keras_layer("Lambda", function=[bytecode(trap), None, None], function_type="lambda")
    return keras_h5(trap, keras_config(layer))


@hostile
def class_of_any_module(trap: Trap) -> Path:
    return keras_archive(trap, keras_config(keras_layer("system", "os", command=f"touch {trap.canary}")))


@hostile
def download_by_a_layer(trap: Trap) -> Path:
    origin = f"file://{trap.secret}"
    return keras_archive(trap, keras_config(keras_layer("get_file", "keras.utils", origin=origin)))


@hostile
def custom_layer(trap: Trap) -> Path:
    layer = {**keras_layer("Custom"), "module": "attack", "registered_name": "attack>Custom"}
    return keras_archive(trap, keras_config(layer))


@hostile
def activation_that_would_be_evaluated(trap: Trap) -> Path:
    text = f"__import__('os').system('touch {trap.canary}')"
    return keras_archive(trap, keras_config(keras_layer("Activation", activation=text)))


@hostile
def model_as_a_module(trap: Trap) -> Path:
    return keras_archive(trap, {"class_name": "system", "module": "os", "config": {"command": "true"}})


@hostile
def pickle_in_an_h5_attribute(trap: Trap) -> Path:
    return keras_h5(trap, np.void(pickle.dumps(Touch(trap.canary))))


def keras_h5_with(trap: Trap, add: Callable[[h5py.Group], None]) -> Path:
    """Write a file of weights in a group of one layer."""
    layer = keras_layer("Conv2D", filters=1, kernel_size=[1, 1], padding="same", use_bias=False)
    path = keras_h5(trap, keras_config(layer))
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        weights.attrs["layer_names"] = np.array([b"l"])
        group = weights.create_group("l")
        group.attrs["weight_names"] = np.array([b"l/kernel:0"])
        add(group.create_group("l"))
    return path


@hostile
def h5_link_to_another_file(trap: Trap) -> Path:
    with h5py.File(trap.secret.with_suffix(".h5"), "w") as file:
        file["kernel"] = np.zeros((1, 1, 1, 1), np.float32)

    def add(group: h5py.Group) -> None:
        group["kernel:0"] = h5py.ExternalLink(str(trap.secret.with_suffix(".h5")), "/kernel")

    return keras_h5_with(trap, add)


@hostile
def h5_numbers_from_another_file(trap: Trap) -> Path:
    def add(group: h5py.Group) -> None:
        where = [(str(trap.secret), 0, 4)]
        group.create_dataset("kernel:0", (1, 1, 1, 1), np.float32, external=where)

    return keras_h5_with(trap, add)


@hostile
def h5_virtual_dataset(trap: Trap) -> Path:
    def add(group: h5py.Group) -> None:
        layout = h5py.VirtualLayout((1, 1, 1, 1), np.float32)
        layout[:] = h5py.VirtualSource(str(trap.secret), "x", (1, 1, 1, 1))
        group.create_virtual_dataset("kernel:0", layout)

    return keras_h5_with(trap, add)


@hostile
def h5_loop_of_links(trap: Trap) -> Path:
    def add(group: h5py.Group) -> None:
        group["kernel:0"] = h5py.SoftLink(f"{group.name}/other")
        group["other"] = h5py.SoftLink(f"{group.name}/kernel:0")

    return keras_h5_with(trap, add)


@hostile
def h5_of_forty_terabytes(trap: Trap) -> Path:
    def add(group: h5py.Group) -> None:
        group.create_dataset("kernel:0", (1 << 14, 1 << 14, 1 << 14, 1), np.float64, chunks=(1, 1, 64, 1))

    return keras_h5_with(trap, add)


@hostile
def keras_members_that_lead_out(trap: Trap) -> Path:
    return keras_archive(trap, keras_config(), **{f"../../{trap.canary.name}": b"ran"})


@hostile
def keras_members_of_one_name(trap: Trap) -> Path:
    path = keras_archive(trap, keras_config())
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo("config.json")
        file.filelist.append(info)  # zipfile warns of a second one that is written as usual
        file.NameToInfo.pop("config.json")
        file.writestr(info, json.dumps(keras_config(keras_layer("Lambda"))))
        file.filelist.pop(-2)
    return path


@hostile
def keras_configuration_of_a_hundred_megabytes(trap: Trap) -> Path:
    members = {"metadata.json": b"{}", "config.json": b'"' + b"a" * (100 << 20) + b'"'}
    return archive(trap.folder / "a.keras", members, zipfile.ZIP_DEFLATED)


@hostile
def keras_configuration_of_a_hundred_thousand_levels(trap: Trap) -> Path:
    return keras_archive(trap, b'{"a":' * 100_000)


@hostile
def keras_layers_of_layers(trap: Trap) -> Path:
    config = keras_config(keras_layer("ReLU"))
    for _ in range(200):
        config = keras_config(config)
    return keras_archive(trap, config)


@hostile
def keras_sizes_that_fill_memory(trap: Trap) -> Path:
    layer = keras_layer("UpSampling2D", size=[1 << 40, 1 << 40], interpolation="nearest")
    return keras_archive(trap, keras_config(layer))


@hostile
def truncated_keras_archive(trap: Trap) -> Path:
    path = keras_archive(trap, keras_config())
    path.write_bytes(path.read_bytes()[:-40])
    return path


# ---------------------------------------------------------------- ONNX


def onnx_with(trap: Trap, change: Callable[[Any], None]) -> Path:
    model = threshold_model(1.0)
    change(model)
    return save(model, trap.folder / "a.onnx")


def keep_elsewhere(tensor: Any, location: str) -> None:
    tensor.ClearField("float_data")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


@hostile
def onnx_weights_at_an_absolute_path(trap: Trap) -> Path:
    return onnx_with(trap, lambda model: keep_elsewhere(model.graph.initializer[0], str(trap.secret)))


@hostile
def onnx_weights_at_a_relative_path(trap: Trap) -> Path:
    where = f"../{trap.secret.name}"
    return onnx_with(trap, lambda model: keep_elsewhere(model.graph.initializer[0], where))


@hostile
def onnx_operator_of_a_library(trap: Trap) -> Path:
    def change(model: Any) -> None:
        model.graph.node[0].domain = "ai.onnx.contrib"
        model.opset_import.add(domain="ai.onnx.contrib", version=1)

    return onnx_with(trap, change)


@hostile
def onnx_loop_without_end(trap: Trap) -> Path:
    def change(model: Any) -> None:
        body = copy.deepcopy(model.graph)
        model.graph.node.insert(0, helper.make_node("Loop", ["", ""], ["z"], body=body))

    return onnx_with(trap, change)


@hostile
def onnx_graphs_in_graphs(trap: Trap) -> Path:
    def change(model: Any) -> None:
        graph = helper.make_graph([], "end", [], [])
        for _ in range(60):
            inner = helper.make_node("If", ["c"], ["z"], then_branch=graph, else_branch=graph)
            graph = helper.make_graph([inner], "g", [], [])
            if graph.ByteSize() > 1 << 20:
                break
        model.graph.node.insert(0, helper.make_node("If", ["c"], ["z"], then_branch=graph))

    return onnx_with(trap, change)


@hostile
def onnx_cycle(trap: Trap) -> Path:
    nodes = [helper.make_node("Relu", ["y"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"])]
    return save(model_of(nodes), trap.folder / "a.onnx")


@hostile
def onnx_huge_weights(trap: Trap) -> Path:
    def change(model: Any) -> None:
        model.graph.initializer.add(name="w", data_type=1, dims=[1 << 40, 1 << 20], raw_data=b"abcd")

    return onnx_with(trap, change)


@hostile
def onnx_huge_constant(trap: Trap) -> Path:
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["most"], keepdims=0),
        helper.make_node("Add", ["x", "most"], ["y"]),
    ]
    return save(model_of(nodes, {"s": np.int64([1 << 40, 16])}), trap.folder / "a.onnx")


@hostile
def onnx_huge_stride(trap: Trap) -> Path:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1 << 50, 1], strides=[1 << 50, 1])
    return save(model_of([node]), trap.folder / "a.onnx")


@hostile
def onnx_function_that_calls_itself(trap: Trap) -> Path:
    def change(model: Any) -> None:
        call = helper.make_node("Again", ["x"], ["y"], domain="own")
        opset = [helper.make_opsetid("own", 1)]
        model.functions.append(helper.make_function("own", "Again", ["x"], ["y"], [call], opset))

    return onnx_with(trap, change)


@hostile
def onnx_card_of_another_architecture(trap: Trap) -> Path:
    card = (
        f'name = "a"\n[network]\narchitecture = "os:system"\n[network.arguments]\nx = "touch {trap.canary}"\n'
    )
    return onnx_with(trap, lambda m: m.metadata_props.add(key="napari_tumorseg_card", value=card) and None)


@hostile
def onnx_card_of_nested_tables(trap: Trap) -> Path:
    card = "a = " + "[" * 100_000
    return onnx_with(trap, lambda m: m.metadata_props.add(key="napari_tumorseg_card", value=card) and None)


@hostile
def truncated_onnx(trap: Trap) -> Path:
    path = onnx_with(trap, lambda model: None)
    path.write_bytes(path.read_bytes()[:-20])
    return path


@hostile
def onnx_of_noise(trap: Trap) -> Path:
    path = trap.folder / "a.onnx"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    return path


# ---------------------------------------------------------------- BioImage.IO


def package(trap: Trap, description: Any) -> Path:
    return write(trap.folder / "pkg", description)


def replaced(text: str, by: str) -> str:
    """Return the text of a description with a part replaced."""
    import yaml

    written: str = yaml.safe_dump(description_05(), sort_keys=False)
    assert text in written
    return written.replace(text, by)


@hostile
def yaml_tag_that_runs(trap: Trap) -> Path:
    tag = f"name: !!python/object/apply:os.system ['touch {trap.canary}']"
    return package(trap, replaced("name: Tiny network", tag))


@hostile
def yaml_tag_of_a_name(trap: Trap) -> Path:
    return package(trap, replaced("name: Tiny network", "name: !!python/name:os.system ''"))


@hostile
def yaml_aliases_of_aliases(trap: Trap) -> Path:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return package(trap, replaced("name: Tiny network", "\n".join([*lines, "name: *a11"])))


@hostile
def yaml_that_holds_itself(trap: Trap) -> Path:
    return package(trap, replaced("name: Tiny network", "name: &a [*a]"))


@hostile
def yaml_of_many_levels(trap: Trap) -> Path:
    return package(trap, "[" * 50_000)


@hostile
def yaml_of_megabytes(trap: Trap) -> Path:
    return package(trap, "a: " + "b" * (2 << 20))


@hostile
def weights_outside_of_the_package(trap: Trap) -> Path:
    weights = {"onnx": {"source": f"../../{trap.secret.name}"}}
    return package(trap, description_05(weights=weights))


@hostile
def weights_at_an_absolute_path(trap: Trap) -> Path:
    return package(trap, description_05(weights={"onnx": {"source": str(trap.secret)}}))


@hostile
def weights_to_be_downloaded(trap: Trap) -> Path:
    return package(trap, description_05(weights={"onnx": {"source": "http://127.0.0.1:9/net.onnx"}}))


@hostile
def weights_by_a_link_that_leads_out(trap: Trap) -> Path:
    path = package(trap, description_05())
    (path / "net.onnx").unlink()
    (path / "net.onnx").symlink_to(trap.secret)
    return path


@hostile
def pickle_in_a_package(trap: Trap) -> Path:
    weights = {"pytorch_state_dict": {"source": "a.pt", "architecture": {"callable": "UNet"}}}
    path = package(trap, description_05(weights=weights))
    torch.save({"weight": Touch(trap.canary)}, path / "a.pt")
    return path


@hostile
def architecture_that_is_a_program(trap: Trap) -> Path:
    architecture = {"source": "net.py", "callable": "Net"}
    weights = {"pytorch_state_dict": {"source": "a.pt", "architecture": architecture}}
    path = package(trap, description_05(weights=weights))
    (path / "net.py").write_text(f"open({str(trap.canary)!r}, 'w')")
    torch.save({"odd.weight": torch.zeros(2)}, path / "a.pt")
    return path


@hostile
def step_that_is_a_program(trap: Trap) -> Path:
    description = copy.deepcopy(description_05())
    step = {"id": "custom", "source": "step.py", "callable": "run", "kwargs": {}}
    description["outputs"][0]["postprocessing"] = [step]
    path = package(trap, description)
    (path / "step.py").write_text(f"open({str(trap.canary)!r}, 'w')")
    return path


def package_with_array(trap: Trap, content: bytes) -> Path:
    path = package(trap, description_04())
    (path / "in.npy").write_bytes(content)
    return path


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@hostile
def array_of_objects(trap: Trap) -> Path:
    content = io.BytesIO()
    np.save(content, np.array([Touch(trap.canary)], dtype=object), allow_pickle=True)
    return package_with_array(trap, content.getvalue())


@hostile
def array_of_terabytes(trap: Trap) -> Path:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 16)}"
    return package_with_array(trap, npy(header, b"abcd"))


@hostile
def array_header_that_would_be_evaluated(trap: Trap) -> Path:
    return package_with_array(trap, npy(f"__import__('os').system('touch {trap.canary}')"))


@hostile
def pickle_in_place_of_an_array(trap: Trap) -> Path:
    return package_with_array(trap, pickle.dumps(Touch(trap.canary)))


@hostile
def package_members_that_lead_out(trap: Trap) -> Path:
    path = zipped(package(trap, description_05()))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"../../{trap.canary.name}", "ran")
    return path


@hostile
def package_member_that_is_a_link(trap: Trap) -> Path:
    path = package(trap, description_05())
    (path / "net.onnx").unlink()
    made = zipped(path)
    with zipfile.ZipFile(made, "a") as file:
        info = zipfile.ZipInfo("net.onnx")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, str(trap.secret))
    return made


@hostile
def package_that_is_a_bomb(trap: Trap) -> Path:
    path = package(trap, description_05())
    (path / "net.onnx").write_bytes(bytes(64 << 20))
    return zipped(path)


@hostile
def truncated_package(trap: Trap) -> Path:
    path = zipped(package(trap, description_05()))
    path.write_bytes(path.read_bytes()[:-60])
    return path


# ---------------------------------------------------------------- nnU-Net and MONAI


def nnunet_folder(trap: Trap, checkpoint: Any, **changes: Any) -> Path:
    """Write a folder of nnU-Net v2 whose only fold has a checkpoint."""
    folder = trap.folder / "nnunet"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(dataset(CLASSES)), encoding="utf-8")
    (folder / "plans.json").write_text(json.dumps(plans(3, **changes)), encoding="utf-8")
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


def checkpoint_of(weights: Any, trainer: Any = "nnUNetTrainer") -> dict[str, Any]:
    return {"network_weights": weights, "init_args": {"configuration": "3d_fullres"}, "trainer_name": trainer}


@hostile
def pickle_in_an_nnunet_checkpoint(trap: Trap) -> Path:
    return nnunet_folder(trap, checkpoint_of({"weight": Touch(trap.canary)}))


@hostile
def pickle_beside_the_weights_of_nnunet(trap: Trap) -> Path:
    return nnunet_folder(trap, checkpoint_of({"weight": torch.zeros(2)}, Touch(trap.canary)))


@hostile
def nnunet_network_of_any_module(trap: Trap) -> Path:
    network = {"architecture": {"network_class_name": "os.system", "arch_kwargs": {"command": "true"}}}
    return nnunet_folder(trap, checkpoint_of({"weight": torch.zeros(2)}), network=network)


def monai_bundle(trap: Trap, definition: Any, weights: Any) -> Path:
    """Write a MONAI bundle of a network definition and its weights."""
    folder = trap.folder / "bundle"
    for inner in ("configs", "models"):
        (folder / inner).mkdir(parents=True)
    channels = {"inputs": {"image": {"channel_def": {"0": "FLAIR"}}}, "outputs": {"pred": {}}}
    metadata = {"name": "b", "version": "1", "network_data_format": channels}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    inference = {"imports": [f"$open({str(trap.canary)!r}, 'w')"], "network_def": definition}
    (folder / "configs" / "inference.json").write_text(json.dumps(inference), encoding="utf-8")
    torch.save(weights, folder / "models" / "model.pt")
    return folder


@hostile
def monai_network_that_would_be_evaluated(trap: Trap) -> Path:
    text = f"$__import__('os').system('touch {trap.canary}')"
    return monai_bundle(trap, text, {"weight": torch.zeros(2)})


@hostile
def monai_target_of_any_module(trap: Trap) -> Path:
    definition = {"_target_": "os.system", "command": f"touch {trap.canary}"}
    return monai_bundle(trap, definition, {"weight": torch.zeros(2)})


@hostile
def pickle_in_a_monai_bundle(trap: Trap) -> Path:
    definition = {
        "_target_": "SegResNet",
        "spatial_dims": 3,
        "init_filters": 8,
        "in_channels": 1,
        "out_channels": 1,
        "blocks_down": [1, 1],
        "blocks_up": [1],
    }
    return monai_bundle(trap, definition, {"weight": Touch(trap.canary)})

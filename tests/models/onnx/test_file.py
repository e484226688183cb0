"""ONNX files are read and checked without any library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.onnx.file import OnnxFile, check_onnx, read_onnx
from napari_tumorseg.models.onnx.ports import Port, single_ports
from tests.onnx_files import TensorProto, helper, model_of, numpy_helper, save, threshold_model


def checked(model: Any) -> OnnxFile:
    return check_onnx(model.SerializeToString(), "net.onnx")


def test_what_a_file_takes_and_gives(tmp_path: Path) -> None:
    model = threshold_model(1.5, ("batch", 2, None, 96), "Sigmoid")
    model.metadata_props.add(key="author", value="me")
    model.producer_name = "test"
    found = read_onnx(save(model, tmp_path / "net.onnx"))
    assert found.inputs == (Port("x", TensorProto.FLOAT, (None, 2, None, 96)),)
    assert found.outputs == (Port("y", TensorProto.FLOAT, (None, 2, None, 96)),)
    assert found.operators == {"Sub", "Sigmoid"}
    assert (found.opset, found.metadata, found.producer) == (17, {"author": "me"}, "test")


def test_weights_that_are_listed_as_inputs_are_no_images() -> None:
    model = threshold_model(1.0)
    model.graph.input.append(helper.make_tensor_value_info("limit", TensorProto.FLOAT, ()))
    assert [port.name for port in checked(model).inputs] == ["x"]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.bool_])
@pytest.mark.parametrize("raw", [True, False])
def test_weights_of_every_type_and_storage_are_counted(kind: Any, raw: bool) -> None:
    values = np.array([[1, 0, 1], [0, 1, 1]], kind)
    tensor = helper.make_tensor(
        "w", helper.np_dtype_to_tensor_dtype(values.dtype), values.shape,
        values.tobytes() if raw else values.ravel(), raw=raw,
    )  # fmt: skip
    model = threshold_model(1.0)
    model.graph.initializer.append(tensor)
    checked(model)
    model.graph.initializer[-1].dims[0] = 3
    with pytest.raises(
        ModelError, match=r"net\.onnx: weights 'w' declare 3 x 3 numbers, and the file holds 6"
    ):
        checked(model)


def single(model: Any, output: str = "") -> tuple[Port, Port]:
    found = checked(model)
    return single_ports(found.inputs, found.outputs, output)


def external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def external_in_an_attribute(model: Any) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros(2)))
    constant.attribute[0].t.external_data.add(key="location", value="../secret")
    model.graph.node.insert(0, constant)


def foreign_operator(model: Any) -> None:
    model.graph.node[0].domain = "com.evil"


def unknown_operator(model: Any) -> None:
    model.graph.node[0].op_type = "PyOp"


def loop(model: Any) -> None:
    model.graph.node.insert(0, helper.make_node("Loop", ["m", "c"], ["z"], body=model.graph))


def function(model: Any) -> None:
    model.functions.add(name="f", domain="local")


def training(model: Any) -> None:
    model.training_info.add()


def sparse(model: Any) -> None:
    model.graph.sparse_initializer.add()


def huge_stride(model: Any) -> None:
    model.graph.node.insert(0, helper.make_node("MaxPool", ["x"], ["z"], kernel_shape=[1, 1 << 40]))


def texts(model: Any) -> None:
    model.graph.initializer.append(helper.make_tensor("t", TensorProto.STRING, (1,), [b"x"]))


def huge_shape(model: Any) -> None:
    model.graph.initializer.append(
        TensorProto(name="big", data_type=1, dims=[1 << 31, 1 << 31], raw_data=b"1234")
    )


def negative_shape(model: Any) -> None:
    model.graph.initializer.append(TensorProto(name="odd", data_type=1, dims=[-4], raw_data=b""))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "keeps the weights 'limit' in another file, which is not opened"),
        (external_in_an_attribute, "in another file"),
        (foreign_operator, "needs the operator 'Sub' of 'com.evil', and only ONNX' own"),
        (unknown_operator, "needs the operator 'PyOp'"),
        (loop, "has a graph or a type inside the attribute 'body'"),
        (function, "functions of its own"),
        (training, "a training procedure"),
        (sparse, "sparse weights"),
        (huge_stride, r"declares 'kernel_shape' of 1099511627776"),
        (texts, "of a type that is not run here"),
        (huge_shape, "declare 2147483648 x 2147483648 numbers, and the file holds 1"),
        (negative_shape, "impossible shape"),
    ],
)
def test_what_is_refused(change: Callable[[Any], None], words: str) -> None:
    model = threshold_model(1.0)
    change(model)
    with pytest.raises(ModelError, match=rf"^net\.onnx: .*{words}"):
        checked(model)


@pytest.mark.parametrize(
    "content", [b"\x00" * 40, b"PK\x03\x04" + b"x" * 40, b"hello world" * 9, b"\x08\x08"]
)
def test_other_files(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"^a\.onnx: (damaged or no ONNX file|not an ONNX model)"):
        check_onnx(content, "a.onnx")


def test_empty_and_absent_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^a\.onnx: the file is empty"):
        check_onnx(b"", "a.onnx")
    with pytest.raises(ModelError, match=r"^b\.onnx: cannot be read \(No such file"):
        read_onnx(tmp_path / "b.onnx")


def test_a_file_cut_anywhere_is_refused() -> None:
    whole = threshold_model(1.0, last="Sigmoid").SerializeToString()
    for length in range(len(whole)):
        with pytest.raises(ModelError):
            check_onnx(whole[:length], "cut.onnx")


def test_too_many_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tumorseg.models.onnx.file.MAX_NODES", 2)
    nodes = [helper.make_node("Relu", [a], [b]) for a, b in ("xa", "ab", "by")]
    with pytest.raises(ModelError, match="more than 2 operators"):
        checked(model_of(nodes))


def test_long_metadata() -> None:
    model = threshold_model(1.0)
    model.metadata_props.add(key="k", value="x" * (1 << 20) + "x")
    with pytest.raises(ModelError, match="metadata of more than 1 MiB"):
        checked(model)


def test_one_image_in_and_one_out() -> None:
    two = threshold_model(1.0)
    two.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, (1, 1, 8, 8)))
    with pytest.raises(ModelError, match="gives 2 outputs \\('y', 'z'\\); its card must name one"):
        single(two)
    assert single(two, "z")[1].shape == (1, 1, 8, 8)
    two.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, (1,)))
    with pytest.raises(ModelError, match="takes 2 inputs"):
        single(two, "y")


def test_images_are_float32_with_four_axes_or_five() -> None:
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    with pytest.raises(ModelError, match="another type than float32"):
        single(model_of(relu, kind=TensorProto.FLOAT16))
    with pytest.raises(ModelError, match=r"takes 'x' \(1, 4\), and images have 4 axes or 5"):
        single(model_of(relu, takes=(1, 4)))

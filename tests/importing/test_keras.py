"""Models of Keras, written by Keras, imported without it and equal to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing import Answers, OpenQuestionsError, Question, import_model
from napari_tumorseg.importing.keras import read
from napari_tumorseg.models.origin import Certificate
from napari_tumorseg.models.weights import network_of
from napari_tumorseg.scan import Role
from tests.importing.keras_nets import L, as_keras2, hassan, keras, outputs, ragab, randomise


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the user's models lie in a folder of the test's."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))


def save(model: Any, path: Path) -> Path:
    model.save(path) if path.suffix != ".h5" or ".weights" not in path.name else model.save_weights(path)
    return path


def difference(model: Any, path: Path, size: tuple[int, int] = (32, 32)) -> float:
    """Return the largest difference between the imported network, also folded, and Keras."""
    draft = read(path, Answers())
    net = network_of(dict(draft.weights), draft.network.arguments, draft.network.architecture)
    x = np.random.default_rng(1).normal(size=(2, draft.channels, *size)).astype(np.float32)
    wanted = outputs(model, x)
    found = []
    for each in (net, net.folded()):
        with torch.inference_mode():
            logits = each(torch.from_numpy(x))
        activation = draft.output.get("activation")
        ours = logits.sigmoid() if activation == "sigmoid" else logits.softmax(1) if activation else logits
        found.append(float(np.abs(ours.numpy() - wanted).max()))
    assert wanted.std() > 1e-3
    return max(found)


@pytest.fixture(scope="module")
def systems() -> dict[str, Any]:
    """Return the two published systems, compiled with losses of their authors' own."""

    def dice_loss(truth: Any, found: Any) -> Any:
        return 1 - keras.ops.mean(truth * found)

    made = {"hassan2025": hassan(), "ragab2025": ragab()}
    for model in made.values():
        model.compile("nadam", dice_loss, metrics=[dice_loss])
    return made


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", ["hassan2025", "ragab2025"])
def test_the_published_systems_are_equal(
    name: str, ending: str, systems: dict[str, Any], tmp_path: Path
) -> None:
    model = systems[name]
    path = save(model, tmp_path / f"model{ending}")
    assert difference(model, path) < 1e-4
    card = import_model(path, answers=Answers(like=name)).card
    assert card.network.architecture == "graph"
    assert card.input.size.canvas == (32, 32)
    assert card.output.activation == ("sigmoid" if name == "hassan2025" else "softmax")
    assert card.origin is not None
    assert card.origin.format == f"Keras {keras.__version__}"
    assert card.origin.certificate is not None
    assert card.origin.certificate.framework == f"Keras {keras.__version__} on torch"
    assert card.origin.certificate.largest_difference < 1e-4


@pytest.mark.parametrize("name", ["hassan2025", "ragab2025"])
def test_a_file_of_keras_2(name: str, systems: dict[str, Any], tmp_path: Path) -> None:
    path = save(systems[name], tmp_path / "model.h5")
    as_keras2(path)
    assert difference(systems[name], path) < 1e-4
    assert read(path, Answers()).format == "Keras 2.11.0"


def test_an_archive_of_weights_with_its_configuration_beside_it(
    systems: dict[str, Any], tmp_path: Path
) -> None:
    model = systems["hassan2025"]
    path = save(model, tmp_path / "net.weights.h5")
    (tmp_path / "net.json").write_text(model.to_json())
    assert difference(model, path) < 1e-5


def test_weights_alone_need_to_know_their_system(tmp_path: Path) -> None:
    path = save(hassan(), tmp_path / "net.weights.h5")
    with pytest.raises(
        OpenQuestionsError, match=r"net\.weights\.h5 \(weights without their network\)"
    ) as told:
        import_model(path)
    assert told.value.questions == (Question.NETWORK,)
    with pytest.raises(ModelError, match="do not fit the network"):
        import_model(path, answers=Answers(like="hassan2025"))  # of other widths
    with pytest.raises(ModelError, match="belong to another network"):
        import_model(path, answers=Answers(like="ragab2025"))


def small_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the two systems have the widths of the networks here."""
    from napari_tumorseg.importing.keras import weights_only
    from napari_tumorseg.training.recipe import load_recipe

    changes = ["network.arguments.widths=[4, 6, 8, 10]", "network.arguments.bottleneck=12"]
    monkeypatch.setattr(weights_only, "recipe_of", lambda name: load_recipe(name, changes))


@pytest.mark.parametrize("layout", ["new", "old"])
@pytest.mark.parametrize("name", ["hassan2025", "ragab2025"])
def test_weights_alone_of_a_known_system(
    name: str, layout: str, systems: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_systems(monkeypatch)
    path = save(systems[name], tmp_path / ("net.weights.h5" if layout == "new" else "net.h5"))
    if layout == "old":
        as_keras2(path)
        weights_of_keras2(path)
    net = import_model(path, answers=Answers(like=name)).load()
    x = np.random.default_rng(1).normal(size=(2, net.in_channels, 32, 32)).astype(np.float32)
    with torch.inference_mode():
        logits = net(torch.from_numpy(x))
    found = logits.sigmoid() if name == "hassan2025" else logits.softmax(1)
    if name == "hassan2025":  # that of ragab2025 here concatenates skip and upsampled the other way round
        assert np.abs(found.numpy() - outputs(systems[name], x)).max() < 1e-4


def weights_of_keras2(path: Path) -> None:
    """Take the configuration out of a whole model, as `save_weights` of Keras 2 leaves it."""
    import h5py

    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
        for name in list(file["model_weights"]):
            file.move(f"model_weights/{name}", name)
        file.attrs["layer_names"] = file["model_weights"].attrs["layer_names"]
        del file["model_weights"]


# ---------------------------------------------------------------- layers one by one


def chain(*layers: Any) -> Any:
    """Return a model that applies layers one after another, then a 1 x 1 convolution."""
    x = start = L.Input((None, None, 3))
    for layer in layers:
        x = layer(x)
    return randomise(keras.Model(start, L.Conv2D(2, 1)(x)))


_CHAINS: dict[str, Callable[[], Any]] = {
    "convolution without bias": lambda: chain(L.Conv2D(4, 3, padding="same", use_bias=False)),
    "kernel of even sides": lambda: chain(L.Conv2D(4, (2, 4), padding="same")),
    "dilation": lambda: chain(L.Conv2D(4, 3, padding="same", dilation_rate=(2, 3))),
    "groups": lambda: chain(L.Conv2D(4, 1), L.Conv2D(6, 3, padding="same", groups=2)),
    "strides": lambda: chain(L.Conv2D(4, 3, strides=2, padding="same"), L.UpSampling2D()),
    "wide strides": lambda: chain(L.Conv2D(4, 5, strides=4, padding="same"), L.UpSampling2D(4)),
    "valid and zeros around": lambda: chain(L.ZeroPadding2D(((1, 2), (0, 1))), L.Conv2D(4, (4, 2))),
    "cropped": lambda: chain(L.ZeroPadding2D(3), L.Cropping2D(((1, 2), (3, 0))), L.Conv2D(4, (4, 4))),
    "depthwise": lambda: chain(L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)),
    "separable": lambda: chain(L.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, activation="elu")),
    "separable strides": lambda: chain(L.SeparableConv2D(5, 3, strides=2, padding="same"), L.UpSampling2D()),
    "transposed 2": lambda: chain(L.MaxPooling2D(), L.Conv2DTranspose(4, 2, strides=2)),
    "transposed 3": lambda: chain(L.MaxPooling2D(), L.Conv2DTranspose(4, 3, strides=2, padding="same")),
    "transposed 4": lambda: chain(L.MaxPooling2D(), L.Conv2DTranspose(4, 4, strides=2, padding="same")),
    "transposed 3 by 1": lambda: chain(L.Conv2DTranspose(4, 3, padding="same", activation="relu")),
    "batch norm": lambda: chain(L.Conv2D(4, 3, padding="same"), L.BatchNormalization(epsilon=0.05)),
    "batch norm without scale": lambda: chain(L.BatchNormalization(scale=False)),
    "batch norm without center": lambda: chain(L.Conv2D(4, 1), L.BatchNormalization(center=False)),
    "batch norm first": lambda: chain(L.BatchNormalization(), L.Conv2D(4, 3, padding="same")),
    "group norm": lambda: chain(L.Conv2D(4, 1), L.GroupNormalization(2)),
    "instance norm": lambda: chain(L.Conv2D(4, 1), L.GroupNormalization(-1, epsilon=1e-5)),
    "mean pooling": lambda: chain(L.AveragePooling2D(2), L.UpSampling2D(interpolation="bilinear")),
    "mean pooling at the edge": lambda: chain(L.AveragePooling2D(3, strides=1, padding="same")),
    "max pooling at the edge": lambda: chain(L.MaxPooling2D(3, strides=2, padding="same"), L.UpSampling2D()),
    "prelu": lambda: chain(L.Conv2D(4, 1), L.PReLU(shared_axes=[1, 2])),
    "leaky relu": lambda: chain(L.LeakyReLU(negative_slope=0.2)),
    "relu with limits": lambda: chain(L.ReLU(max_value=0.7, negative_slope=0.1)),
    "relu 6": lambda: chain(L.Rescaling(10.0), L.ReLU(max_value=6)),
    "elu": lambda: chain(L.ELU(alpha=0.7)),
    "softmax within": lambda: chain(L.Softmax()),
    "rescaling": lambda: chain(L.Rescaling(1 / 127.5, offset=-1)),
    "dense": lambda: chain(L.Dense(5, activation="tanh")),
    "of training only": lambda: chain(
        L.RandomFlip("horizontal"), L.Dropout(0.5), L.SpatialDropout2D(0.3), L.GaussianNoise(0.5)
    ),
    "activations by name": lambda: chain(
        *(L.Activation(name) for name in ("elu", "gelu", "hard_sigmoid", "leaky_relu", "relu6")),
        *(L.Activation(name) for name in ("selu", "silu", "softplus", "tanh", "exponential")),
    ),
}


@pytest.mark.parametrize("name", _CHAINS)
def test_each_layer_is_equal(name: str, tmp_path: Path) -> None:
    model = _CHAINS[name]()
    assert difference(model, save(model, tmp_path / "m.keras"), (24, 48)) < 1e-5


def certificate(path: Path) -> Certificate:
    answers = Answers(
        like="egwaoje2026", roles=(Role.FLAIR, Role.T1C, Role.T1)[: read(path, Answers()).channels]
    )
    origin = import_model(path, answers=answers).card.origin
    assert origin is not None
    assert origin.certificate is not None
    return origin.certificate


def attention() -> Any:
    """Return a U-Net level with an attention gate, squeeze and excitation, and every way to merge."""
    start = L.Input((None, None, 2))
    skip = L.Conv2D(4, 3, padding="same", activation="relu")(start)
    low = L.Conv2D(4, 3, padding="same")(L.MaxPooling2D()(skip))
    gate = L.Activation("relu")(L.add([L.Conv2D(4, 1, strides=2)(skip), low]))
    gate = L.UpSampling2D()(L.Conv2D(1, 1, activation="sigmoid")(gate))
    x = L.concatenate([L.multiply([skip, gate]), L.UpSampling2D()(low)])
    squeezed = L.Reshape((1, 1, 8))(L.Dense(8, activation="sigmoid")(L.GlobalAveragePooling2D()(x)))
    x = L.multiply([x, squeezed])
    both = [L.Conv2D(4, 1)(x), L.Conv2D(4, 1)(x)]
    x = L.concatenate([L.average(both), L.maximum(both), L.minimum(both), L.subtract(both)])
    return randomise(keras.Model(start, L.Activation("sigmoid")(L.Conv2D(1, 1)(x))))


def test_a_graph_with_gates(tmp_path: Path) -> None:
    model = attention()
    for ending in (".keras", ".h5"):
        assert difference(model, save(model, tmp_path / f"m{ending}"), (16, 24)) < 1e-5


def shared() -> Any:
    """Return a model that calls one layer twice."""
    start = L.Input((16, 16, 2))
    conv = L.Conv2D(2, 3, padding="same", activation="relu")
    return randomise(keras.Model(start, L.Conv2D(1, 1)(L.add([conv(start), conv(conv(start))]))))


def nested() -> Any:
    """Return a model whose encoder is a model of its own, with a sequence in it."""
    start = L.Input((16, 16, 2))
    inner = keras.Sequential([L.Conv2D(3, 3, padding="same"), L.BatchNormalization()])
    encoder = keras.Model(start, L.Conv2D(4, 1)(inner(L.Conv2D(2, 1)(start))))
    outer = L.Input((16, 16, 2))
    x = L.BatchNormalization()(L.Conv2D(5, 3, padding="same")(encoder(outer)))
    return randomise(keras.Model(outer, L.Conv2D(1, 1, activation="sigmoid")(x)))


def sequence() -> Any:
    return randomise(keras.Sequential([L.Input((16, 16, 1)), L.Conv2D(3, 3, padding="same"), L.Conv2D(1, 1)]))


@pytest.mark.parametrize("make", [shared, nested, sequence])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_other_shapes_of_models(make: Callable[[], Any], ending: str, tmp_path: Path) -> None:
    model = make()
    path = save(model, tmp_path / f"m{ending}")
    assert difference(model, path, (16, 16)) < 1e-5
    assert certificate(path).largest_difference < 1e-5


def test_a_network_that_differs_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_tumorseg.importing.keras import framework

    monkeypatch.setattr(framework, "_LEFT_OUT", (*framework._LEFT_OUT, "epsilon"))
    start = L.Input((16, 16, 1))
    x = L.BatchNormalization(epsilon=0.5)(start)
    path = save(randomise(keras.Model(start, L.Conv2D(1, 1)(x))), tmp_path / "m.keras")
    with pytest.raises(
        ModelError, match=r"m\.keras: the imported network differs from the original in Keras"
    ):
        import_model(path, answers=Answers(like="egwaoje2026"))
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_an_imported_model_segments_without_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras is not even imported: what is imported is this package's own network."""
    import subprocess
    import sys

    path = save(hassan(), tmp_path / "model.keras")
    code = (
        "import sys; sys.modules['keras'] = None\n"
        "from pathlib import Path; from napari_tumorseg.importing import *\n"
        f"model = import_model(Path({str(path)!r}), name='m', answers=Answers(like='hassan2025'))\n"
        "print(model.load().stride, model.card.origin.certificate)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["16", "None"]


@pytest.mark.parametrize("last", ["crop", "average", "concatenate"])
def test_an_activation_before_the_end_is_refused(last: str, tmp_path: Path) -> None:
    given = keras.Input((8, 8, 1))
    inside = L.ZeroPadding2D(2)(given) if last == "crop" else given
    one, other = (L.Conv2D(1, 1, activation="sigmoid")(inside) for _ in range(2))
    ends = {"crop": L.Cropping2D(2), "average": L.Average(), "concatenate": L.Concatenate()}
    path = save(keras.Model(given, ends[last](one if last == "crop" else [one, other])), tmp_path / "a.keras")
    with pytest.raises(ModelError, match=r"a\.keras: goes on after its last activation"):
        read(path, Answers())

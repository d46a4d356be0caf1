"""Gradients with respect to what layers returned against autograd used by hand."""

from __future__ import annotations

import copy
from collections import UserDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models
from netviz_core.captures.recorder import Recorder

from ..small import X, small_cnn

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def ones(parts: Mapping[str, nv.AxisArray]) -> dict[str, np.ndarray]:
    return {leaf: np.ones(part.shape) for leaf, part in parts.items() if part.values.dtype.kind == "f"}


def one_class(parts: Mapping[str, nv.AxisArray]) -> dict[str, np.ndarray]:
    derivative = np.zeros(parts[""].shape)
    derivative[:, 1] = 1
    return {"": derivative}


def pulled_back(model, x, layers="*", seed=one_class) -> tuple[nv.Capture, nv.Capture]:
    network = nv.wrap(model)
    chosen = network.select(layers)
    activations, gradients = Recorder(chosen), Recorder(chosen)
    network.adapter.gradients(model, x, seed, activations, gradients)
    return nv.Capture("torch", activations), nv.Capture("torch", gradients)


def assert_same_form(activations: nv.Capture, gradients: nv.Capture) -> None:
    assert list(activations) == list(gradients)
    for key in activations:
        assert activations[key].axes == gradients[key].axes
        assert activations[key].shape == gradients[key].shape
        assert activations[key].dtype == gradients[key].dtype


def by_finite_differences(model: nn.Module, layer: nn.Module, x: torch.Tensor, position: tuple) -> float:
    """How the score of class 1 changes with one number that the layer returns."""
    scores = []
    for step in (1e-4, -1e-4):

        def change(module, args, output, step=step):
            changed = output.clone()
            changed[position] += step
            return changed

        handle = layer.register_forward_hook(change)
        with torch.no_grad():
            scores.append(model(x)[:, 1].sum().item())
        handle.remove()
    return (scores[0] - scores[1]) / 2e-4


@pytest.mark.parametrize("path", ["0", "1", "2", "3", "5", "6"])
def test_finite_differences(path):
    model = small_cnn().double().eval()
    activations, gradients = pulled_back(model, X.double())
    layer, gradient = model.get_submodule(path), gradients[path].values
    smooth = np.abs(activations[path].values) > 1e-3  # where no maximum is shared and no ReLU bends
    largest = np.argsort((np.abs(gradient) * smooth).ravel())[-5:]
    for position in (np.unravel_index(index, gradient.shape) for index in largest):
        expected = by_finite_differences(model, layer, X.double(), position)
        assert gradient[position] == pytest.approx(expected, rel=1e-5, abs=1e-9)


def without_inplace(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return model


def by_hand(model: nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Of a model without in-place layers, each of which is called once."""
    kept: dict[str, torch.Tensor] = {}

    def keep(path):
        def hook(module, args, output):
            if path not in kept and isinstance(output, torch.Tensor):
                kept[path] = output
                output.retain_grad()

        return hook

    model = copy.deepcopy(model).eval()
    for path, module in model.named_modules():
        module.register_forward_hook(keep(path))
    model(x)[:, 1].sum().backward()
    return {path: tensor.grad.numpy() for path, tensor in kept.items()}


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v2", "squeezenet1_1"])
def test_layers_in_place_do_not_disturb(name):
    torch.manual_seed(0)
    model = models.get_model(name, num_classes=5)
    activations, gradients = pulled_back(model, IMAGES)
    assert_same_form(activations, gradients)
    plain_activations, plain = pulled_back(without_inplace(model), IMAGES)
    expected = by_hand(without_inplace(model), IMAGES)
    checked = 0
    for key in gradients:
        np.testing.assert_array_equal(activations[key].values, plain_activations[key].values)
        np.testing.assert_allclose(gradients[key].values, plain[key].values, atol=1e-6)
        if key in expected and "dropout" not in key and type(model.get_submodule(key)) is not nn.Dropout:
            np.testing.assert_allclose(gradients[key].values, expected[key], atol=1e-6, err_msg=key)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "convnext_tiny", "densenet121"])
def test_activations_and_axes_are_those_of_a_capture(name):
    torch.manual_seed(0)
    model = models.get_model(name, num_classes=5)
    activations, gradients = pulled_back(model, IMAGES)
    captured = nv.capture(model, IMAGES)
    assert list(activations) == list(captured)
    assert_same_form(activations, gradients)
    for key in captured:
        np.testing.assert_allclose(activations[key].values, captured[key].values, atol=1e-5)
        assert activations[key].axes == captured[key].axes
    assert dict(activations.coverage) == dict(captured.coverage)
    assert dict(gradients.coverage) == dict(captured.coverage)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(torch.relu_(self.layer(x)))


def test_layers_called_several_times():
    torch.manual_seed(0)
    model, x = Twice(), torch.randn(3, 4)
    activations, gradients = pulled_back(model, x)
    assert list(gradients) == ["layer:0", "layer:1", ""]
    assert_same_form(activations, gradients)
    last = gradients["layer:1"].values
    np.testing.assert_array_equal(last, [[0, 1, 0, 0]] * 3)
    weight = model.layer.weight.detach().numpy()
    np.testing.assert_allclose(
        gradients["layer:0"].values, last @ weight * (activations["layer:0"].values > 0), atol=1e-6
    )
    assert activations["layer:0"].values.min() < 0


def test_containers_and_their_last_layers_return_one_tensor():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)), nn.Linear(4, 2))
    _, gradients = pulled_back(model, torch.randn(3, 4))
    expected = np.tile(model[1].weight.detach().numpy()[1], (3, 1))
    np.testing.assert_array_equal(gradients["0"].values, expected)
    np.testing.assert_array_equal(gradients["0.1"].values, expected)
    np.testing.assert_array_equal(gradients[""].values, gradients["1"].values)


class Bypassed(nn.Module):
    """Its dropout returns its own input, which is used beside it too."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        h = self.first(x)
        return 3 * self.dropout(h) + 5 * h


def test_layers_that_return_their_input():
    _, gradients = pulled_back(Bypassed(), torch.randn(2, 4))
    np.testing.assert_array_equal(gradients["dropout"].values, [[0, 3, 0, 0]] * 2)
    np.testing.assert_array_equal(gradients["first"].values, [[0, 8, 0, 0]] * 2)


def test_views_written_to_later():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flatten = nn.Flatten()

        def forward(self, x):
            return self.flatten(x).mul_(3)

    activations, gradients = pulled_back(Model(), torch.ones(2, 2, 2))
    np.testing.assert_array_equal(gradients["flatten"].values, [[0, 3, 0, 0]] * 2)
    np.testing.assert_array_equal(activations["flatten"].values, np.ones((2, 4)))


def test_frozen_models():
    model = small_cnn()
    expected = pulled_back(model, X)[1]
    model.requires_grad_(False)
    _, gradients = pulled_back(model, X)
    for key in expected:
        np.testing.assert_array_equal(gradients[key].values, expected[key].values)
    assert not any(parameter.requires_grad for parameter in model.parameters())


@dataclass
class Pair:
    first: torch.Tensor
    second: torch.Tensor | None
    label: int


@pytest.mark.parametrize(
    ("packed", "leaf"),
    [
        (lambda h: (h, {"ids": h.argmax(1)}), "0"),
        (lambda h: {"hidden": [h, None], "name": "x"}, "hidden.0"),
        (lambda h: Pair(h, None, 3), "first"),
        (lambda h: torch.return_types.max((h, h.argmax(1))), "0"),
        (lambda h: nn.utils.rnn.PackedSequence(h, torch.tensor([2, 1])), "data"),
    ],
)
def test_structured_outputs(packed, leaf):
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return packed(self.linear(x))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            returned = self.inner(x)
            assert type(returned) is type(packed(x))
            tensor = next(
                part
                for part in (
                    getattr(returned, "first", None),
                    getattr(returned, "data", None),
                    returned["hidden"][0] if isinstance(returned, dict) else None,
                    returned[0] if isinstance(returned, tuple) else None,
                )
                if part is not None
            )
            return 2 * tensor

    _, gradients = pulled_back(Model(), torch.randn(3, 4))
    np.testing.assert_array_equal(gradients[f"inner#{leaf}"].values, [[0, 2, 0, 0]] * 3)
    assert [key for key in gradients if key.startswith("inner#")] == [f"inner#{leaf}"]


def test_recurrent_layers():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 4, 2, dropout=0.5, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0][:, -1]

    activations, gradients = pulled_back(Model(), torch.randn(2, 5, 3))
    assert_same_form(activations, gradients)
    assert gradients["lstm#0"].axes == ("batch", "time", "channel")
    assert not gradients["lstm#0"].values[:, :-1].any()
    np.testing.assert_array_equal(gradients["lstm#0"].values[:, -1], [[0, 1, 0, 0]] * 2)
    assert not gradients["lstm#1.0"].values.any()


def test_layers_on_which_nothing_depends_have_zeros():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 2), nn.Linear(4, 2, dtype=torch.bfloat16)

        def forward(self, x):
            self.unused(x.bfloat16())
            return self.used(x)

    activations, gradients = pulled_back(Model(), torch.randn(3, 4))
    assert_same_form(activations, gradients)
    np.testing.assert_array_equal(gradients["unused"].values, np.zeros((3, 2), np.float32))


@pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode])
def test_a_frozen_trunk_in_a_block_without_gradients(block):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)), nn.Linear(4, 2)

        def forward(self, x):
            with block():
                features = self.trunk(x)
            return self.head(features.clone())

    model = Model()
    _, gradients = pulled_back(model, torch.randn(3, 4))
    assert list(gradients) == ["head", ""]
    for path in ("trunk.0", "trunk.1", "trunk"):
        assert gradients.coverage[path].status == "unsupported"
        assert "ran inside the model's own torch.no_grad()" in gradients.coverage[path].reason


def test_of_probabilities_the_scores_are_asked():
    torch.manual_seed(0)
    scores = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 3))
    expected_activations, expected = pulled_back(scores, X.reshape(-1, 4))
    for last in (nn.Softmax(dim=1), nn.LogSoftmax(dim=1), nn.Sigmoid()):
        given = []

        def seed(parts, given=given):
            given.append(parts[""].values)
            return one_class(parts)

        model = nn.Sequential(*scores, last)
        _, gradients = pulled_back(model, X.reshape(-1, 4), seed=seed)
        np.testing.assert_array_equal(given[0], expected_activations[""].values)
        for path in ("0", "1", "2"):
            np.testing.assert_array_equal(gradients[path].values, expected[path].values)


def test_wrapped_models():
    expected = pulled_back(small_cnn(), X)[1]
    for wrapped in (
        nn.DataParallel(small_cnn()),
        torch.compile(small_cnn(), backend="eager"),
    ):
        _, gradients = pulled_back(wrapped, X)
        for key in expected:
            np.testing.assert_array_equal(gradients[key].values, expected[key].values)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_parts_say_why_not():
    model = nn.Sequential(torch.jit.script(nn.Linear(4, 4)), nn.Linear(4, 2))
    activations, gradients = pulled_back(model, torch.randn(3, 4))
    assert list(gradients) == ["1", ""]
    assert dict(gradients.coverage) == dict(activations.coverage)


class Labels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return self.linear(x).argmax(1)


class Detached(Labels):
    def forward(self, x):
        return self.linear(x).detach()


class Nothing(Labels):
    def forward(self, x):
        return "a text"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Labels(), "the model's output is int64, which cannot be differentiated; let it return scores"),
        (Detached(), "does not depend on the layers asked for, or is computed under torch.no_grad"),
        (Nothing(), "returned a str, in which no tensor"),
    ],
)
def test_what_cannot_be_differentiated(model, words):
    with pytest.raises(nv.UnsupportedError, match=words):
        pulled_back(model, torch.randn(2, 4))


class Named(nn.Module):
    """Takes its input by name, as models of Hugging Face do."""

    def __init__(self) -> None:
        super().__init__()
        self.model = small_cnn()

    def forward(self, pixel_values):
        return self.model(pixel_values)


def test_mappings_that_are_no_dict_are_named_inputs():
    model = Named()
    _, expected = pulled_back(model, {"pixel_values": X})
    _, gradients = pulled_back(model, UserDict(pixel_values=X))
    assert list(gradients) == list(expected)
    for path in gradients:
        np.testing.assert_array_equal(gradients[path].values, expected[path].values)


def test_inside_inference_mode_gradients_are_the_same():
    model = small_cnn()
    _, expected = pulled_back(model, X)
    with torch.inference_mode():
        for inputs in (X, X.clone()):
            _, gradients = pulled_back(model, inputs)
            for path in gradients:
                np.testing.assert_array_equal(gradients[path].values, expected[path].values)
        assert torch.is_inference_mode_enabled()


def test_models_made_in_inference_mode():
    with torch.inference_mode():
        model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(nv.UnsupportedError, match=r"'0.weight' was made under torch.inference_mode"):
        pulled_back(model, torch.randn(2, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_models():
    layers = nn.Sequential(nn.Identity(), nn.Linear(4, 2), nn.ReLU())
    model = torch.ao.quantization.quantize_dynamic(layers, {nn.Linear})
    with pytest.raises(nv.UnsupportedError, match="such as a quantized one"):
        pulled_back(model, torch.randn(2, 4), "0")
    _, gradients = pulled_back(model, torch.randn(2, 4))
    assert list(gradients) == ["1", "2", ""]
    assert "behind it lies an operation without a derivative" in gradients.coverage["0"].reason


def test_several_outputs_and_one_left_out():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x):
            h = self.layer(x)
            return {"scores": 2 * h, "other": 3 * h, "labels": h.argmax(1)}

    _, gradients = pulled_back(
        Model(), torch.randn(3, 4), "layer", lambda parts: {"scores": np.ones(parts["scores"].shape)}
    )
    np.testing.assert_array_equal(gradients["layer"].values, np.full((3, 2), 2))
    _, gradients = pulled_back(Model(), torch.randn(3, 4), "layer", ones)
    np.testing.assert_array_equal(gradients["layer"].values, np.full((3, 2), 5))
    _, gradients = pulled_back(Model(), torch.randn(3, 4), "layer", lambda parts: {})
    assert not gradients["layer"].values.any()
    with pytest.raises(nv.UnsupportedError, match="int64"):
        pulled_back(Model(), torch.randn(3, 4), "layer", lambda parts: {"labels": np.ones(3)})

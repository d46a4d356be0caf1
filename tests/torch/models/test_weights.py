"""Weights as they take effect, and what of them can be written."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import netviz_core as nv


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def normed(norm):
    torch.manual_seed(0)
    return norm(nn.Conv2d(3, 4, 3))


def custom():
    layer = nn.Linear(3, 4)
    parametrize.register_parametrization(layer, "weight", Doubled())
    return layer


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: normed(parametrizations.weight_norm),
        lambda: normed(parametrizations.spectral_norm),
        lambda: normed(nn.utils.weight_norm),
        lambda: normed(nn.utils.spectral_norm),
        lambda: prune.l1_unstructured(nn.Conv2d(3, 4, 3), "weight", 0.5),
        custom,
        lambda: parametrizations.orthogonal(nn.Linear(4, 4)),
    ],
)
def test_the_effective_weight_is_shown_and_the_model_stays(make):
    layer = make()
    before = copy.deepcopy(layer.state_dict())
    weights = nv.wrap(layer)[""].weights
    kernel = weights["kernel"]
    shown = kernel.numpy()
    assert {name for name in weights if name != "bias"} == {"kernel"}
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert layer.training
    layer.eval()
    dimensions = 2 if isinstance(layer, nn.Conv2d) else 0
    x = torch.randn(2, shown.shape[1], *(5,) * dimensions)
    function = nn.functional.conv2d if dimensions else nn.functional.linear
    with torch.no_grad():
        expected = function(x, torch.from_numpy(shown), layer.bias)
        torch.testing.assert_close(layer(x), expected)
    with pytest.raises(nv.UnsupportedError, match="computed from other weights"):
        kernel.assign(shown)


def test_a_stale_attribute_is_not_shown():
    """The old norms keep what they computed at the last call; what counts is what they would compute now."""
    with pytest.warns(FutureWarning, match="weight_norm"):
        layer = nn.utils.weight_norm(nn.Linear(3, 2))
    with torch.no_grad():
        layer.weight_g.mul_(3)
    kernel = nv.wrap(layer)[""].weights["kernel"].numpy()
    np.testing.assert_allclose(
        np.linalg.norm(kernel, axis=1), layer.weight_g.detach().numpy()[:, 0], rtol=1e-6
    )


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 6, 3, groups=2),
        nn.Conv2d(4, 8, 3, groups=4),
        nn.ConvTranspose2d(4, 6, 3, groups=2),
        nn.Linear(3, 4),
        nn.Embedding(5, 3),
        nn.BatchNorm2d(3),
        nn.LSTM(3, 4, 2, bidirectional=True),
        nn.GRU(3, 4),
        nn.GRUCell(3, 4),
        nn.MultiheadAttention(8, 2),
        nn.MultiheadAttention(8, 2, kdim=4, vdim=6),
        nn.Linear(3, 4, dtype=torch.bfloat16),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_is_assigned_is_read_back_bit_by_bit(layer):
    weights = nv.wrap(layer)[""].weights
    assert weights
    random = np.random.default_rng(0)
    given = {
        name: random.integers(-8, 8, weight.shape).astype(np.float32) for name, weight in weights.items()
    }
    for name, weight in weights.items():
        weight.assign(given[name])
    for name, weight in nv.wrap(layer)[""].weights.items():
        np.testing.assert_array_equal(weight.numpy(), given[name], err_msg=name)


def test_attention_counts_its_output_projection():
    layer = nn.MultiheadAttention(8, 2)
    output = nv.wrap(layer)[""].weights["output_kernel"]
    assert output.axes == ("out", "head", "head_dim")
    np.testing.assert_array_equal(output.numpy().reshape(8, 8), layer.out_proj.weight.detach().numpy())


def test_an_unbuilt_layer_says_that_it_is():
    model = nn.Sequential(nn.LazyConv2d(4, 3))
    assert nv.wrap(model)["0"].config["built"] is False
    with pytest.raises(nv.UnsupportedError, match="not built yet"):
        nv.kernels(model, "0")


def test_many_layers_are_listed_without_a_copy():
    with torch.device("meta"):
        large = nn.Linear(32_768, 32_768)
    assert nv.wrap(large)[""].weights["kernel"].shape == (32_768, 32_768)
    many = nn.Sequential(*(nn.Linear(1, 1) for _ in range(10_000)))
    assert sum(len(layer.weights) for layer in nv.wrap(many).layers.values()) == 20_000


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Conv2d(1, 1, 3, padding="same", dilation=2), {"padding": ((2, 2), (2, 2)), "dilation": (2, 2)}),
        (nn.Conv1d(1, 1, 4, padding="same"), {"padding": ((1, 2),), "kernel_size": (4,)}),
        (nn.Conv2d(1, 1, (3, 5), stride=2, padding=(1, 2)), {"padding": ((1, 1), (2, 2)), "stride": (2, 2)}),
        (nn.MaxPool2d(3, padding=1), {"kernel_size": (3, 3), "stride": (3, 3), "padding": ((1, 1), (1, 1))}),
        (nn.AvgPool2d(2, count_include_pad=False), {"count_include_pad": False, "pooling": "average"}),
        (nn.AvgPool2d(2, divisor_override=3), {"divisor": 3}),
        (nn.MaxPool1d(2), {"pooling": "max"}),
        (nn.AdaptiveAvgPool2d(1), {"pooling": "average", "output_size": (1, 1)}),
        (nn.AdaptiveMaxPool2d((None, 2)), {"pooling": "max", "output_size": (None, 2)}),
        (nn.ZeroPad2d((1, 2, 0, 3)), {"padding": ((0, 3), (1, 2)), "padding_mode": "zeros", "value": 0.0}),
        (nn.ConstantPad1d((1, 2), 3.0), {"padding": ((1, 2),), "padding_mode": "zeros", "value": 3.0}),
        (nn.ReflectionPad1d(1), {"padding": ((1, 1),), "padding_mode": "reflect"}),
        (nn.LayerNorm(3), {"axis": -1, "epsilon": 1e-5}),
        (nn.RMSNorm([3, 2]), {"axis": (-2, -1)}),
        (nn.Hardtanh(-1.0, 3.0), {"min_value": -1.0, "max_value": 3.0}),
        (nn.Softplus(beta=2), {"activation": "softplus", "beta": 2}),
        (nn.Softshrink(0.3), {"activation": "soft_shrink", "threshold": 0.3}),
        (nn.Threshold(0.3, 1.0), {"activation": "threshold", "threshold": 0.3, "default_value": 1.0}),
        (nn.RReLU(0.1, 0.3), {"activation": "rrelu", "negative_slope": pytest.approx(0.2)}),
        (nn.GELU(), {"activation": "gelu", "approximate": False}),
        (nn.GELU(approximate="tanh"), {"approximate": True}),
        (nn.BatchNorm2d(2, momentum=0.2), {"momentum": 0.2, "epsilon": 1e-5}),
        (nn.GroupNorm(2, 4), {"groups": 2}),
        (nn.Softmax(dim=-1), {"axis": -1}),
        (nn.RNN(2, 3, nonlinearity="relu"), {"activation": "relu", "units": 3}),
    ],
    ids=str,
)
def test_config(layer, expected):
    found = nv.wrap(layer)[""].config
    assert {name: found[name] for name in expected} == expected


def test_a_parameter_of_the_users_own_hides_none():
    class Mine(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 2)
            self.kernel = nn.Parameter(torch.zeros(5))

    weights = nv.wrap(Mine())[""].weights
    assert {name: weight.shape for name, weight in weights.items()} == {
        "kernel": (2, 3),
        "bias": (2,),
        "kernel_1": (5,),
    }


@pytest.mark.parametrize("of", ["model", "state dict", "capture"])
def test_a_weight_that_is_not_there_is_told_with_those_that_are(of: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    if of == "capture":
        layers = nv.capture(model, torch.ones(1, 3, 8, 8), complete=True).layers
    else:
        layers = nv.wrap(model if of == "model" else model.state_dict()).layers
    with pytest.raises(nv.LayerNotFoundError, match=r"there is no weight 'kernal'; did you mean 'kernel'\?"):
        layers["0"].weights["kernal"]
    assert layers["0"].weights.get("kernal") is None


def test_a_layer_without_weights_says_that_it_has_none() -> None:
    with pytest.raises(nv.LayerNotFoundError, match="has none of its own"):
        nv.wrap(nn.Sequential(nn.ReLU()))["0"].weights["kernel"]

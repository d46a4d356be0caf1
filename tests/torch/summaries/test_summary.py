"""Summaries of PyTorch models, beside what PyTorch itself counts and published figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.torchvision_models import models
from netviz_core.summaries.summary import summary
from netviz_core.words.errors import InputError, LayerNotFoundError

ARCHITECTURES = """
    alexnet convnext_tiny convnext_base densenet121 densenet161 densenet201 efficientnet_b0 efficientnet_b4
    efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet1_3 mobilenet_v2 mobilenet_v3_large
    mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet34 resnet50 resnet101 resnet152
    resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b swin_t swin_v2_t
    vgg11 vgg16_bn vgg19 vit_b_16 vit_h_14 wide_resnet50_2
""".split()

PUBLISHED = {
    "resnet18": 1.814e9,
    "resnet50": 4.089e9,
    "vgg16": 15.47e9,
    "mobilenet_v2": 0.301e9,
    "densenet121": 2.834e9,
    "vit_b_16": 17.564e9,
}
"""Multiply-accumulates of one picture of 224 × 224, from the tables of torchvision."""


def built(name: str) -> nn.Module:
    """A model without values, which takes no time; a RegNet computes its sizes with tensors."""
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return getattr(models, name)(**options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_totals_are_those_of_torch(name: str) -> None:
    model = built(name)
    found = summary(model)
    unique = {id(parameter): parameter.numel() for parameter in model.parameters()}
    assert found.total_parameters == sum(unique.values())
    assert sum(row.own_parameters for row in found.rows) == found.total_parameters
    assert found.trainable_parameters == found.total_parameters
    assert found.parameter_bytes == 4 * found.total_parameters
    for row in found.rows:
        assert row.parameters == sum(p.numel() for p in model.get_submodule(row.path).parameters()), row.path


@pytest.mark.parametrize("name", PUBLISHED)
def test_multiply_accumulates_are_those_published(name: str) -> None:
    found = summary(built(name).to_empty(device="cpu"), input_shape=(1, 3, 224, 224))
    assert found.multiply_accumulates == pytest.approx(PUBLISHED[name], rel=0.002)
    assert not found.is_lower_bound


@pytest.mark.parametrize(
    "name", ["resnet18", "resnext50_32x4d", "mobilenet_v3_small", "shufflenet_v2_x0_5", "convnext_tiny"]
)
def test_multiply_accumulates_are_those_of_the_flop_counter(name: str) -> None:
    model, x = getattr(models, name)().eval(), torch.randn(2, 3, 64, 64)
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert summary(model, x).multiply_accumulates == counter.get_total_flops() // 2


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2), (2, 4, 11)),
    "conv3d": (lambda: nn.Conv3d(4, 6, 3, groups=2), (2, 4, 5, 6, 7)),
    "depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4, dilation=2), (2, 4, 9, 9)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 6)),
    "grouped and transposed": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2), (2, 4, 7)),
    "dense": (lambda: nn.Linear(4, 6), (2, 5, 4)),
    "attention": (lambda: Attending(batch_first=True), (2, 5, 8)),
    "attention, time first": (lambda: Attending(batch_first=False), (5, 2, 8)),
}


class Attending(nn.Module):
    """Attention of a sequence to itself, by PyTorch's plain way, of which its counter sees each product."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=True)[0]


@pytest.mark.parametrize("name", LAYERS)
def test_each_kind_multiplies_as_the_flop_counter_says(name: str) -> None:
    make, shape = LAYERS[name]
    model, x = nn.Sequential(make()), torch.randn(shape)
    with FlopCounterMode(display=False) as counter:
        model(x)  # in training mode, which takes no fused way
    assert summary(model, x).multiply_accumulates == counter.get_total_flops() // 2 > 0


def test_attention_to_another_sequence() -> None:
    class Crossing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=4, batch_first=True)

        def forward(self, x: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            return self.attention(x, key=key, value=value)[0]

    model, given = Crossing(), (torch.randn(2, 5, 8), torch.randn(2, 3, 6), torch.randn(2, 3, 4))
    with FlopCounterMode(display=False) as counter:
        model(*given)
    assert summary(model, given).multiply_accumulates == counter.get_total_flops() // 2


@pytest.mark.parametrize(("cls", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_a_recurrent_layer_counts_every_step(cls: Any, gates: int) -> None:
    found = summary(cls(3, 5, num_layers=2, bidirectional=True, batch_first=True), input_shape=(2, 7, 3))
    each_step = gates * 2 * (5 * 3 + 5 * 5 + 5 * 10 + 5 * 5)
    assert found.multiply_accumulates == 2 * 7 * each_step
    assert found.rows[0].outputs[0].axes == ("batch", "time", "channel")


@pytest.mark.parametrize(
    "name", ["resnet18", "googlenet", "mobilenet_v3_small", "shufflenet_v2_x0_5", "swin_t"]
)
def test_shapes_are_those_that_layers_were_given_and_returned(name: str) -> None:
    model = getattr(models, name)(**({"init_weights": False} if name == "googlenet" else {})).eval()
    x = torch.randn(1, 3, 64, 64)
    given: dict[str, torch.Size] = {}
    returned: dict[str, torch.Size] = {}

    def listen(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            given.setdefault(path, args[0].shape)
            if isinstance(output, torch.Tensor):
                returned.setdefault(path, output.shape)

        return hook

    handles = [module.register_forward_hook(listen(path)) for path, module in model.named_modules()]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    found = summary(model, x)
    assert len(returned) > 20
    for row in found.rows:
        assert (row.output_shape is not None) == (row.path in returned) or not row.calls, row.path
        if row.path in returned:
            # Channels stand first in canonical order, wherever a layer keeps them.
            assert sorted(row.output_shape or ()) == sorted(returned[row.path]), row.path
            assert sorted(row.input_shape or ()) == sorted(given[row.path]), row.path
            if "Permute" not in row.type_name and name != "swin_t":
                assert row.output_shape == tuple(returned[row.path])


class Tied(nn.Module):
    """An embedding whose kernel is that of the layer at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.middle = nn.Linear(4, 4)
        self.head = nn.Linear(4, 11, bias=False)
        self.head.weight = self.embed.weight
        self.middle.weight.requires_grad_(False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.middle(self.middle(self.embed(tokens))))


def test_what_is_tied_counts_once_and_where_it_stands_first() -> None:
    found = summary(Tied(), input_shape=(2, 5))
    assert found.total_parameters == 44 + 20
    assert found.trainable_parameters == 44 + 4
    assert (found["embed"].parameters, found["head"].parameters) == (44, 0)
    assert found["head"].shared_with == "embed"
    assert "parameters counted once: head with embed" in found.notes
    assert "shared" in str(found)


def test_a_layer_that_runs_twice_has_one_row_and_multiplies_twice() -> None:
    row = summary(Tied(), input_shape=(2, 5))["middle"]
    assert row.calls == 2
    assert row.multiply_accumulates == 2 * 2 * 5 * 16
    assert row.output_bytes == 2 * 2 * 5 * 4 * 4


def test_tokens_are_made_for_an_embedding() -> None:
    found = summary(Tied(), input_shape=(2, 5))
    assert (found.inputs[0].dtype, found.inputs[0].shape) == ("int64", (2, 5))
    assert found["embed"].multiply_accumulates == 0


def test_several_inputs() -> None:
    class Sum(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a + b

    found = summary(Sum(), input_shape=[(2, 3), (1, 3)])
    assert [form.shape for form in found.inputs] == [(2, 3), (1, 3)]
    assert "+1" in str(found)


def test_buffers_are_no_parameters_and_parametrized_weights_count_as_torch_counts() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)), nn.BatchNorm1d(6))
    found = summary(model, input_shape=(2, 4))
    assert found.total_parameters == sum(p.numel() for p in model.parameters()) == 24 + 6 + 6 + 12
    assert sum(row.own_parameters for row in found.rows) == found.total_parameters
    assert found["0"].multiply_accumulates == 2 * 24


def test_memory_goes_by_dtype() -> None:
    found = summary(nn.Sequential(nn.Linear(4, 6)).to(torch.bfloat16), input_shape=(2, 4))
    assert (found.parameter_bytes, found.output_bytes) == (2 * 30, 2 * 12)
    assert found["0"].outputs[0].dtype == "bfloat16"


def test_what_did_not_run_says_why_and_makes_the_total_a_lower_bound() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    found = summary(Partly(), torch.randn(1, 4))
    assert found.is_lower_bound
    assert found["idle"].reason == "it did not run during the pass"
    assert any("idle" in note for note in found.notes)


def test_a_custom_layer_with_a_matrix_is_not_known() -> None:
    class Custom(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.ones(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.matrix

    found = summary(nn.Sequential(Custom(), nn.Linear(4, 2)), torch.randn(3, 4))
    assert found["0"].multiply_accumulates is None
    assert found.multiply_accumulates == 3 * 8
    assert "at least 24 multiply-accumulates" in str(found)


def test_the_model_stays_as_it_was() -> None:
    model = models.resnet18().train()
    model.bn1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    summary(model, input_shape=(2, 3, 64, 64))
    assert torch.equal(state, torch.get_rng_state())
    assert [module.training for module in (model, model.layer1, model.bn1)] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_without_an_input_there_are_no_shapes() -> None:
    found = summary(models.resnet18())
    assert found["conv1"].output_shape is None
    assert found.multiply_accumulates is None
    assert "output" not in str(found).splitlines()[0]
    assert any("no input was given" in note for note in found.notes)


def test_of_a_lazy_model_counts_what_is_there() -> None:
    found = summary(nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 2)))
    assert found.total_parameters == 8


def test_what_the_model_raises_passes_through() -> None:
    class Failing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        summary(Failing(), torch.ones(1))
    with pytest.raises(InputError, match="takes"):
        summary(models.resnet18(), input_shape=(1, 4, 32, 32))


def test_layers_choose_rows_and_totals_stay() -> None:
    found = summary(models.resnet18(), layers="layer1.*conv*")
    assert [row.path for row in found.rows] == [f"layer1.{i}.conv{j}" for i in (0, 1) for j in (1, 2)]
    assert found.total_parameters == 11_689_512
    assert "layer1.0.conv1 " in str(found)
    with pytest.raises(LayerNotFoundError, match="layer1"):
        summary(models.resnet18(), layers="layerr1")


def test_a_long_summary_says_what_it_folds() -> None:
    model = models.densenet201()
    found = summary(model)
    text = found.to_text(80)
    assert len(found.rows) == sum(1 for _ in model.modules()) > 700
    assert len(text.splitlines()) < 215
    assert "folded below depth" in text
    everything = found.arranged(depth=9).to_text()
    assert len(everything.splitlines()) > len(found.rows)
    assert math.isclose(found.rows[0].share, 1.0)


def named(*names: str) -> nn.Module:
    """Linear layers one after another, of whatever names."""
    model = nn.Module()
    for name in names:
        model.add_module(name, nn.Linear(4, 4))
    model.forward = lambda x: [x := layer(x) for layer in model.children()][-1]
    return model


def test_a_slash_in_a_name_puts_no_layer_into_another():
    found = summary(named("a", "a/b", "c"), torch.zeros(2, 4))
    assert [(row.path, row.parent, row.parameters) for row in found.rows[1:]] == [
        ("a", "", 20),
        ("a/b", "", 20),
        ("c", "", 20),
    ]
    assert found.multiply_accumulates == 3 * 2 * 16
    assert "  a/b" in str(found)


def test_what_a_layer_returns_counts_where_nothing_ran_within_it():
    found = summary(nn.MultiheadAttention(8, 2, batch_first=True), tuple(torch.zeros(3, 1, 5, 8)))
    assert found.output_bytes == 4 * (5 * 8 + 5 * 5)


def test_the_pass_over_a_layer_of_unknown_cost_is_described():
    found = summary(nn.Bilinear(2, 2, 3), (torch.zeros(1, 2), torch.zeros(1, 2)))
    assert "at least 0 multiply-accumulates" in str(found)

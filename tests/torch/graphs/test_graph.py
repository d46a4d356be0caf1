"""The data flow of PyTorch models: every node and edge of small ones, and what published ones must show."""

from __future__ import annotations

import copy
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models

IMAGES = torch.linspace(-1, 1, 2 * 3 * 64).reshape(2, 3, 8, 8)
ROWS = torch.linspace(-1, 1, 8).reshape(2, 4)


def edges(graph: nv.Graph) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in graph.edges}


def chain(*ids: str) -> set[tuple[str, str]]:
    return set(pairwise(ids))


class Block(nn.Module):
    """A residual block that works in place wherever it can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout()
        self.idle = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = x
        x = self.drop(self.relu(self.conv(x)))
        x = self.idle(x)
        x += before
        return self.relu(x)


class Mixed(nn.Module):
    """Layers, functions, methods and operators."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = Block()
        self.shift = nn.Parameter(torch.zeros(4, 1, 1))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stem = F.relu(self.stem(x), inplace=True) + self.shift.expand(4, 8, 8)
        both = torch.cat([self.block(stem), stem.detach().contiguous().clone()], 1)
        pooled = F.adaptive_avg_pool2d(both, 1).view(x.size(0), -1)
        return self.head(pooled).softmax(-1)


def test_every_node_and_edge_of_a_small_model() -> None:
    graph = nv.graph(Mixed(), IMAGES)
    assert [(node.id, node.kind, node.label, node.group) for node in graph.nodes] == [
        ("input", "input", "input", ""),
        ("stem", "conv2d", "conv2d 3×3", ""),
        ("relu", "activation", "relu", ""),
        ("add", "other", "add", ""),
        ("block.conv", "conv2d", "conv2d 3×3", "block"),
        ("block.relu", "activation", "relu", "block"),
        ("block.drop", "dropout", "dropout", "block"),
        ("block.idle", "other", "Identity", "block"),
        ("block/add", "merge", "add", "block"),
        ("block.relu:1", "activation", "relu", "block"),
        ("concatenate", "merge", "concatenate", ""),
        ("adaptive_average_pool", "pool", "adaptive_average_pool", ""),
        ("flatten", "reshape", "flatten", ""),
        ("head", "dense", "dense", ""),
        ("softmax", "activation", "softmax", ""),
        ("output", "other", "output", ""),
    ]
    block = chain(
        "add",
        "block.conv",
        "block.relu",
        "block.drop",
        "block.idle",
        "block/add",
        "block.relu:1",
        "concatenate",
    )
    assert edges(graph) == (
        chain("input", "stem", "relu", "add")
        | block
        | {("add", "block/add"), ("add", "concatenate")}
        | chain("concatenate", "adaptive_average_pool", "flatten", "head", "softmax", "output")
    )
    assert len(graph.edges) == 17


def test_edges_carry_shapes_with_the_names_of_axes() -> None:
    graph = nv.graph(Mixed(), IMAGES)
    described = {(edge.source, edge.target): (edge.axes, edge.shape) for edge in graph.edges}
    assert described["stem", "relu"] == (("batch", "channel", "y", "x"), (2, 4, 8, 8))
    assert described["concatenate", "adaptive_average_pool"][1] == (2, 8, 8, 8)
    assert described["flatten", "head"] == (("batch", "channel"), (2, 8))
    assert graph["block/add"].output_axes == ("batch", "channel", "y", "x")


def test_named_axes_of_the_input_are_on_its_edge() -> None:
    pictures = nv.images(np.zeros((1, 8, 8, 3), np.float32))
    (edge,) = (edge for edge in nv.graph(Mixed(), pictures).edges if edge.source == "input")
    assert edge.axes == ("batch", "channel", "y", "x")
    assert edge.shape == (1, 3, 8, 8)


def test_a_shared_layer_is_one_node_with_several_calls() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.twin = nn.Linear(4, 4)

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return torch.abs(self.twin(left) - self.twin(self.twin(right)))

    graph = nv.graph(Shared(), (ROWS, ROWS + 1))
    assert graph["twin"].calls == 3
    assert Counter(graph.sources("twin")) == {"input": 1, "input:1": 1, "twin": 1}
    assert graph.sources("subtract") == ["twin", "twin"]
    assert graph["twin"].caption == "dense · 3 calls"


def run(function: Any, *inputs: torch.Tensor) -> nv.Graph:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(1, 1)

        def forward(self, *given: torch.Tensor) -> Any:
            return function(*given)

    return nv.graph(Wrapper(), inputs or (ROWS,))


def write_through_a_view(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    y[:, :2].relu_()
    return y


def write_into_a_buffer(x: torch.Tensor) -> torch.Tensor:
    buffer = torch.zeros(2, 8)
    buffer[:, :4] = x
    buffer[:, 4:].copy_(x.exp())
    return buffer


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x.view(2, 2, 2).flatten(1) @ x.T, chain("input", "unflatten", "flatten", "matmul", "output")
         | chain("input", "transpose", "matmul")),
        (lambda x: 1 - x / 2, chain("input", "divide", "subtract", "output")),
        (lambda x: x.reshape(2, 4).to("cpu").float() ** 2, chain("input", "power", "output")),
        (lambda x: x.double().half(), chain("input", "cast", "cast:1", "output")),
        (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), chain("input", "greater", "where", "output")
         | {("input", "where")}),
        (lambda x: torch.stack(x.chunk(2, 1)).max(0).values, chain("input", "split", "stack", "max", "output")),
        (lambda x: torch.max(x, x.flip(0)), chain("input", "flip", "maximum", "output") | {("input", "maximum")}),
        (lambda x: F.dropout(x, training=False).tanh(), chain("input", "tanh", "output")),
        (lambda x: torch.einsum("bi,bi->b", x, x), chain("input", "einsum", "output")),
        (lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None]),
         {("input", "slice"), ("input", "slice:1"), ("input", "slice:2"), ("slice", "attention"),
          ("slice:1", "attention"), ("slice:2", "attention"), ("attention", "output")}),
        (lambda x: {"a": x.sum(1), "b": [x.mean(1)]}, chain("input", "sum", "output")
         | chain("input", "mean", "output")),
        (write_through_a_view, chain("input", "multiply", "slice", "relu", "output")),
        (write_into_a_buffer, chain("input", "scatter", "slice", "scatter:1", "output")
         | chain("input", "exp", "scatter:1")),
    ],
)  # fmt: skip
def test_functions_and_methods(function: Any, expected: set[tuple[str, str]]) -> None:
    assert edges(run(function)) == expected


def test_what_no_input_reaches_is_left_out() -> None:
    graph = run(lambda x: x + torch.arange(4).float().mul(2).unsqueeze(0))
    assert [node.id for node in graph.nodes] == ["input", "add", "output"]
    assert graph["add"].kind == "other"  # with one input it merges nothing


def test_a_layer_that_returns_what_it_was_given_stands_in_the_chain() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.idle = nn.Dropout(), nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.idle(self.drop(x)) + x

    assert edges(nv.graph(Skip(), ROWS)) == chain("input", "drop", "idle", "add", "output") | {
        ("input", "add")
    }


def test_what_layers_with_layers_of_their_own_do_inside_is_not_told() -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 6, batch_first=True)
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y, (hidden, _) = self.lstm(x)
            return self.attention(y, y, y)[0].mean(1) + hidden[-1]

    graph = nv.graph(Sequence(), torch.zeros(2, 5, 4))
    assert edges(graph) == chain("input", "lstm", "attention", "mean", "add", "output") | chain(
        "lstm", "slice", "add"
    )
    assert [node.kind for node in graph.nodes][1:3] == ["lstm", "attention"]


def test_one_layer_alone_is_a_model_too() -> None:
    graph = nv.graph(nn.Linear(4, 2), ROWS)
    assert edges(graph) == chain("input", "Linear", "output")
    assert graph["Linear"].kind == "dense"


def test_the_model_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    model = Mixed().train()
    model.block.eval()
    before = copy.deepcopy(model.state_dict())
    given, state = IMAGES.clone(), torch.get_rng_state()
    nv.graph(model, given)
    assert torch.equal(given, IMAGES)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model.block.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_model_that_fails_raises_its_own_error_and_keeps_no_hooks() -> None:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError(f"on purpose after {self.layer(x).shape}")

    model = Failing()
    with pytest.raises(KeyError, match="on purpose"):
        nv.graph(model, ROWS)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_no_input_and_a_wrong_one_are_said() -> None:
    with pytest.raises(nv.InputError, match=r"None was given as input; give an array"):
        nv.graph(Mixed())
    with pytest.raises(nv.InputError, match=r"layer 'stem' \(conv2d\) takes \(batch, channel=3, y, x\)"):
        nv.graph(Mixed(), torch.zeros(1, 4, 8, 8))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused_by_name() -> None:
    model = nn.Sequential(torch.jit.script(nn.ReLU()))
    with pytest.raises(nv.UnsupportedError, match="layer '0' is TorchScript"):
        nv.graph(model, ROWS)


@pytest.fixture(scope="module")
def resnet50() -> nv.Graph:
    torch.manual_seed(0)
    return nv.graph(models.resnet50(weights=None), torch.zeros(1, 3, 64, 64))


def test_every_residual_addition_of_a_resnet_has_two_inputs(resnet50: nv.Graph) -> None:
    additions = [node for node in resnet50.nodes if node.label == "add"]
    assert len(additions) == 16
    assert all(len(resnet50.sources(node.id)) == 2 and node.kind == "merge" for node in additions)
    assert set(resnet50.sources("layer1.0/add")) == {"layer1.0.bn3", "layer1.0.downsample.1"}
    assert set(resnet50.sources("layer1.1/add")) == {"layer1.1.bn3", "layer1.0.relu:2"}


def test_a_resnet_folds_to_its_blocks(resnet50: nv.Graph) -> None:
    folded = resnet50.fold(depth=2)
    blocks = [(node.id, node.caption) for node in folded.nodes if node.kind == "container"]
    assert blocks == [
        ("layer1.0", "Bottleneck"),
        ("layer1.1", "Bottleneck ×2"),
        ("layer2.0", "Bottleneck"),
        ("layer2.1", "Bottleneck ×3"),
        ("layer3.0", "Bottleneck"),
        ("layer3.1", "Bottleneck ×5"),
        ("layer4.0", "Bottleneck"),
        ("layer4.1", "Bottleneck ×2"),
    ]
    assert edges(folded) == chain(*(node.id for node in folded.nodes))
    assert folded["layer3.1"].output_shape == (1, 1024, 4, 4)
    assert len(resnet50.fold(depth=2, repeats=False).nodes) == 25


def test_branches_and_concatenations_of_googlenet() -> None:
    graph = nv.graph(models.googlenet(weights=None, init_weights=False), torch.zeros(1, 3, 64, 64))
    joined = [node for node in graph.nodes if node.label == "concatenate"]
    assert len(joined) == 9
    for node in joined:
        branches = graph.sources(node.id)
        assert [re.split("[./]", branch)[1] for branch in branches] == [
            "branch1",
            "branch2",
            "branch3",
            "branch4",
        ]
        made = [graph[branch].output_shape[1] for branch in branches]
        assert node.output_shape[1] == sum(made)
    assert Counter(graph.targets("maxpool2")) == dict.fromkeys(
        ("inception3a.branch1.conv", "inception3a.branch2.0.conv", "inception3a.branch3.0.conv",
         "inception3a.branch4.0"), 1
    )  # fmt: skip


def test_every_layer_of_a_dense_block_reads_all_before_it() -> None:
    graph = nv.graph(models.densenet121(weights=None), torch.zeros(1, 3, 32, 32))
    block = "features.denseblock1"
    joined = [node.id for node in graph.nodes if node.label == "concatenate" and node.path.startswith(block)]
    assert [len(graph.sources(id)) for id in joined] == [1, 2, 3, 4, 5, 6, 7]


def test_a_transformer_encoder() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    graph = nv.graph(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), torch.zeros(2, 5, 8))
    assert set(graph.sources("layers.1/add")) == {"layers.1.dropout1", "layers.0.norm2"}
    assert set(graph.sources("layers.1/add:1")) == {"layers.1.dropout2", "layers.1.norm1"}
    folded = graph.fold("layers.*")
    assert [node.caption for node in folded.nodes] == ["input", "TransformerEncoderLayer ×3", "output"]


def test_the_skips_of_a_u_net() -> None:
    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.deep = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
            self.up = nn.ConvTranspose2d(8, 4, 2, 2)
            self.last = nn.Conv2d(8, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            skip = self.down(x).relu()
            deep = self.deep(F.max_pool2d(skip, 2)).relu_()
            return self.last(torch.cat((self.up(deep), skip), dim=1)).sigmoid()

    graph = nv.graph(UNet(), IMAGES)
    assert edges(graph) == chain(
        "input",
        "down",
        "relu",
        "max_pool",
        "deep",
        "relu:1",
        "up",
        "concatenate",
        "last",
        "sigmoid",
        "output",
    ) | {("relu", "concatenate")}


@pytest.mark.parametrize(
    ("name", "side"),
    [("mobilenet_v3_small", 32), ("swin_t", 32), ("convnext_tiny", 32), ("shufflenet_v2_x0_5", 32)],
)
def test_all_of_a_published_model_lies_between_input_and_output(name: str, side: int) -> None:
    graph = nv.graph(getattr(models, name)(weights=None), torch.zeros(1, 3, side, side))
    targets: dict[str, set[str]] = {}
    for source, target in edges(graph):
        targets.setdefault(source, set()).add(target)
    reached, waiting = {"input"}, ["input"]
    while waiting:
        new = targets.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    assert reached == {node.id for node in graph.nodes}
    assert [node.id for node in graph.nodes if node.id not in targets] == ["output"]


def test_names_of_any_characters_are_written_out():
    names = ["`tick`", "a&amp;b", 'q"x', "new\nline", "<b>"]
    model = nn.Sequential()
    for name in names:
        model.add_module(name, nn.Sequential(nn.Linear(2, 2)))
    found = nv.graph(model, torch.zeros(1, 2))
    assert len(str(found).splitlines()) == 1 + len(found.nodes)
    titles = [line for line in found.to_mermaid().splitlines() if "subgraph" in line]
    assert titles[0].strip() == 'subgraph g0["#96;tick#96; (Sequential)"]'
    assert titles[1].strip() == 'subgraph g1["a#amp;amp;b (Sequential)"]'
    assert titles[3].strip() == 'subgraph g3["new<br>line (Sequential)"]'

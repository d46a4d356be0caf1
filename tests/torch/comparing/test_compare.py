"""One fault planted in one of two equal PyTorch networks: where it is found, as what, and whether confirmed."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from netviz_core import Comparison

from .faulty import (
    CHANNELS,
    FAULTS,
    FEATURES,
    IMAGES,
    SEQUENCES,
    ImageNet,
    Residual,
    SequenceNet,
    compared,
    conv,
    copied,
    norm,
    pair,
    settled,
)

DEPTHS = {"small": 0, "deep": 4}


def confirmed(found: Comparison) -> set[str]:
    return {cause.name for cause in found.causes if cause.confirmed}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_layer_is_found_named_and_confirmed(name: str, depth: str, turned: bool) -> None:
    fault = FAULTS[name]
    right, wrong = pair(fault, DEPTHS[depth])
    found, paths = compared(turned, right, wrong, IMAGES if fault.network is ImageNet else SEQUENCES)
    assert paths == ["slot", "slot"]
    assert fault.cause in confirmed(found)


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_same_networks_agree(depth: str) -> None:
    for fault in FAULTS.values():
        right, _ = pair(fault, DEPTHS[depth])
        x = IMAGES if fault.network is ImageNet else SEQUENCES
        found = nv.compare(right, copied(right), x)
        assert found.agrees
        assert not found.causes
        assert not found.unmatched_a
        assert not found.unmatched_b


@pytest.mark.parametrize("depth", DEPTHS)
def test_dropout_that_is_on_makes_a_model_that_is_not_deterministic(depth: str, turned: bool) -> None:
    right, wrong = pair(FAULTS["dropout"], DEPTHS[depth])
    found, _ = compared(turned, right, wrong, SEQUENCES)
    (nondeterministic,) = (cause for cause in found.causes if cause.name == "not deterministic")
    assert (nondeterministic.path_a if turned else nondeterministic.path_b) == "slot"
    assert (nondeterministic.path_b if turned else nondeterministic.path_a) == ""


@pytest.mark.parametrize("depth", DEPTHS)
def test_momentum_shows_in_training_alone(depth: str, turned: bool) -> None:
    right, wrong = (settled(ImageNet(norm(momentum=momentum), DEPTHS[depth])) for momentum in (0.1, 0.01))
    found, paths = compared(turned, right, wrong, IMAGES)
    (cause,) = found.causes
    assert not paths
    assert cause.name == "momentum"
    assert "training will differ" in cause.text
    assert (cause.path_a, cause.path_b) == ("slot", "slot")


@pytest.mark.parametrize("depth", DEPTHS)
def test_padding_by_a_layer_of_its_own(depth: str, turned: bool) -> None:
    right = settled(ImageNet(conv(stride=2), DEPTHS[depth]))
    wrong = copied(right)
    convolution = conv(stride=2, padding=0)
    convolution.load_state_dict(right.slot.state_dict())
    wrong.slot = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), convolution).eval()
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == ["slot", "slot.1"]
    assert "padding" in confirmed(found)


# What is done between layers.


class Block(nn.Module):
    """A residual block whose functions are no layers."""

    def __init__(self, **changed) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(), norm()
        self.conv2, self.bn2 = conv(), norm()
        self.inside = changed.get("inside", F.relu)
        self.add = changed.get("add", torch.add)
        self.last = changed.get("last", F.relu)

    def forward(self, x):
        y = self.bn2(self.conv2(self.inside(self.bn1(self.conv1(x)))))
        return self.last(self.add(y, x))


class Blocks(nn.Module):
    def __init__(self, count: int, place: int, **changed) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.body = nn.ModuleList(Block(**(changed if place == number else {})) for number in range(count))
        self.head = nn.Linear(CHANNELS, 5)

    def forward(self, x):
        x = self.stem(x)
        for block in self.body:
            x = block(x)
        return self.head(x.mean((2, 3)))


BETWEEN = {
    "activation": ("activation", {"inside": F.gelu}),
    "activation after an addition": ("activation", {"last": F.silu}),
    "slope": ("slope", {"inside": lambda x: F.leaky_relu(x, 0.2)}),
    "missing addition": ("addition", {"add": lambda y, x: y}),
    "dropout": ("dropout", {"inside": lambda x: F.dropout(F.relu(x), 0.5, training=True)}),
    "precision": ("precision", {"inside": lambda x: F.relu(x).half().float()}),
    "transposed maps": ("layout", {"inside": lambda x: F.relu(x).transpose(2, 3)}),
    "maps read in another order": ("layout", {"inside": lambda x: F.relu(x).permute(0, 2, 3, 1).reshape(x.shape)}),
    "scale": ("scale", {"inside": lambda x: F.relu(x) * 2}),
}  # fmt: skip


@pytest.mark.parametrize(("count", "place"), [(1, 0), (5, 0), (5, 3), (5, 4)])
@pytest.mark.parametrize("name", BETWEEN)
def test_what_is_done_between_layers(name: str, count: int, place: int, turned: bool) -> None:
    cause, changed = BETWEEN[name]
    if (name, place) == (
        "precision",
        4,
    ):  # averaged at once, it is less than what rounding does to the output
        place = 2
    right = settled(Blocks(count, place))
    wrong = Blocks(count, place, **changed).eval()
    wrong.load_state_dict(right.state_dict())
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == [f"body.{place}"] * 2
    assert cause in confirmed(found)


# Orders: of features, of axes, of layers.


class Flattens(nn.Module):
    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.channels_last = channels_last
        self.conv, self.dense = nn.Conv2d(3, CHANNELS, 3, padding=1), nn.Linear(CHANNELS * 64, 10)
        self.out = nn.Linear(10, 4)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = x.permute(0, 2, 3, 1) if self.channels_last else x
        return self.out(F.relu(self.dense(x.flatten(1))))


class FlattenLast(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def flattening(flatten: nn.Module) -> nn.Module:
    layers = {
        "conv": nn.Conv2d(3, CHANNELS, 3, padding=1),
        "relu": nn.ReLU(),
        "flat": flatten,
        "dense": nn.Linear(CHANNELS * 64, 10),
        "out": nn.Linear(10, 4),
    }
    return nn.Sequential(OrderedDict(layers)).eval()


LAST = torch.arange(CHANNELS * 64).reshape(CHANNELS, 8, 8).permute(1, 2, 0).flatten()


def test_flatten_order_between_layers(turned: bool) -> None:
    right, wrong = settled(Flattens(False)), Flattens(True).eval()
    wrong.load_state_dict(right.state_dict())
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == ["", ""]
    assert confirmed(found) == {"flatten order"}


def test_flatten_order_of_a_layer(turned: bool) -> None:
    right, wrong = settled(flattening(nn.Flatten())), flattening(FlattenLast())
    wrong.load_state_dict(right.state_dict())
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == ["flat", "flat"]
    assert confirmed(found) == {"flatten order"}


def test_flatten_order_of_a_kernel(turned: bool) -> None:
    right = settled(flattening(nn.Flatten()))
    wrong = copied(right)
    wrong.dense.weight.data = right.dense.weight.data[:, LAST]
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == ["dense", "dense"]
    assert confirmed(found) == {"flatten order"}


def test_a_flatten_order_to_which_the_kernel_fits_is_no_divergence(turned: bool) -> None:
    right, other = settled(flattening(nn.Flatten())), flattening(FlattenLast())
    other.load_state_dict(right.state_dict())
    other.dense.weight.data = right.dense.weight.data[:, LAST]
    found, paths = compared(turned, right, other, IMAGES)
    assert not paths
    assert not found.causes


class Tokens(nn.Module):
    def __init__(self, tokens) -> None:
        super().__init__()
        self.conv, self.tokens = nn.Conv2d(3, CHANNELS, 3, padding=1), tokens
        self.dense, self.norm = nn.Linear(CHANNELS, CHANNELS), nn.LayerNorm(CHANNELS)

    def forward(self, x):
        return self.norm(self.dense(self.tokens(self.conv(x)))).mean(1)


def test_a_view_in_the_place_of_a_permutation(turned: bool) -> None:
    right = settled(Tokens(lambda x: x.flatten(2).transpose(1, 2)))
    wrong = copied(right)
    wrong.tokens = lambda x: x.reshape(4, 64, CHANNELS)
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == ["", ""]
    assert confirmed(found) == {"layout"}


class Transposes(nn.Module):
    """Steps and features, of which there are as many, change places before one of the layers."""

    def __init__(self, before: str) -> None:
        super().__init__()
        self.before = before
        self.first, self.dense = nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, FEATURES)
        self.norm, self.lstm = nn.LayerNorm(FEATURES), nn.LSTM(FEATURES, FEATURES, batch_first=True)

    def forward(self, x):
        x = self.first(x)
        for name in ("dense", "norm", "lstm"):
            x = getattr(self, name)(x.transpose(1, 2) if name == self.before else x)
        return x[0]


@pytest.mark.parametrize("before", ["dense", "norm", "lstm"])
def test_a_sequence_that_comes_transposed(before: str, turned: bool) -> None:
    right, wrong = settled(Transposes("")), Transposes(before).eval()
    wrong.load_state_dict(right.state_dict())
    found, paths = compared(turned, right, wrong, SEQUENCES)
    assert paths == ["", ""]
    assert confirmed(found) == {"layout"}
    assert before in found.first_divergence.note


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("names", [("conv1", "conv2"), ("bn1", "bn2")])
def test_weights_of_two_layers_in_each_others_place(names: tuple[str, str], depth: int, turned: bool) -> None:
    right = settled(ImageNet(nn.ReLU(), depth))
    wrong = copied(right)
    block = wrong.after[depth - 1]
    for name, other in (names, names[::-1]):
        getattr(block, name).load_state_dict(getattr(right.after[depth - 1], other).state_dict())
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == [f"after.{depth - 1}.{names[0]}"] * 2
    assert confirmed(found) == {"order of layers"}


class Crossed(Residual):
    def forward(self, x):
        y = self.relu(self.bn1(self.conv2(x)))
        return self.relu(self.bn2(self.conv1(y)) + x)


@pytest.mark.parametrize("depth", [1, 4])
def test_two_layers_that_run_in_each_others_place(depth: int, turned: bool) -> None:
    right = settled(ImageNet(nn.ReLU(), depth))
    wrong = copied(right)
    wrong.after[depth - 1].__class__ = Crossed
    found, paths = compared(turned, right, wrong, IMAGES)
    assert paths == [f"after.{depth - 1}.conv1", f"after.{depth - 1}.conv2"]
    assert confirmed(found) == {"order of layers"}


class Shuffled(ImageNet):
    def forward(self, x):
        x = self.slot(self.linear(self.before(self.stem(x))))
        for number in (0, 2, 1, 3):
            x = self.after[number](x)
        return self.head(F.relu(self.last(x)).mean((2, 3)))


def test_blocks_that_run_in_each_others_place(turned: bool) -> None:
    right = settled(ImageNet(nn.ReLU(), 4))
    wrong = copied(right)
    wrong.__class__ = Shuffled
    _, paths = compared(turned, right, wrong, IMAGES)
    assert paths[0].startswith("after")
    assert paths[1].startswith("after")


# What is done to the input.

PIXELS = (IMAGES * 40 + 128).clamp(0, 255)
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
SPREAD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
PREPARED = {
    "scale": ("preprocessing", lambda x: x / 255),
    "scale and shift": ("preprocessing", lambda x: x / 127.5 - 1),
    "mean": ("preprocessing", lambda x: x - MEAN * 255),
    "mean and spread": ("preprocessing", lambda x: (x / 255 - MEAN) / SPREAD),
    "channel order": ("channel order", lambda x: x.flip(1)),
    "channel order and mean": ("preprocessing", lambda x: (x - MEAN * 255).flip(1)),
    "mirrored": ("layout", lambda x: x.flip(3)),
    "transposed": ("layout", lambda x: x.transpose(2, 3)),
}


class Prepares(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("name", PREPARED)
def test_inputs_that_were_prepared_in_different_ways(name: str, turned: bool) -> None:
    cause, prepare = PREPARED[name]
    model = settled(ImageNet(nn.ReLU(), 1))
    found, paths = compared(turned, model, copied(model), (PIXELS, prepare(PIXELS)))
    assert paths == ["", ""]
    assert confirmed(found) == {cause}


@pytest.mark.parametrize("name", PREPARED)
def test_an_input_that_is_prepared_by_one_model_alone(name: str, turned: bool) -> None:
    cause, prepare = PREPARED[name]
    model = settled(ImageNet(nn.ReLU(), 1))
    wrong = nn.Sequential(OrderedDict(prepare=Prepares(prepare), model=copied(model))).eval()
    found, paths = compared(turned, model, wrong, PIXELS)
    assert paths == ["", "prepare"]
    assert confirmed(found) == {cause}


@pytest.mark.parametrize("name", PREPARED)
def test_an_input_that_both_models_prepare(name: str, turned: bool) -> None:
    cause, prepare = PREPARED[name]
    model = settled(ImageNet(nn.ReLU(), 1))
    right, wrong = (
        nn.Sequential(OrderedDict(prepare=Prepares(function), model=copied(model))).eval()
        for function in (lambda x: x * 1.0, prepare)
    )
    found, paths = compared(turned, right, wrong, PIXELS)
    assert paths == ["prepare", "prepare"]
    assert confirmed(found) == {cause}


# One corrupted number.


def corrupted(model: nn.Module) -> list[tuple[str, str]]:
    return [
        (path, name)
        for path, module in model.named_modules()
        for name, value in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        if value.is_floating_point()
    ]


NETWORKS = {
    "residual": (lambda: settled(ImageNet(nn.Identity(), 4)), IMAGES),
    "sequence": (lambda: settled(SequenceNet(nn.LayerNorm(FEATURES), 2)), SEQUENCES),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_corrupted_weight_in_any_layer_is_found_there(name: str, turned: bool) -> None:
    make, x = NETWORKS[name]
    right = make()
    for path, weight in corrupted(right):
        wrong = copied(right)
        with torch.no_grad():
            getattr(wrong.get_submodule(path), weight).view(-1)[-1] += 1
        found, paths = compared(turned, right, wrong, x)
        # Netviz knows the projection within an attention as a part of it.
        home = path.removesuffix(".out_proj")
        if found.agrees:  # what comes behind lets nothing through
            assert any(c.path_a == home and "without effect" in c.text for c in found.causes), weight
            continue
        assert paths == [home, home], weight
        assert found.causes[0].path_a == home


def test_random_generators_are_left_as_they_were() -> None:
    right, wrong = pair(FAULTS["dropout"], 0)
    before = torch.get_rng_state()
    nv.compare(right, wrong, SEQUENCES)
    assert torch.equal(torch.get_rng_state(), before)

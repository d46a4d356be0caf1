"""Right ports that no plan describes: each is written twice by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .judging import Case, Made
from .plans import pictures, sequences, tokens, vectors

Pair = Callable[[], tuple[nn.Module, nn.Module, torch.Tensor]]


class Calling(nn.Module):
    """Layers, and a function that calls them."""

    def __init__(self, function: Callable[..., torch.Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


def pointwise_head() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A convolution of size one on a pooled map, and a dense layer."""
    a = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 1),
        nn.Flatten(),
    )  # fmt: skip
    b = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 6),
        nn.ReLU(),
        nn.Linear(6, 4),
    )
    return a, _filled(b, a), torch.tensor(pictures(10))


def groups_apart() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A convolution in groups, and one for each group."""
    a = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.ReLU(), nn.Conv2d(8, 4, 1)
    )
    a = named(a, "stem act groups act2 head")

    def apart(m: Any, x: torch.Tensor) -> torch.Tensor:
        one, two = m.stem(x).relu().chunk(2, 1)
        return m.head(torch.cat([m.one(one), m.two(two)], 1).relu())

    b = Calling(
        apart,
        stem=nn.Conv2d(3, 8, 3),
        one=nn.Conv2d(4, 4, 3),
        two=nn.Conv2d(4, 4, 3),
        head=nn.Conv2d(8, 4, 1),
    )
    b.stem.load_state_dict(a.stem.state_dict()), b.head.load_state_dict(a.head.state_dict())
    for name, part in (("one", slice(0, 4)), ("two", slice(4, 8))):
        getattr(b, name).load_state_dict({key: value[part] for key, value in a.groups.state_dict().items()})
    return a, b, torch.tensor(pictures(10))


def named(model: nn.Sequential, names: str) -> Any:
    """The same modules under these names."""
    made = nn.Sequential()
    for name, module in zip(names.split(), model, strict=True):
        made.add_module(name, module)
    return made


def directions_apart() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A bidirectional layer, and two of which one reads in reverse."""
    a = Calling(
        lambda m, x: m.head(m.rnn(x)[0]),
        rnn=nn.LSTM(6, 5, batch_first=True, bidirectional=True),
        head=nn.Linear(10, 3),
    )

    def apart(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.head(torch.cat([m.there(x)[0], m.back(x.flip(1))[0].flip(1)], -1))

    one, two = (nn.LSTM(6, 5, batch_first=True) for _ in range(2))
    b = Calling(apart, there=one, back=two, head=nn.Linear(10, 3))
    own = a.rnn.state_dict()
    one.load_state_dict({key: value for key, value in own.items() if "reverse" not in key})
    two.load_state_dict(
        {key.removesuffix("_reverse"): value for key, value in own.items() if "reverse" in key}
    )
    b.head.load_state_dict(a.head.state_dict())
    return a, b, torch.tensor(sequences(7, 6))


def cells(kind: str) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A recurrent layer, and its cell called step by step."""
    layer, cell = {"lstm": (nn.LSTM, nn.LSTMCell), "gru": (nn.GRU, nn.GRUCell)}[kind]
    a = Calling(
        lambda m, x: m.head(m.rnn(m.embed(x))[0][:, -1]),
        embed=nn.Linear(6, 6),
        rnn=layer(6, 5, batch_first=True),
        head=nn.Linear(5, 3),
    )

    def by_steps(m: Any, x: torch.Tensor) -> torch.Tensor:
        state = None
        for step in m.embed(x).unbind(1):
            state = m.cell(step, state)
        return m.head(state[0] if isinstance(state, tuple) else state)

    b = Calling(by_steps, embed=nn.Linear(6, 6), cell=cell(6, 5), head=nn.Linear(5, 3))
    b.cell.load_state_dict({key.removesuffix("_l0"): value for key, value in a.rnn.state_dict().items()})
    b.embed.load_state_dict(a.embed.state_dict()), b.head.load_state_dict(a.head.state_dict())
    return a, b, torch.tensor(sequences(5, 6))


def normed_weights() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """Weights that are normed at each call, and the weights that this gives."""
    a = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv1d(6, 8, 3)), nn.ReLU(), nn.Conv1d(8, 4, 1)
    )
    with torch.no_grad():
        a[0].parametrizations.weight.original0.uniform_(0.5, 1.5)
    b = nn.Sequential(nn.Conv1d(6, 8, 3), nn.ReLU(), nn.Conv1d(8, 4, 1))
    b[0].load_state_dict({"weight": a[0].weight.detach(), "bias": a[0].bias.detach()})
    b[2].load_state_dict(a[2].state_dict())
    return a, b, torch.tensor(sequences(6, 9))


class BatchNormAct(nn.BatchNorm2d):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(super().forward(x)))


def norm_with_activation() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    a, b = nn.Sequential(), nn.Sequential()
    for channels in (3, 8, 8):
        a.extend([nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU()])
        b.extend([nn.Conv2d(channels, 8, 3, padding=1), BatchNormAct(8)])
    return a, _filled(b, a), torch.tensor(pictures(10))


class InContainers(nn.Module):
    """Weights in containers, under other names."""

    def __init__(self) -> None:
        super().__init__()
        self.matrices = nn.ParameterList([torch.zeros(8, 6), torch.zeros(8, 8), torch.zeros(4, 8)])
        self.shifts = nn.ParameterDict({f"b{n}": torch.zeros(size) for n, size in enumerate((8, 8, 4))})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for n, matrix in enumerate(self.matrices):
            x = x @ matrix.T + self.shifts[f"b{n}"]
            x = x.tanh() if n < 2 else x
        return x


def in_containers() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    inside = [nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4)]
    a = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), *inside, nn.ReLU(), nn.Linear(4, 3))
    own = InContainers()
    with torch.no_grad():
        for n, layer in enumerate(inside[::2]):
            own.matrices[n].copy_(layer.weight)
            own.shifts[f"b{n}"].copy_(layer.bias)
    b = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), own, nn.ReLU(), nn.Linear(4, 3))
    b[0].load_state_dict(a[0].state_dict())
    b[4].load_state_dict(a[8].state_dict())
    return a, b, torch.tensor(vectors(5))


def shared() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A block called three times, and three blocks of equal weights."""
    block = nn.Linear(8, 8)
    a = Calling(
        lambda m, x: m.head(m.block(m.block(m.block(m.first(x)).tanh()).tanh()).tanh()),
        first=nn.Linear(6, 8),
        block=block,
        head=nn.Linear(8, 3),
    )
    b = nn.Sequential(
        nn.Linear(6, 8),
        nn.Linear(8, 8),
        nn.Tanh(),
        nn.Linear(8, 8),
        nn.Tanh(),
        nn.Linear(8, 8),
        nn.Tanh(),
        nn.Linear(8, 3),
    )
    b[0].load_state_dict(a.first.state_dict()), b[7].load_state_dict(a.head.state_dict())
    for place in (1, 3, 5):
        b[place].load_state_dict(block.state_dict())
    return a, b, torch.tensor(vectors(6))


def tied() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """The table of an embedding used again as the last layer, and a layer of its own."""
    a = Calling(
        lambda m, x: F.linear(m.norm(m.mix(m.embed(x)).relu()), m.embed.weight),
        embed=nn.Embedding(20, 8),
        mix=nn.Linear(8, 8),
        norm=nn.LayerNorm(8),
    )
    b = nn.Sequential(
        nn.Embedding(20, 8), nn.Linear(8, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 20, bias=False)
    )
    for place, layer in ((0, a.embed), (1, a.mix), (3, a.norm), (4, a.embed)):
        b[place].load_state_dict(layer.state_dict())
    return a, b, torch.tensor(tokens(6, 20))


def encoder_layer() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """PyTorch's own encoder layer, and one of four projections."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    a = nn.Sequential(nn.Linear(6, 8), layer, nn.Linear(8, 3))

    def by_hand(m: Any, x: torch.Tensor) -> torch.Tensor:
        x = m.first(x)
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in m.qkv(m.norm1(x)).chunk(3, -1))
        x = x + m.out(((q @ k.mT / 2).softmax(-1) @ v).transpose(1, 2).flatten(2))
        return m.head(x + m.down(m.up(m.norm2(x)).relu()))

    b = Calling(
        by_hand, first=nn.Linear(6, 8), norm1=nn.LayerNorm(8), qkv=nn.Linear(8, 24), out=nn.Linear(8, 8),
        norm2=nn.LayerNorm(8), up=nn.Linear(8, 16), down=nn.Linear(16, 8), head=nn.Linear(8, 3),
    )  # fmt: skip
    own = layer.self_attn
    b.qkv.load_state_dict({"weight": own.in_proj_weight, "bias": own.in_proj_bias})
    sources = (("first", a[0]), ("norm1", layer.norm1), ("out", own.out_proj), ("norm2", layer.norm2))
    for name, source in (*sources, ("up", layer.linear1), ("down", layer.linear2), ("head", a[2])):
        getattr(b, name).load_state_dict(source.state_dict())
    return a, b, torch.tensor(sequences(5, 6))


def shuffled_pixels() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A layer that moves channels into space, and the same by reshaping."""
    a = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.PixelShuffle(2), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1)
    )

    def by_hand(m: Any, x: torch.Tensor) -> torch.Tensor:
        x = m.wide(x)
        n, _, height, width = x.shape
        x = x.view(n, 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3).reshape(n, 4, 2 * height, 2 * width)
        return m.end(x.relu())

    b = Calling(by_hand, wide=nn.Conv2d(3, 16, 3, padding=1), end=nn.Conv2d(4, 3, 3, padding=1))
    return a, _filled(b, a), torch.tensor(pictures(8))


def patches_by_dense() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """Patches embedded by a convolution, and cut by hand for a dense layer."""
    a = Calling(
        lambda m, x: m.head(m.norm(m.patch(x).flatten(2).mT).mean(1)),
        patch=nn.Conv2d(3, 8, 4, 4),
        norm=nn.LayerNorm(8),
        head=nn.Linear(8, 4),
    )

    def by_hand(m: Any, x: torch.Tensor) -> torch.Tensor:
        cut = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        return m.head(m.norm(m.patch(cut)).mean(1))

    b = Calling(by_hand, patch=nn.Linear(48, 8), norm=nn.LayerNorm(8), head=nn.Linear(8, 4))
    return a, _filled(b, a), torch.tensor(pictures(16))


class Seq2Seq(nn.Module):
    """Reads a sequence, and writes one from the state in which that ended."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self.apart, self.embed = apart, nn.Embedding(20, 8)
        self.encoder, self.decoder, self.out = (
            nn.GRU(8, 8, batch_first=True),
            nn.GRU(8, 8, batch_first=True),
            nn.Linear(8, 20),
        )
        self.same = nn.Identity() if apart else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        embedded = self.embed(x)
        states, state = self.encoder(embedded)
        if self.same is not None:
            state = self.same(states[:, -1]).unsqueeze(0)
        return self.out(self.decoder(embedded.flip(1), state)[0])


def seq2seq() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    a, b = Seq2Seq(False), Seq2Seq(True)
    return a, _filled(b, a), torch.tensor(tokens(6, 20))


def probabilities(kind: str) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """The softmax as a layer, and as a function."""
    layer = {"softmax": nn.Softmax(-1), "sigmoid": nn.Sigmoid(), "log_softmax": nn.LogSoftmax(-1)}[kind]
    function = {
        "softmax": lambda x: x.softmax(-1),
        "sigmoid": torch.sigmoid,
        "log_softmax": lambda x: F.log_softmax(x, -1),
    }[kind]
    a = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4), layer)
    b = Calling(lambda m, x: function(m.two(m.one(x).tanh())), one=nn.Linear(6, 8), two=nn.Linear(8, 4))
    return a, _filled(b, a), torch.tensor(vectors(6))


def _filled(target: nn.Module, source: nn.Module) -> nn.Module:
    """The weights of one in the other, in their order."""
    with torch.no_grad():
        for one, other in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
            one.copy_(other.reshape(one.shape))
    return target


PAIRS: dict[str, Pair] = {
    "pointwise head": pointwise_head, "groups apart": groups_apart, "directions apart": directions_apart,
    "lstm cells": partial(cells, "lstm"), "gru cells": partial(cells, "gru"), "normed weights": normed_weights,
    "norm with activation": norm_with_activation, "weights in containers": in_containers, "shared block": shared,
    "tied table": tied, "encoder layer": encoder_layer, "shuffled pixels": shuffled_pixels,
    "patches by a dense layer": patches_by_dense, "seq2seq": seq2seq, "softmax": partial(probabilities, "softmax"),
    "sigmoid": partial(probabilities, "sigmoid"), "log softmax": partial(probabilities, "log_softmax"),
}  # fmt: skip


def make(name: str, back: bool, count: int) -> Made:
    from .real import checked, lively

    torch.manual_seed(0)
    a, b, x = PAIRS[name]()
    if name == "norm with activation":
        _filled(b, lively(a))
    pair = (b.eval(), a.eval()) if back else (a.eval(), b.eval())
    return checked(*pair, x[:count] if count else x)


def pairs_by_hand() -> Iterator[Case]:
    for number, name in enumerate(PAIRS):
        for back in (False, True):
            count = 1 if (number + back) % 4 == 3 else 0
            label = f"right/by hand/{name}{', other way' if back else ''}{', one sample' if count else ''}"
            yield Case(label, "right", "by hand", partial(make, name, back, count))

"""Small PyTorch networks whose first axis is not always the samples: heads, windows, views, two images, two towers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from .recipe import Architecture


class FoldedHeads(nn.Module):
    """Attention over (batch × head, query, key), as in U-Nets of diffusion models."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, 4, 4).permute(2, 0, 3, 1, 4).flatten(1, 2)
        heads = torch.bmm(torch.bmm(q, k.mT).softmax(-1), v)
        return self.out(heads.view(batch, 4, length, 4).transpose(1, 2).flatten(2))


class HeadsFirst(nn.Module):
    """Attention over (head, batch, query, key)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 4, 4)).permute(2, 3, 0, 1, 4)
        return self.out(((q @ k.mT).softmax(-1) @ v).permute(1, 2, 0, 3).flatten(2))


class Windows(nn.Module):
    """Windows of 4 × 4 places folded into the batch, attended within, and put back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.attention, self.head = (
            nn.Conv2d(3, 16, 2, 2),
            nn.MultiheadAttention(16, 4, batch_first=True),
            nn.Linear(16, 5),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.stem(x)
        windows = maps.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1)
        tokens = windows.reshape(-1, 16, 16)
        attended = self.attention(tokens, tokens, tokens)[0]
        return self.head(attended.reshape(len(x), -1, 16).mean(1))


class Views(nn.Module):
    """Several views of each sample, folded into the batch for one network of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn, self.head = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.cnn(x.flatten(0, 1))
        return self.head(maps.mean((2, 3)).view(*x.shape[:2], -1).mean(1))


class Siamese(nn.Module):
    """One encoder called on two pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Linear(16, 5)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.encoder(left).mean((2, 3)), self.encoder(right).mean((2, 3))], 1))


class Towers(nn.Module):
    """Two pictures of other sizes, each looked at by a tower of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.colour, self.depth, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(1, 8, 3), nn.Linear(16, 5)

    def forward(self, colour: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        return self.head(
            torch.cat([self.colour(colour).relu().mean((2, 3)), self.depth(depth).relu().mean((2, 3))], 1)
        )


class TimeFirst(nn.Module):
    """A transformer that takes the samples on its second axis within."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(16, 4, 24, batch_first=False), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x.transpose(0, 1)).mean(0))


class Frames(nn.Module):
    """A video: a network of pictures over every frame, and a recurrent one over time."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn, self.rnn, self.head = nn.Conv2d(3, 8, 3, 2), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = self.cnn(x.reshape(-1, *x.shape[2:])).relu().mean((2, 3)).view(*x.shape[:2], -1)
        return self.head(self.rnn(steps)[0][:, -1])


class Translator(nn.Module):
    """Encoder and decoder with attention across."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Transformer(16, 4, 1, 1, 24, batch_first=True)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.transformer(source, target)


class Ensemble(nn.Module):
    """Members stacked in front of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(nn.Conv2d(3, 4, 3) for _ in range(3))
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.stack([member(x) for member in self.members]).relu().mean((0, 3, 4)))


def _built(kind: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def _random(*shapes: tuple[int, ...]) -> Callable[[int], Any]:
    def inputs(count: int) -> Any:
        generator = torch.Generator().manual_seed(count)
        made = tuple(torch.randn(count, *shape, generator=generator) for shape in shapes)
        return made[0] if len(made) == 1 else made

    return inputs


SEQUENCE = [
    Architecture("hybrid FoldedHeads", partial(_built, FoldedHeads), _random((6, 16))),
    Architecture("hybrid HeadsFirst", partial(_built, HeadsFirst), _random((6, 16))),
    Architecture("hybrid TimeFirst", partial(_built, TimeFirst), _random((6, 16))),
    Architecture("hybrid Translator", partial(_built, Translator), _random((6, 16), (4, 16))),
]
IMAGE = [
    Architecture("hybrid Windows", partial(_built, Windows), _random((3, 16, 16))),
    Architecture("hybrid Views", partial(_built, Views), _random((4, 3, 10, 10))),
    Architecture("hybrid Siamese", partial(_built, Siamese), _random((3, 12, 12), (3, 12, 12))),
    Architecture("hybrid Towers", partial(_built, Towers), _random((3, 12, 12), (1, 20, 20))),
    Architecture("hybrid Frames", partial(_built, Frames), _random((4, 3, 12, 12))),
    Architecture("hybrid Ensemble", partial(_built, Ensemble), _random((3, 12, 12))),
]

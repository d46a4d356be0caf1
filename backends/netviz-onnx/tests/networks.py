"""Small networks of PyTorch to be exported."""

from __future__ import annotations

import torch
from torch import nn


class Convolutional(nn.Module):
    """Residual blocks with norms, a depthwise convolution and a pool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Block(nn.Module):
    """Two convolutions and a way around them; its activation is called twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, groups=width), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 1)
        self.act = nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.conv2(self.act(self.norm1(self.conv1(x)))))


class Transformer(nn.Module):
    """An embedding, attention written out, norms and an exact GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(20, 16), nn.Parameter(torch.randn(1, 6, 16))
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.query, self.key, self.value, self.out = (nn.Linear(16, 16) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.places
        y = self.norm1(x)
        query, key, value = (
            one(y).unflatten(-1, (4, 4)).transpose(1, 2) for one in (self.query, self.key, self.value)
        )
        weights = torch.softmax(query @ key.transpose(2, 3) / 2.0, -1)
        x = x + self.out((weights @ value).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class Recurrent(nn.Module):
    """A GRU, and an LSTM in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(5, 4, batch_first=True)
        self.lstm = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.lstm(self.gru(x)[0])[0])


class Upsampling(nn.Module):
    """Transposed convolutions, in groups too, with other norms and activations."""

    def __init__(self) -> None:
        super().__init__()
        self.up1 = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.InstanceNorm2d(6, affine=True)
        self.up2 = nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2)
        self.prelu, self.pool = nn.PReLU(4), nn.AvgPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.prelu(self.up2(nn.functional.elu(self.norm(self.up1(x))))))


def lively(module: nn.Module) -> nn.Module:
    """In evaluation mode, with statistics and vectors that are no zeros and ones."""
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.running_mean.normal_(0, 0.2)
            child.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim == 1:
                weight.add_(torch.randn_like(weight) * 0.2)
    return module.eval()


NETWORKS = {
    "convolutional": (Convolutional, lambda: torch.randn(2, 3, 16, 16)),
    "transformer": (Transformer, lambda: torch.randint(0, 20, (2, 6))),
    "recurrent": (Recurrent, lambda: torch.randn(2, 7, 5)),
    "upsampling": (Upsampling, lambda: torch.randn(2, 4, 6, 6)),
}
"""By name: the class, and what makes an input."""


def network(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network with random weights, the same each time, and an input."""
    torch.manual_seed(0)
    make, example = NETWORKS[name]
    return lively(make()), example()

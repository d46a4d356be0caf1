"""Small networks in Flax, and the same in PyTorch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from torch import nn


class Convolutional(nnx.Module):
    """Convolutions, norms, dropout and a head over the mean of all places."""

    def __init__(self, rngs: nnx.Rngs, epsilon: float = 1e-5, strides: int = 1) -> None:
        self.conv1 = nnx.Conv(3, 8, (3, 3), padding=1, rngs=rngs)
        self.norm1 = nnx.BatchNorm(8, epsilon=epsilon, rngs=rngs)
        self.conv2 = nnx.Conv(8, 8, (3, 3), strides=strides, padding=1, feature_group_count=8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.relu(self.norm1(self.conv1(x)))
        x = self.drop(nnx.relu(self.conv2(x)))
        return self.head(x.mean((1, 2)))


class TorchConvolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> Any:
        x = torch.relu(self.norm1(self.conv1(x)))
        x = self.drop(torch.relu(self.conv2(x)))
        return self.head(x.mean((2, 3)))


class Perceptron(nnx.Module):
    """Dense layers in a list; the one in the middle runs twice."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        middle = nnx.Linear(16, 16, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(6, 16, rngs=rngs), middle, middle, nnx.Linear(16, 3, rngs=rngs)])

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = jnp.tanh(layer(x))
        return nnx.softmax(x)


class TorchPerceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        middle = nn.Linear(16, 16)
        self.layers = nn.ModuleList([nn.Linear(6, 16), middle, middle, nn.Linear(16, 3)])

    def forward(self, x: torch.Tensor) -> Any:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x.softmax(-1)


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm1 = nnx.LayerNorm(16, epsilon=1e-5, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, 16, decode=False, rngs=rngs)
        self.norm2 = nnx.LayerNorm(16, epsilon=1e-5, rngs=rngs)
        self.up = nnx.Linear(16, 32, rngs=rngs)
        self.down = nnx.Linear(32, 16, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attention(self.norm1(x))
        return x + self.down(nnx.gelu(self.up(self.norm2(x)), approximate=False))


class Transformer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(20, 16, rngs=rngs)
        self.blocks = nnx.List([Block(rngs), Block(rngs)])
        self.head = nnx.Linear(16, 20, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class TorchBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm2 = nn.LayerNorm(16)
        self.up = nn.Linear(16, 32)
        self.down = nn.Linear(32, 16)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class TorchTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.blocks = nn.ModuleList([TorchBlock(), TorchBlock()])
        self.head = nn.Linear(16, 20)

    def forward(self, tokens: torch.Tensor) -> Any:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x)

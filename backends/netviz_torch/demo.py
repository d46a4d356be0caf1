"""The demo's small network in PyTorch, and its training on handwritten digits."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

EPOCHS = 10
BATCH = 64


def network() -> nn.Module:
    """Two convolutions with pooling and two dense layers, for 8 × 8 pictures of ten digits."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(128, 64),
            relu3=nn.ReLU(),
            dense2=nn.Linear(64, 10),
        )
    )


def train(
    images: np.ndarray, labels: np.ndarray, progress: Callable[[int, int, float], None]
) -> tuple[nn.Module, nn.Module]:
    """Train the network, leaving torch's random generator as it was.

    Parameters
    ----------
    images : numpy.ndarray
        ``(batch, y, x, channel)``, float32, in [0, 1].
    labels : numpy.ndarray
        ``(batch,)``, integers.
    progress : callable
        Called after each step with the step, the number of steps and the loss.

    Returns
    -------
    untrained, trained : torch.nn.Module
    """
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(0)
        model = network()
        untrained = copy.deepcopy(model)
        pictures = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        targets = torch.from_numpy(labels.astype(np.int64))
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        batches = torch.cat([torch.randperm(len(pictures)) for _ in range(EPOCHS)]).split(BATCH)
        for step, chosen in enumerate(batches, 1):
            loss = nn.functional.cross_entropy(model(pictures[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress(step, len(batches), loss.item())
    return untrained.eval(), model.eval()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one core: on two, torch's threads wait for those of another framework in the process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""What the checks of the suite share: how a model is looked at, and an input changed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..captures.capture import Capture
from ..captures.recorder import Recorder
from ..comparing.common import is_named
from ..comparing.reading import axes_as_read
from ..models.network import Network

Array = np.ndarray[Any, Any]


def weights_of(network: Network) -> dict[str, Array]:
    """The values of all weights, by path and name."""
    return {
        f"{layer.path}.{name}": weight.numpy()
        for layer in network.layers.values()
        for name, weight in layer.weights.items()
    }


def assert_same(left: Capture, right: Capture) -> None:
    """Two captures hold the same, to the last digit."""
    assert list(left) == list(right)
    for key, activation in left.items():
        assert activation.axes == right[key].axes
        np.testing.assert_array_equal(activation.values, right[key].values, err_msg=key)


def changed(x: Any) -> Any:
    """Another input of the same form: its numbers in reverse order, or a little larger where that is the same."""
    if isinstance(x, (tuple, list)):
        return type(x)(changed(part) for part in x)
    if isinstance(x, dict):
        return {key: changed(part) for key, part in x.items()}
    values = np.asarray(x)
    turned = values.reshape(-1)[::-1].reshape(values.shape)
    if np.array_equal(turned, values):
        turned = values + np.ones((), values.dtype)
    return copy.copy(turned)


def returned_by(recorder: Recorder, path: str, call: int, leaf: str) -> Array:
    """What a layer returned in one call."""
    found = (s for s in recorder.slots if (s.path, s.call, s.observation.leaf) == (path, call, leaf))
    return next(found).get().values


def axes_of_input(network: Network, x: Any) -> tuple[str, ...] | None:
    """The axes of a single input, as a layer that is given it reads it."""
    layers = list(network.layers.values())
    given = Recorder(layers)
    network.adapter.run(network.native, x, Recorder(layers, given=given))
    for slot in given.slots:
        axes = axes_as_read(network[slot.path], slot.axes)
        values = slot.get().transpose(*slot.axes).values
        if all(map(is_named, axes)) and np.array_equal(values, np.asarray(x)):
            return axes
    return None

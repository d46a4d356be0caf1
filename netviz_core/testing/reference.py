"""The plainest backend there can be, for networks written in NumPy: an example to copy from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from ..captures.recorder import Recorder
from ..models.ready_layer import ReadyLayer
from ..models.weights import Layout, Weight, by_name
from ..plugins import register_backend
from ..words.arrays import AxisArray, positional_axes
from ..words.errors import InputError, UnsupportedError
from ..words.observations import Observation
from ..words.structure import leaves
from ..words.supports_passes import Replacement, Seed, StandIn

Array = np.ndarray[Any, Any]


class Op:
    """One layer: parameters by name, and what it does with an array."""

    kind = "other"
    layouts: ClassVar[Mapping[str, Layout]] = {}
    output_axes: tuple[str, ...] | None = None

    def __init__(self, **parameters: Array) -> None:
        self.parameters = parameters

    def __call__(self, x: Array) -> Any:
        raise NotImplementedError

    @property
    def config(self) -> Mapping[str, Any]:
        """Its hyperparameters in netviz' words."""
        return {}

    def pull_back(self, gradient: Array, x: Array) -> Array:
        """From the derivative with respect to the output to that with respect to the input `x`."""
        raise UnsupportedError(f"a {type(self).__name__} has no derivative")


class Conv2d(Op):
    """A convolution without padding; ``kernel`` is (out, in, y, x)."""

    kind = "conv2d"
    layouts: ClassVar[Mapping[str, Layout]] = {
        "kernel": Layout(("out", "in", "y", "x")),
        "bias": Layout(("out",)),
    }
    output_axes: tuple[str, ...] = ("batch", "channel", "y", "x")

    @property
    def config(self) -> Mapping[str, Any]:
        """Its hyperparameters in netviz' words."""
        size = self.parameters["kernel"].shape[2:]
        return {
            "kernel_size": size,
            "stride": (1, 1),
            "padding": ((0, 0), (0, 0)),
            "dilation": (1, 1),
            "groups": 1,
        }

    def __call__(self, x: Array) -> Array:
        kernel, bias = self.parameters["kernel"], self.parameters["bias"]
        channels, *least = kernel.shape[1:]
        if x.ndim != 4 or x.shape[1] != channels or x.shape[2] < least[0] or x.shape[3] < least[1]:
            raise InputError(
                f"an input of shape {x.shape} was given to a convolution, which takes (batch, channel={channels}, "
                f"y, x) of at least {least[0]} × {least[1]} pixels"
            )
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(2, 3))
        output: Array = np.einsum("bcyxij,ocij->boyx", windows, kernel) + bias[:, None, None]
        return output

    def pull_back(self, gradient: Array, x: Array) -> Array:
        kernel = self.parameters["kernel"]
        height, width = gradient.shape[2:]
        result = np.zeros(x.shape)
        for i, j in np.ndindex(kernel.shape[2:]):
            spread = np.einsum("boyx,oc->bcyx", gradient, kernel[:, :, i, j])
            result[:, :, i : i + height, j : j + width] += spread
        return result


class Dense(Op):
    """A matrix product over flattened inputs; ``kernel`` is (out, in)."""

    kind = "dense"
    layouts: ClassVar[Mapping[str, Layout]] = {"kernel": Layout(("out", "in")), "bias": Layout(("out",))}
    output_axes = ("batch", "channel")

    def __call__(self, x: Array) -> Array:
        kernel = self.parameters["kernel"]
        flat = x.reshape(len(x), -1)
        if flat.shape[1] != kernel.shape[1]:
            raise InputError(
                f"an input of shape {x.shape} was given to a dense layer, which takes {kernel.shape[1]} numbers for "
                f"each sample"
            )
        return flat @ kernel.T + self.parameters["bias"]

    def pull_back(self, gradient: Array, x: Array) -> Array:
        return (gradient @ self.parameters["kernel"]).reshape(x.shape)


class Model:
    """Layers one after another, by name."""

    def __init__(self, **layers: Op) -> None:
        self.layers = layers
        self.listeners: list[Any] = []

    def __call__(self, x: Array) -> Any:
        self.give("", x)
        for name, layer in self.layers.items():
            self.give(name, x)
            x = self.tell(name, layer(x))
        return self.tell("", x)

    def give(self, name: str, x: Any) -> None:
        """Say what a layer was given."""
        for listener in self.listeners:
            listener(name, x, before=True)

    def tell(self, name: str, output: Any) -> Any:
        """Say what a layer returned, and hand it on."""
        for listener in self.listeners:
            listener(name, output)
        return output


def example_model(seed: int = 0) -> Model:
    """A convolution and a dense layer for 8 × 8 pictures, in NumPy alone.

    Examples
    --------
    >>> example_model()(np.zeros((2, 1, 8, 8))).shape
    (2, 10)
    """
    register_backend("netviz_core", ReferenceBackend)
    random = np.random.default_rng(seed)
    return Model(
        conv1=Conv2d(kernel=random.normal(size=(4, 1, 3, 3)), bias=np.zeros(4)),
        dense1=Dense(kernel=random.normal(size=(10, 144)), bias=np.zeros(10)),
    )


class ReferenceBackend:
    """A `Backend` for `Model`."""

    name = "netviz_core"

    def accepts(self, model: object) -> bool:
        return isinstance(model, Model)

    def layers(self, model: Model) -> Iterable[ReadyLayer]:
        yield ReadyLayer("", "container", type(model).__name__, model, True)
        for name, op in model.layers.items():
            weights = by_name(
                Weight.of(array, key, key, op.layouts[key]) for key, array in op.parameters.items()
            )
            yield ReadyLayer(name, op.kind, type(op).__name__, op, bool(weights), weights, op.config)

    def run(self, model: Model, inputs: Any, recorder: Recorder | None = None) -> Any:
        if isinstance(inputs, AxisArray):
            inputs = inputs.canonical().values
        if not isinstance(inputs, np.ndarray):
            raise InputError(f"a NumPy model takes one array; {type(inputs).__name__} was given")
        if recorder is None:
            return model(inputs)
        with self.record(model, recorder):
            return model(inputs)

    @contextmanager
    def record(self, model: Model, recorder: Recorder) -> Iterator[None]:
        def listen(path: str, value: Any, before: bool = False) -> None:
            if path not in recorder.paths:
                return
            if not before:
                maker = model.layers.get(path)
                recorder.add(path, [_observe(maker, *leaf) for leaf in leaves(value, _is_array)])
            elif recorder.given is not None:
                recorder.given.add(path, [_observe(None, *leaf) for leaf in leaves({"0": value}, _is_array)])

        model.listeners.append(listen)
        try:
            yield
        finally:
            model.listeners.remove(listen)

    def run_replaced(
        self,
        model: Model,
        inputs: Any,
        recorder: Recorder,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> Any:
        """See `netviz_core.backend_api.SupportsReplacement`."""

        def handed_on(name: str, leaf: str, is_given: bool, value: Array) -> Array:
            new = replacement(name, 0, leaf, is_given, value.shape) if name in recorder.paths else None
            return value if new is None else new.astype(value.dtype)

        x = inputs.canonical().values if isinstance(inputs, AxisArray) else np.asarray(inputs)
        with self.record(model, recorder):
            model.give("", x)
            x = handed_on("", "0", True, x)
            for name, layer in model.layers.items():
                if name in instead:
                    (stand_in,) = instead[name]
                    x = stand_in.values.astype(stand_in.dtype)
                    continue
                model.give(name, x)
                x = model.tell(name, layer(handed_on(name, "0", True, x)))
                x = handed_on(name, "", False, x)
            return handed_on("", "", False, model.tell("", x))

    def gradients(
        self, model: Model, inputs: Any, seed: Seed, activations: Recorder, gradients: Recorder
    ) -> None:
        """See `netviz_core.backend_api.SupportsGradients`."""
        x = inputs.canonical().values if isinstance(inputs, AxisArray) else np.asarray(inputs)
        received: dict[str, Array] = {}
        with self.record(model, activations):
            for name, layer in model.layers.items():
                received[name] = x
                x = model.tell(name, layer(x))
            model.tell("", x)
        returned = _observe(list(model.layers.values())[-1], "", x)
        gradient = seed({"": AxisArray(x, returned.axes)}).get("", np.zeros_like(x))
        pulled = {"": gradient}
        for name, layer in reversed(model.layers.items()):
            pulled[name] = gradient
            gradient = layer.pull_back(gradient, received[name])
        for slot in activations.slots:
            gradients.add(slot.path, [_observe(model.layers.get(slot.path), "", pulled[slot.path])])

    def images(self, model: Model, inputs: Any) -> AxisArray | None:
        """See `netviz_core.backend_api.SupportsImages`."""
        if isinstance(inputs, AxisArray):
            return inputs
        return AxisArray(inputs, Conv2d.output_axes) if np.ndim(inputs) == 4 else None


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray)


def _observe(op: Op | None, leaf: str, output: Array) -> Observation:
    known = op.output_axes if op is not None else None
    axes = known if known and len(known) == output.ndim else positional_axes(output.ndim)
    return Observation.of(output.copy(), axes, leaf)

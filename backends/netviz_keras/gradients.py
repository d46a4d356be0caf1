"""Pulls what is asked of a model's output back to what its layers returned, on each of Keras' engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import keras

from netviz_core.backend_api import (
    AxisArray,
    RecorderLike,
    Seed,
    UnsupportedError,
    leaves,
    positional_axes,
)

from .axes import AxisBook
from .inputs import Arguments, prepare
from .layers import KerasLayer, walk
from .listening import Listener, explain, listening, unheard
from .passes import build, losses_kept
from .scores import scores
from .taps import Adding, Tap, Tapping
from .tensors import Held, dtype_name, is_differentiable, is_tensor, no_gradients

if keras.backend.backend() == "torch":
    import torch
elif keras.backend.backend() == "jax":
    import jax
elif keras.backend.backend() == "tensorflow":
    import tensorflow as tf

NO_DERIVATIVE = "it returned integers or booleans, with respect to which there is no derivative"


def pull_back(
    model: Any, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
) -> None:
    """Make a pass forward and one backward, and tell both recorders; see `SupportsGradients`."""
    book = AxisBook()
    arguments = prepare(model, inputs, book)
    build(model, arguments)
    forward = _Forward(model, arguments, list(walk(model)), activations.paths, book)
    with losses_kept(model), scores(forward.layers, forward.heard_by_nobody_else) as unsquashed:
        engine = _ENGINES[keras.backend.backend()]
        heard, found = engine(dataclasses.replace(forward, unsquashed=unsquashed), seed)
    explain(forward.layers, heard.heard)
    _tell(heard, found, activations, gradients)


def _tell(heard: Tapping, found: Sequence[Any], activations: RecorderLike, gradients: RecorderLike) -> None:
    """Report every call to both, with the derivative found for each tap."""
    for (path, _), call in groupby(heard.heard.slots, key=lambda slot: (slot.path, slot.call)):
        slots = list(call)
        activations.add(path, [slot.observation for slot in slots])
        tapped = [(slot.observation, heard.number(slot)) for slot in slots]
        if any(number is None for _, number in tapped):
            gradients.miss(path, NO_DERIVATIVE, "unsupported")
        gradients.add(
            path, [seen._replace(value=Held(found[number])) for seen, number in tapped if number is not None]
        )
    for path, entry in heard.heard.coverage().items():
        if entry.status != "captured":
            activations.miss(path, entry.reason, entry.status)
            gradients.miss(path, entry.reason, entry.status)


@dataclass(frozen=True)
class _Forward:
    """A pass in evaluation mode, to be made with one listener or another."""

    model: Any
    arguments: Arguments
    layers: Sequence[KerasLayer]
    paths: frozenset[str]
    book: AxisBook
    unsquashed: Listener | None = None

    def tapped(self, tap: Tap) -> tuple[Tapping, Any]:
        """Make the pass with taps; what was heard, and the output."""
        tapping = Tapping(self.layers, self.paths, self.book, tap)
        return tapping, self.heard_by(tapping)

    def heard_by(self, listener: Listener) -> Any:
        args, kwargs = self.arguments
        # What the last listener to come puts into place is what those before it hear.
        last = nullcontext() if self.unsquashed is None else listening(self.unsquashed)
        with keras.StatelessScope(), listening(listener), last:
            return self.model(*args, **kwargs, training=False)

    def heard_by_nobody_else(self, listener: Listener) -> Any:
        with unheard(), no_gradients():
            return self.heard_by(listener)

    def asked(self, seed: Seed, output: Any) -> dict[str, tuple[Any, Any]]:
        """By leaf those parts of the output that something is asked of, and what.

        Raises
        ------
        UnsupportedError
            If no part of the output can be differentiated.
        """
        parts = dict(leaves(output, is_tensor))
        if not any(is_differentiable(part) for part in parts.values()):
            returned = ", ".join(sorted({dtype_name(part) for part in parts.values()})) or "no array"
            raise UnsupportedError(
                f"the model returns {returned}, which has no derivative; give a model that returns floats, such "
                f"as the one without its last step"
            )
        derivatives = seed({leaf: self._array(part) for leaf, part in parts.items()})
        return {
            leaf: (part, keras.ops.convert_to_tensor(derivatives[leaf], dtype=dtype_name(part)))
            for leaf, part in parts.items()
            if leaf in derivatives and is_differentiable(part)
        }

    def _array(self, part: Any) -> AxisArray:
        return AxisArray(Held(part).numpy(), self.book.get(part) or positional_axes(len(part.shape)))


def _on_tensorflow(forward: _Forward, seed: Seed) -> tuple[Tapping, Sequence[Any]]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def tap(tensor: Any) -> tuple[Any, Any]:
            own = tf.identity(tensor)
            tape.watch(own)
            return own, own

        tapping, output = forward.tapped(tap)
    asked = forward.asked(seed, output).values()
    with _said_by_engine():
        found = tape.gradient(
            [part for part, _ in asked],
            tapping.taps,
            output_gradients=[derivative for _, derivative in asked],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    return tapping, [tf.convert_to_tensor(gradient) for gradient in found]


def _on_torch(forward: _Forward, seed: Seed) -> tuple[Tapping, Sequence[Any]]:
    def tap(tensor: Any) -> tuple[Any, Any]:
        kept = tensor.clone() if tensor.requires_grad else tensor.detach().clone().requires_grad_()
        # A layer further on may write to what it is given.
        return kept, kept.clone()

    with torch.inference_mode(False), torch.enable_grad():
        tapping, output = forward.tapped(tap)
        asked = [pair for pair in forward.asked(seed, output).values() if pair[0].requires_grad]
        if not asked or not tapping.taps:
            return tapping, [torch.zeros_like(kept) for kept in tapping.taps]
        parts, derivatives = zip(*asked, strict=True)
        with _said_by_engine():
            found = torch.autograd.grad(parts, tapping.taps, derivatives, allow_unused=True)
    return tapping, [
        torch.zeros_like(kept) if gradient is None else gradient
        for kept, gradient in zip(tapping.taps, found, strict=True)
    ]


def _on_jax(forward: _Forward, seed: Seed) -> tuple[Tapping, Sequence[Any]]:
    """One pass for the values, and one as a function of zeros that are added to them."""
    tapping, output = forward.tapped(lambda tensor: (tensor, tensor))
    asked = forward.asked(seed, output)

    def shifted(added: Sequence[Any]) -> dict[str, Any]:
        with unheard():
            parts = dict(leaves(forward.heard_by(Adding(forward.layers, tapping, added)), is_tensor))
        return {leaf: parts[leaf] for leaf in asked}

    with _said_by_engine():
        _, back = jax.vjp(shifted, [jax.numpy.zeros_like(kept) for kept in tapping.taps])
        (found,) = back({leaf: derivative for leaf, (_, derivative) in asked.items()})
    return tapping, found


_ENGINES = {"tensorflow": _on_tensorflow, "torch": _on_torch, "jax": _on_jax}


@contextmanager
def _said_by_engine() -> Iterator[None]:
    """Say it in netviz' words if an engine cannot differentiate what a model does."""
    try:
        yield
    except Exception as error:
        cause = _of_differentiation(error)
        if cause is None:
            raise
        raise UnsupportedError(
            f"{keras.backend.backend()} cannot differentiate what this model does: {_first_line(cause)}; take a "
            f"layer behind it, write it with keras.ops, or load the model with another KERAS_BACKEND"
        ) from error


def _of_differentiation(error: BaseException | None) -> BaseException | None:
    """What says that an operation has no derivative, or, on JAX, that the model takes values out of JAX."""
    traced = (jax.errors.JAXTypeError,) if keras.backend.backend() == "jax" else ()
    while error is not None and not isinstance(error, (LookupError, NotImplementedError, *traced)):
        error = error.__context__  # Keras puts errors of its own into the place of an engine's
    return error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

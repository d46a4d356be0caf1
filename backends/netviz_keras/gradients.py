"""Pulls what is asked of a model's output back to what its layers returned, on each of Keras' engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, cast

import keras
import numpy as np

from netviz_core.backend_api import (
    AxisArray,
    AxisBook,
    RecorderLike,
    Scores,
    Seed,
    UnsupportedError,
    leaves,
    positional_axes,
    widened,
)

from .engines import ENGINE, KNOWN
from .inputs import Arguments, prepare
from .layers import KerasLayer, walk
from .listening import Listener, explain, listening, unheard
from .operations import Operations, hearing
from .passes import build, unchanged
from .scores import Score, before, may_be_squashed, score_behind
from .taps import Adding, Tap, Tapping
from .tensors import Held, as_numpy, dtype_name, is_differentiable, is_tensor

if ENGINE.name == "torch":
    import torch
elif ENGINE.name == "jax":
    import jax
elif ENGINE.name == "tensorflow":
    import tensorflow as tf

Values = Sequence[tuple[keras.Variable, Any]]

NO_DERIVATIVE = "it returned integers or booleans, with respect to which there is no derivative"


def pull_back(
    model: Any, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
) -> None:
    """Make a pass forward and one backward, and tell both recorders; see `SupportsGradients`."""
    book = AxisBook()
    arguments = prepare(model, inputs, book)
    build(model, arguments)
    forward = _Forward(model, arguments, list(walk(model)), activations.paths, book)
    heard, found = _by_engine(_ENGINES)(forward, seed)
    explain(forward.layers, heard.heard)
    _tell(heard, found, activations, gradients)


def gradients_of_weights(model: Any, inputs: Any, seed: Seed) -> list[tuple[str, str, np.ndarray]]:
    """Make a pass forward and one backward, to the trainable variables; see `SupportsGradientsOfWeights`."""
    book = AxisBook()
    arguments = prepare(model, inputs, book)
    build(model, arguments)
    forward = _Forward(model, arguments, list(walk(model)), frozenset(), book)
    variables = list(model.trainable_variables)
    found = _by_engine(_ENGINES_OF_WEIGHTS)(forward, seed, variables)
    by_variable = {id(variable): gradient for variable, gradient in zip(variables, found, strict=True)}
    told = []
    for layer in forward.layers:
        for name, weight in layer.weights.items():
            variable, _ = cast(tuple[int, str], weight.identity)  # see weights.py
            if variable in by_variable:
                gradient = widened(weight.layout.to_canonical(as_numpy(by_variable[variable])))
                told.append((layer.path, name, gradient))
    return told


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

    def tapping(self, tap: Tap) -> Tapping:
        return Tapping(self.layers, self.paths, self.book, tap)

    def scored(self, tapping: Tapping, values: Values = ()) -> dict[str, _Part]:
        """Make the pass with taps; the parts of the output by leaf."""
        operations = Operations()
        with hearing(operations):
            parts = self.heard_by(tapping, values)
        return {
            leaf: _Part(part, score_behind(part, before(part, operations))) for leaf, part in parts.items()
        }

    def heard_by(self, listener: Listener, values: Values = ()) -> dict[str, Any]:
        """Make the pass, with other values for some variables; what the model returns by leaf."""
        args, kwargs = self.arguments
        with unchanged(self.model, self.arguments), keras.StatelessScope(values), listening(listener):
            return dict(leaves(self.model(*args, **kwargs, training=False), is_tensor))

    def asked(self, seed: Seed, parts: Mapping[str, _Part]) -> dict[str, tuple[Any, Any]]:
        """By leaf those parts of the output that something is asked of, as scores where they have any, and what.

        Raises
        ------
        UnsupportedError
            If no part of the output can be differentiated.
        """
        if not any(is_differentiable(part.tensor) for part in parts.values()):
            returned = ", ".join(sorted({dtype_name(part.tensor) for part in parts.values()})) or "no array"
            raise UnsupportedError(
                f"the model returns {returned}, which has no derivative; give a model that returns floats, such "
                f"as the one without its last step"
            )
        derivatives = seed({leaf: self._array(part) for leaf, part in parts.items()})
        return {
            leaf: (part.start, _as_tensor(derivatives[leaf], part.start))
            for leaf, part in parts.items()
            if leaf in derivatives and is_differentiable(part.tensor)
        }

    def _array(self, part: _Part) -> AxisArray:
        axes = self.book.get(part.tensor) or positional_axes(len(part.tensor.shape))
        values = Held(part.start).numpy().reshape(tuple(part.tensor.shape))
        return AxisArray(values, axes) if part.score is None else Scores(values, axes, part.score.squashed_by)


class _Part(NamedTuple):
    """A part of the output, and the scores that it was made of."""

    tensor: Any
    score: Score | None

    @property
    def start(self) -> Any:
        """Where derivatives start."""
        return self.tensor if self.score is None else self.score.tensor


def _as_tensor(derivative: Any, like: Any) -> Any:
    return keras.ops.convert_to_tensor(np.reshape(derivative, tuple(like.shape)), dtype=dtype_name(like))


def _on_tensorflow(forward: _Forward, seed: Seed) -> tuple[Tapping, Sequence[Any]]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def tap(tensor: Any) -> tuple[Any, Any]:
            own = tf.identity(tensor)
            tape.watch(own)
            return own, own

        tapping = forward.tapping(tap)
        parts = forward.scored(tapping)
    asked = forward.asked(seed, parts).values()
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
        tapping = forward.tapping(tap)
        asked = [
            pair for pair in forward.asked(seed, forward.scored(tapping)).values() if pair[0].requires_grad
        ]
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
    tapping = forward.tapping(lambda tensor: (tensor, tensor))
    parts = {leaf: _Part(part, None) for leaf, part in forward.heard_by(tapping).items()}
    zeros = [jax.numpy.zeros_like(kept) for kept in tapping.taps]

    def run(added: Sequence[Any]) -> dict[str, Any]:
        return forward.heard_by(Adding(forward.layers, tapping, added))

    return tapping, _pulled_on_jax(forward, seed, parts, run, zeros)


def _pulled_on_jax(
    forward: _Forward,
    seed: Seed,
    parts: dict[str, _Part],
    run: Callable[[Sequence[Any]], dict[str, Any]],
    own: Sequence[Any],
) -> Sequence[Any]:
    """The derivatives with respect to what a pass is run with."""

    def made(values: Sequence[Any]) -> dict[str, list[Any]]:
        """Each part of the output, and what that is made of."""
        operations = Operations()
        with unheard(), hearing(operations):
            returned = run(values)
        return {leaf: [part, *before(part, operations)] for leaf, part in returned.items()}

    places = dict.fromkeys(parts, 0)
    with _said_by_engine():
        if any(may_be_squashed(part.tensor) for part in parts.values()):
            # What is heard is another thing where derivatives are taken.
            found, _ = jax.vjp(made, own)
            for leaf, (part, *rest) in found.items():
                score = score_behind(part, rest)
                if score is not None:
                    parts[leaf] = parts[leaf]._replace(score=score)
                    places[leaf] = next(i for i, tensor in enumerate(found[leaf]) if tensor is score.tensor)
    asked = forward.asked(seed, parts)

    def starts(values: Sequence[Any]) -> list[Any]:
        found = made(values)
        return [found[leaf][places[leaf]] for leaf in asked]

    with _said_by_engine():
        _, back = jax.vjp(starts, own)
        (gradients,) = back([derivative for _, derivative in asked.values()])
    return list(gradients)


def _with_values(variables: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [(variable, keras.ops.convert_to_tensor(variable.value)) for variable in variables]


def _weights_on_tensorflow(forward: _Forward, seed: Seed, variables: Sequence[Any]) -> Sequence[Any]:
    values = _with_values(variables)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([value for _, value in values])
        parts = forward.scored(forward.tapping(_untapped), values)
    asked = forward.asked(seed, parts).values()
    with _said_by_engine():
        found = tape.gradient(
            [part for part, _ in asked],
            [value for _, value in values],
            output_gradients=[derivative for _, derivative in asked],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
    return [tf.convert_to_tensor(gradient) for gradient in found]


def _weights_on_torch(forward: _Forward, seed: Seed, variables: Sequence[Any]) -> Sequence[Any]:
    with torch.inference_mode(False), torch.enable_grad():
        values = [(variable, value.detach().requires_grad_()) for variable, value in _with_values(variables)]
        returned = forward.scored(forward.tapping(_untapped), values)
        asked = [pair for pair in forward.asked(seed, returned).values() if pair[0].requires_grad]
        found: Sequence[Any] = [None] * len(values)
        if asked and values:
            parts, derivatives = zip(*asked, strict=True)
            with _said_by_engine():
                found = torch.autograd.grad(
                    parts, [value for _, value in values], derivatives, allow_unused=True
                )
    return [
        torch.zeros_like(value) if gradient is None else gradient
        for (_, value), gradient in zip(values, found, strict=True)
    ]


def _weights_on_jax(forward: _Forward, seed: Seed, variables: Sequence[Any]) -> Sequence[Any]:
    own = [value for _, value in _with_values(variables)]
    tapping = forward.tapping(_untapped)
    parts = {leaf: _Part(part, None) for leaf, part in forward.heard_by(tapping).items()}

    def run(values: Sequence[Any]) -> dict[str, Any]:
        return forward.heard_by(
            Adding(forward.layers, tapping, ()), list(zip(variables, values, strict=True))
        )

    return _pulled_on_jax(forward, seed, parts, run, own)


def _untapped(tensor: Any) -> tuple[Any, Any]:
    return tensor, tensor


_ENGINES_OF_WEIGHTS = {
    "tensorflow": _weights_on_tensorflow, "torch": _weights_on_torch, "jax": _weights_on_jax
}  # fmt: skip

_ENGINES = {"tensorflow": _on_tensorflow, "torch": _on_torch, "jax": _on_jax}


def _by_engine(ways: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    way = ways.get(ENGINE.name)
    if way is None:
        raise UnsupportedError(
            f"derivatives are asked for, and it is not known how Keras' engine {ENGINE.name!r} computes any; load the "
            f"model with KERAS_BACKEND={', '.join(KNOWN[:-1])} or {KNOWN[-1]}"
        )
    return way


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
            f"{ENGINE.name} cannot differentiate what this model does: {_first_line(cause)}; take a "
            f"layer behind it, write it with keras.ops, or load the model with another KERAS_BACKEND"
        ) from error


def _of_differentiation(error: BaseException | None) -> BaseException | None:
    """What says that an operation has no derivative, or, on JAX, that the model takes values out of JAX."""
    while error is not None and not isinstance(error, ENGINE.derivative_errors):
        error = error.__context__  # Keras puts errors of its own into the place of an engine's
    return error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

"""Follows from which part of the input each element of a tensor stems, by a pass over tensors without values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from netviz_core.backend_api import (
    AxisArray,
    AxisBook,
    Observation,
    Origin,
    OriginOf,
    Origins,
    Recorder,
    Source,
    blank,
    leaves,
    placing,
    positional_axes,
)

from .axes import axes_after
from .engines import ENGINE
from .inputs import prepare
from .layers import KerasLayer, walk
from .origin_rules import Rule, rule_of
from .passes import build, unchanged
from .tensors import adopted, is_tensor
from .without_values import Computing, following, nodes_kept, symbols

Array = np.ndarray[Any, Any]


def origins(model: Any, inputs: Any, told: Callable[[OriginOf], None]) -> Mapping[str, Source]:
    """See `netviz_core.backend_api.SupportsOrigins`."""
    book = AxisBook()
    arguments = prepare(model, inputs, book)
    build(model, arguments)
    layers = list(walk(model))
    args, kwargs = symbols(arguments, book)
    follower = Follower(layers, book)
    follower.start(inputs, args, kwargs)
    with (
        unchanged(model, arguments),
        keras.StatelessScope(),
        ENGINE.no_gradients(),
        nodes_kept(layers),
        following(follower),
    ):
        try:
            model(*args, **kwargs, training=False)
        except Exception:
            # A model that needs values: what it raises of itself, a pass with values raises too.
            return follower.origins.sources()
    follower.tell(told)
    return follower.origins.sources()


class _Known:
    """The origin of a tensor, in the place where a recorder keeps what makes a value that one."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin


class Follower(Computing):
    """Knows where in the input the elements of tensors without values lie."""

    def __init__(self, layers: Sequence[KerasLayer], book: AxisBook) -> None:
        self._returned = Recorder(layers, given=Recorder(layers))
        super().__init__(layers, self._returned, book)
        self.origins = Origins()
        self._known: dict[int, tuple[Any, Origin]] = {}

    def start(self, inputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Give the model's inputs, as it takes them, their names in `inputs`."""
        given = [
            name
            for name, _ in leaves(
                inputs, lambda part: isinstance(part, AxisArray) or is_tensor(adopted(part))
            )
        ]
        arguments = args[0] if len(args) == 1 and not kwargs else (args, kwargs)
        for name, (_, tensor) in zip(given, leaves(arguments, is_tensor), strict=False):
            self._set(tensor, self.origins.start(name, tensor.shape, self._book.get(tensor) or ()))

    def tell(self, told: Callable[[OriginOf], None]) -> None:
        """Tell of all that layers were given and returned."""
        given = self._returned.given
        assert given is not None
        for recorder in (given, self._returned):
            for slot in recorder.slots:
                seen = slot.observation
                shape, known = tuple(seen.value.shape), seen.identity
                assert isinstance(known, _Known)
                told(
                    OriginOf(
                        slot.path, slot.call, seen.leaf, seen.axes, shape, known.origin, recorder is given
                    )
                )

    def of(self, tensor: Any) -> Origin:
        """Where the elements of a tensor lie; empty for what does not depend on the input."""
        return self._known.get(id(tensor), (None, {}))[1]

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        path = self._paths.get(id(layer))
        parts = list(leaves(output, is_tensor))
        axes = [axes_after(self._book, layer, (args, kwargs), tensor) for _, tensor in parts]
        if path is not None:
            self._note(
                self._returned,
                path,
                [(leaf, tensor, a) for (leaf, tensor), a in zip(parts, axes, strict=True)],
            )
        return output

    def _tell_given(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        path, given = self._paths.get(id(layer)), self._returned.given
        if path is None or given is None:
            return
        arguments = {**{str(position): value for position, value in enumerate(args)}, **kwargs}
        self._note(
            given,
            path,
            [
                (leaf, tensor, self._book.get(tensor) or positional_axes(len(tensor.shape)))
                for leaf, tensor in leaves(arguments, is_tensor)
            ],
        )

    def _note(self, recorder: Any, path: str, parts: Iterable[tuple[str, Any, tuple[str, ...]]]) -> None:
        recorder.add(
            path,
            [
                Observation(leaf, blank(tuple(tensor.shape)), axes, "", 0, _Known(self.of(tensor)))
                for leaf, tensor, axes in parts
                if None not in tensor.shape
            ],
        )

    def computed(
        self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], compute: Callable[..., Any]
    ) -> Any:
        """Find what a layer or operation returns when it is given tensors without values, and where that lies."""
        is_layer = isinstance(operation, keras.Layer)
        rule = rule_of(operation)
        if is_layer and rule is None:
            try:
                return operation.call(*args, **kwargs)
            except Exception:
                pass  # it needs values, or calls its engine: what it returns may depend on all it is given
        output = compute(operation, *args, **kwargs)
        self._place(rule, operation, args, kwargs, output)
        return output

    def _place(
        self, rule: Rule | None, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        """Note where that lies which an operation has returned as a whole."""
        made = [tensor for _, tensor in leaves(output, is_tensor)]
        given = [tensor for _, tensor in leaves((args, kwargs), is_tensor)]
        if any(map(self.of, given)) and made and None not in made[0].shape:
            found = rule(self, operation, args, kwargs, made) if rule is not None else None
            if found is None:
                found = [placing.everywhere(map(self.of, given), tensor.shape) for tensor in made]
            for tensor, origin in zip(made, found, strict=False):
                self._set(tensor, origin)

    def _set(self, tensor: Any, origin: Origin) -> None:
        self._known[id(tensor)] = tensor, origin

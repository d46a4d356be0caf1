"""A pass in which other values stand in the place of what layers are given and return."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras.src.backend import get_keras_mask, set_keras_mask

from netviz_core.backend_api import AxisBook, RecorderLike, Replacement, StandIn, leaves, replaced

from .engines import ENGINE
from .inputs import Arguments, prepare
from .layers import KerasLayer, walk
from .listening import Listener, explain, listening
from .passes import build, unchanged
from .tensors import dtype_name, is_tensor


def run_replaced(
    model: Any,
    inputs: Any,
    recorder: RecorderLike,
    replacement: Replacement,
    instead: Mapping[str, Sequence[StandIn]],
) -> Any:
    """See `netviz_core.backend_api.SupportsReplacement`."""
    book = AxisBook()
    args, kwargs = prepare(model, inputs, book)
    build(model, (args, kwargs))
    with unchanged(model, (args, kwargs)), keras.StatelessScope(), ENGINE.no_gradients():
        layers = list(walk(model))
        replacing = Replacing(layers, recorder, book, replacement, instead)
        with listening(replacing):
            output = model(*args, **kwargs, training=False)
        explain(layers, recorder, replacing.ran)
        return output


class Replacing(Listener):
    """Tells a recorder what layers are given and return, and hands on other values."""

    def __init__(
        self,
        layers: Sequence[KerasLayer],
        recorder: RecorderLike,
        book: AxisBook,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> None:
        super().__init__(layers, recorder, book)
        self._replacement = replacement
        self._instead = {path: deque(stand_ins) for path, stand_ins in instead.items()}
        self._made_last: Any = None
        self._begun: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    def concerns(self, path: str) -> bool:
        """Whether anything is to be done where a layer returns."""
        return path in self._instead or super().concerns(path)

    def given(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        """The arguments that a layer is to get."""
        args, kwargs = super().given(layer, args, kwargs)
        path = self._paths.get(id(layer))
        if path not in self._recorder.paths:
            return args, kwargs
        places = {str(place): value for place, value in enumerate(args)}
        new = self._other({**places, **kwargs}, path, _next(self._begun, path), is_given=True)
        return tuple(new[place] for place in places), {name: new[name] for name in kwargs}

    def instead(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What stands in for what a layer of Keras' own would return, which is nobody's concern; else None."""
        left = self._instead.get(self._paths.get(id(layer), ""))
        if not left or not _does_nothing_else(layer, (args, kwargs)):
            return None
        self._made_last = self._made(left.popleft())
        return self._made_last

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """What its caller is to get."""
        output = super().returned(layer, args, kwargs, output)
        path = self._paths.get(id(layer))
        left = self._instead.get(path or "")
        if left and output is not self._made_last:
            return _with_mask_of(output, self._made(left.popleft()))
        if path not in self._recorder.paths:
            return output
        return self._other(output, path, _next(self._ended, path), is_given=False)

    def _other(self, structure: Any, path: str, call: int, is_given: bool) -> Any:
        names = iter([name for name, _ in leaves(structure, is_tensor)])

        def other(tensor: Any) -> Any:
            name = next(names)
            if None in tensor.shape:
                return tensor
            values = self._replacement(path, call, name, is_given, tuple(tensor.shape))
            return tensor if values is None else self._like(tensor, values)

        return replaced(structure, is_tensor, other)

    def _like(self, tensor: Any, values: Any) -> Any:
        """A tensor of these values, of the same dtype, mask and names of axes."""
        new = keras.ops.convert_to_tensor(values, dtype_name(tensor))
        self._book.note(new, self._book.get(tensor))
        return _with_mask_of(tensor, new)

    def _made(self, stand_in: StandIn) -> Any:
        new = keras.ops.convert_to_tensor(stand_in.values, stand_in.dtype)
        return self._book.note(new, stand_in.axes)


def _with_mask_of(tensor: Any, new: Any) -> Any:
    mask = get_keras_mask(tensor)
    if mask is not None:
        set_keras_mask(new, mask)
    return new


def _does_nothing_else(layer: Any, given: Any) -> bool:
    """Whether a layer is one of Keras' own, which nobody misses if it does not run: it hands on no mask."""
    is_own = type(layer).__module__.startswith("keras.src.layers.")
    makes_masks = type(layer).compute_mask is not keras.Layer.compute_mask if is_own else True
    return not makes_masks and all(get_keras_mask(part) is None for part in keras.tree.flatten(given))


def _next(calls: dict[str, int], path: str) -> int:
    call = calls.get(path, 0)
    calls[path] = call + 1
    return call

"""Hears what modules return, by standing in front of their classes' ``__call__`` for as long as somebody listens."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

import jax
import numpy as np

from netviz_core.backend_api import Observation, RecorderLike, leaves, others, positional_axes, widened

from .axes import AxisBook
from .kinds import flax_class, kind_of
from .layers import FlaxLayer

NOT_CALLED = (
    "it was not called: only `__call__` is heard, and not what runs under nnx.jit or another transformation, which "
    "calls copies of the modules; record under jax.disable_jit(), or let netviz.capture make the pass"
)
TRACED = (
    "it ran within a transformation that traces (nnx.jit, nnx.vmap, nnx.remat), where there are no values yet"
)
STEPS = "its cell works step by step within the recurrent layer, whose output has what each step returned"


class Held:
    """An array as a module returned it; nothing in JAX writes to one."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = tuple(array.shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        """Its values."""
        return widened(np.asarray(self._array))


def is_array(value: object) -> bool:
    """Whether a value is an array, or stands for one while JAX traces."""
    return isinstance(value, (jax.Array, np.ndarray))


class Listener:
    """Reports to a recorder what the modules of one model are given and return; others may hand on other values."""

    def __init__(self, path_of: Callable[[Any], str | None], recorder: RecorderLike, book: AxisBook) -> None:
        self.path_of, self.recorder, self.book = path_of, recorder, book

    def given(self, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A module is about to run; returns the arguments that it is to get."""
        if self.recorder.given is not None:
            self._report(self.recorder.given, path, arguments, lambda array: self.book.get(array))
        return arguments

    def instead(self, path: str) -> Any:
        """What stands in for what it would return, so that it need not run; None if it is to run."""
        return None

    def returned(self, path: str, kind: str, given: Any, output: Any) -> Any:
        """It has returned; returns what its caller is to get."""
        named = {id(part): self.book.after(kind, given, part) for _, part in leaves(output, is_array)}
        self._report(self.recorder, path, output, lambda array: named[id(array)])
        return output

    def _report(self, recorder: RecorderLike, path: str, output: Any, axes: Callable[[Any], Any]) -> None:
        if path not in recorder.paths:
            return
        parts = list(leaves(output, is_array))
        if any(isinstance(array, jax.core.Tracer) for _, array in parts):
            recorder.miss(path, TRACED)
            return
        recorder.add(path, [_observed(leaf, array, axes(array)) for leaf, array in parts])
        if not is_array(output):
            recorder.add_others(path, others(output, is_array))


def _observed(leaf: str, array: Any, axes: tuple[str, ...] | None) -> Observation:
    size = array.size * (
        max(array.dtype.itemsize, 4) if "float" in str(array.dtype) else array.dtype.itemsize
    )
    return Observation(leaf, Held(array), axes or positional_axes(array.ndim), str(array.dtype), size)


def explain(layers: Iterable[FlaxLayer], recorder: RecorderLike) -> None:
    """Give the reason for the layers asked for that have not been heard."""
    recurrent: tuple[str, ...] = ()
    for layer in layers:
        within = any(layer.path.startswith(above) for above in recurrent)
        recorder.miss(layer.path, STEPS if within else NOT_CALLED)
        if flax_class(layer.native) == "RNN":
            recurrent += (f"{layer.path}." if layer.path else "",)


_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("netviz_flax_listeners", default=())
_CALL = "__call__"
_open: Counter[type] = Counter()
_own: dict[type, Any] = {}
_lock = Lock()


@contextmanager
def listening(listeners: Iterable[Listener], classes: Iterable[type]) -> Iterator[None]:
    """Let listeners hear the modules of these classes that run in this context."""
    came = tuple(listeners)
    classes = {cls for cls in classes if any(_CALL in vars(base) for base in cls.__mro__)}
    with _lock:
        for cls in classes:
            if not _open[cls]:
                _own[cls] = vars(cls).get(_CALL)
                setattr(cls, _CALL, _told(getattr(cls, _CALL), cls))
            _open[cls] += 1
    _listeners.set((*_listeners.get(), *came))
    try:
        yield
    finally:
        # Others may have come or gone meanwhile: recordings need not be nested.
        _listeners.set(tuple(other for other in _listeners.get() if other not in came))
        with _lock:
            for cls in classes:
                _open[cls] -= 1
                if not _open[cls]:
                    before = _own.pop(cls)
                    if before is None:
                        delattr(cls, _CALL)
                    else:
                        setattr(cls, _CALL, before)


def _told(original: Any, cls: type) -> Any:
    @functools.wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        heard = [(each, path) for each in _listeners.get() if (path := each.path_of(self)) is not None]
        if not heard or type(self) is not cls:  # else the call of a subclass comes by here once more
            return original(self, *args, **kwargs)
        arguments = {**{str(place): value for place, value in enumerate(args)}, **kwargs}
        for each, path in reversed(heard):
            arguments = each.given(path, arguments)
        args = tuple(arguments[str(place)] for place in range(len(args)))
        output = next((made for each, path in heard if (made := each.instead(path)) is not None), None)
        if output is None:
            token = _listeners.set(() if flax_class(self) == "RNN" else _listeners.get())
            try:
                output = original(self, *args, **{name: arguments[name] for name in kwargs})
            finally:
                _listeners.reset(token)
        kind, first = kind_of(self), next(iter(arguments.values()), None)
        for each, path in reversed(heard):
            output = each.returned(path, kind, first, output)
        return output

    return __call__

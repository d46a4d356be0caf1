"""Hears layers that are objects which are called: for backends whose framework has no hooks of its own.

A `CallReader` says what a framework's tensors are; the rest is the same everywhere: standing in front of ``__call__``
of the layers' classes for as long as somebody listens, naming axes, numbering calls, and handing on other values.
"""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

from ..words.alive import Book
from ..words.arrays import positional_axes
from ..words.observations import Observation
from ..words.protocols import RecorderLike
from ..words.structure import leaves, others, replaced
from ..words.supports_passes import Replacement, StandIn
from .ears import Ears

Axes = tuple[str, ...]


class CallReader(Protocol):
    """What `CallListener` has to know of a framework."""

    def is_tensor(self, value: object) -> bool:
        """Whether a value is one of the framework's tensors; they can be referred to weakly."""

    def observed(self, leaf: str, tensor: Any, axes: Axes) -> Observation | str:
        """A tensor that a layer is given or has returned; in words why it has no values, where that is so."""

    def axes_after(self, layer: Any, before: Axes | None, rank: int) -> Axes | None:
        """The axes of what a layer made, if those of its first input are `before`; None where it does not tell."""

    def like(self, values: Any, dtype: str) -> Any:
        """A tensor of these values."""

    def is_closed(self, layer: Any) -> bool:
        """Whether what runs within a layer is not heard, such as what it does for each step of a sequence."""


class AxisBook(Book[Axes]):
    """Knows the axes of the tensors that are alive."""


class CallListener:
    """Tells a recorder what the layers of one model are given and return.

    Parameters
    ----------
    reader : CallReader
    path_of : callable
        From an object that is called to its path; None for what is no layer of the model.
    recorder : Recorder
    book : AxisBook
        It may know the axes of the model's inputs.
    """

    def __init__(
        self,
        reader: CallReader,
        path_of: Callable[[Any], str | None],
        recorder: RecorderLike,
        book: AxisBook,
    ) -> None:
        self.reader, self.path_of, self.recorder, self.book = reader, path_of, recorder, book

    def given(self, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A layer is about to run; returns the arguments that it is to get, by position and name."""
        if self.recorder.given is not None:
            self._tell(self.recorder.given, path, arguments)
        return arguments

    def instead(self, path: str) -> Any:
        """What stands in for what a layer would return, so that it need not run; None if it is to run."""
        return None

    def returned(self, path: str, layer: Any, given: Any, output: Any) -> Any:
        """A layer has returned; returns what its caller is to get."""
        for _, tensor in leaves(output, self.reader.is_tensor):
            axes = self.reader.axes_after(layer, self.book.get(given), len(tensor.shape))
            if axes is not None and len(axes) == len(tensor.shape) == len(set(axes)):
                self.book.note(tensor, axes)
        self._tell(self.recorder, path, output)
        return output

    def _tell(self, recorder: RecorderLike, path: str, output: Any) -> None:
        if path not in recorder.paths:
            return
        read = [
            self.reader.observed(leaf, tensor, self.book.get(tensor) or positional_axes(len(tensor.shape)))
            for leaf, tensor in leaves(output, self.reader.is_tensor)
        ]
        reason = next((told for told in read if isinstance(told, str)), "")
        if reason:
            recorder.miss(path, reason)
            return
        recorder.add(path, [told for told in read if not isinstance(told, str)])
        if not self.reader.is_tensor(output):
            recorder.add_others(path, others(output, self.reader.is_tensor))


class ReplacingListener(CallListener):
    """Hands on other values besides, see `netviz_core.backend_api.SupportsReplacement`."""

    def __init__(
        self,
        reader: CallReader,
        path_of: Callable[[Any], str | None],
        recorder: RecorderLike,
        book: AxisBook,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> None:
        super().__init__(reader, path_of, recorder, book)
        self._replacement = replacement
        self._instead = {path: deque(stand_ins) for path, stand_ins in instead.items()}
        self._calls: Counter[tuple[str, bool]] = Counter()

    def given(self, path: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments that a layer is to get."""
        new: dict[str, Any] = self._other(super().given(path, arguments), path, is_given=True)
        return new

    def instead(self, path: str) -> Any:
        """The stand-in of a layer that has one."""
        if not self._instead.get(path):
            return None
        values, axes, dtype = self._instead[path].popleft()
        return self.book.note(self.reader.like(values, dtype), axes)

    def returned(self, path: str, layer: Any, given: Any, output: Any) -> Any:
        """What the caller of a layer is to get."""
        if path in self._instead:
            return output
        return self._other(super().returned(path, layer, given, output), path, is_given=False)

    def _other(self, structure: Any, path: str, is_given: bool) -> Any:
        if path not in self.recorder.paths:
            return structure
        call = self._calls[path, is_given]
        self._calls[path, is_given] += 1
        names = iter([name for name, _ in leaves(structure, self.reader.is_tensor)])

        def other(tensor: Any) -> Any:
            values = self._replacement(path, call, next(names), is_given, tuple(tensor.shape))
            if values is None:
                return tensor
            return self.book.note(self.reader.like(values, str(tensor.dtype)), self.book.get(tensor))

        return replaced(structure, self.reader.is_tensor, other)


def _told(original: Callable[..., Any], cls: type) -> Callable[..., Any]:
    @functools.wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        heard = [(each, path) for each in _ears.listeners if (path := each.path_of(self)) is not None]
        if not heard or type(self) is not cls:  # else the call of a subclass comes by here once more
            return original(self, *args, **kwargs)
        arguments = {**{str(place): value for place, value in enumerate(args)}, **kwargs}
        for each, path in reversed(heard):
            arguments = each.given(path, arguments)
        output = next((made for each, path in heard if (made := each.instead(path)) is not None), None)
        if output is None:
            closed = any(each.reader.is_closed(self) for each, _ in heard)
            positions = (arguments[str(place)] for place in range(len(args)))
            with _ears.unheard() if closed else nullcontext():
                output = original(self, *positions, **{name: arguments[name] for name in kwargs})
        first = next(iter(arguments.values()), None)
        # What the last to come has put into place of the output, those before it see.
        for each, path in reversed(heard):
            output = each.returned(path, self, first, output)
        return output

    return __call__


_ears = Ears[CallListener]("__call__", _told)
listening = _ears.listening
"""Let listeners hear the objects of classes that are called in this context; see `Ears.listening`."""

"""Traces the data flow between layers, with what a model does to tensors by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from netviz_core.backend_api import (
    NOT_FOLLOWED,
    OUTPUT,
    Book,
    TensorForm,
    TracedCall,
    UnsupportedError,
    leaves,
)

from .axes import AxisFollower
from .excursions import Excursions
from .kinds import kind_of
from .listening import name_defined_axes, watching
from .passes import evaluation
from .tensors import memory_of
from .unwrap import unwrapped
from .watch import Watch
from .words import moves_only, only_looks, word_of


def trace(model: Any, inputs: Any) -> Iterator[TracedCall]:
    """See `netviz_core.backend_api.SupportsGraph`."""
    _refuse_scripts(unwrapped(model))
    watch = Watch(AxisFollower())
    calls: list[TracedCall] = []
    try:
        with evaluation(model, inputs, watch) as (module, forward):
            tracer = Tracer(watch, Excursions(module))
            calls = tracer.calls
            with tracer.following(module), watching(watch), Functions(tracer), torch.no_grad():
                forward()
    except Exception:
        yield from calls  # a pass that failed is seen as far as it came
        raise
    yield from calls


def _refuse_scripts(module: nn.Module) -> None:
    for path, child in module.named_modules():
        if isinstance(child, torch.jit.ScriptModule):
            where = f"layer {path!r}" if path else "the model"
            raise UnsupportedError(
                f"{where} is TorchScript, which hides what it computes; give the unscripted model"
            )


class Identities:
    """Gives each value of a tensor a number: another one after the tensor was written to.

    Only what stems from the model's input has a number; weights and constants have none. What ``torch.func`` wraps has
    that of the tensor within.
    """

    def __init__(self, version_of: Callable[[torch.Tensor], int]) -> None:
        self._version_of = version_of
        self._known = Book[tuple[int, int]]()
        self._written: dict[int, int] = {}
        """The number of what was last written to a piece of memory."""
        self._numbers = count()

    def get(self, tensor: torch.Tensor) -> int | None:
        """The number of a tensor as it is now."""
        tensor = _within(tensor)
        known = self._known.get(tensor)
        if known is None:
            return None
        version, number = known
        if version != self._version_of(tensor):  # written to through another tensor of the same memory
            return self._written.get(memory_of(tensor), number)
        return number

    def give(self, tensor: torch.Tensor, number: int | None = None) -> int:
        """Give a tensor a number, by default a new one."""
        tensor = _within(tensor)
        number = next(self._numbers) if number is None else number
        self._known.note(tensor, (self._version_of(tensor), number))
        return number

    def write(self, tensor: torch.Tensor) -> None:
        """Give a new number to a tensor that was written to, and so to all that share its memory."""
        self._written[memory_of(tensor)] = self.give(tensor)
        if tensor._base is not None:
            self.give(tensor._base, self.get(tensor))


class Call(NamedTuple):
    """A call that is being made: the tensors given to it, and what they were before."""

    given: list[torch.Tensor]
    versions: list[int]
    inputs: tuple[TensorForm, ...]
    version_of: Callable[[torch.Tensor], int]

    @property
    def written(self) -> list[torch.Tensor]:
        """Those that were written to since."""
        pairs = zip(self.given, self.versions, strict=True)
        return [tensor for tensor, version in pairs if self.version_of(tensor) != version]

    def was_given(self, tensor: object) -> bool:
        """Whether a tensor is one of those given."""
        return any(tensor is given for given in self.given)


class Tracer:
    """Tells of the calls of layers and operations while a model runs."""

    def __init__(self, watch: Watch, excursions: Excursions) -> None:
        self.calls: list[TracedCall] = []
        self._follower = watch.follower
        self._version_of = watch.version
        self._identities = Identities(watch.version)
        self._excursions = excursions
        self._running: list[str] = []
        self._leaves: list[Call] = []
        """The calls of layers that are not seen into."""
        self._thread = threading.get_ident()

    @property
    def is_between_layers(self) -> bool:
        """Whether the model is running, but none of its layers that are not seen into."""
        return bool(self._running) and not self._leaves

    @contextmanager
    def following(self, module: nn.Module) -> Iterator[None]:
        """Follow the calls of a model's layers while the context is open."""
        hooks: list[torch.utils.hooks.RemovableHandle] = []
        try:
            for path, child in module.named_modules():
                before, after = self._hooks(path, child)
                hooks.append(child.register_forward_pre_hook(before, with_kwargs=True))
                hooks.append(child.register_forward_hook(after, with_kwargs=True, always_call=True))
            yield
        finally:
            for handle in hooks:
                handle.remove()

    def operation(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make one operation between layers, and tell of it."""
        given = _tensors((args, kwargs))
        self._require_followed(self._running[-1], given, is_alone=False)
        call = self._call(given)
        result = func(*args, **kwargs)
        results, written = _tensors(result), call.written
        self._excursions.note(func, call.inputs, call.given, results)
        if not call.inputs or not (results or written) or only_looks(func):
            return result
        if not written and (moves_only(func, call.given, results) or all(map(call.was_given, results))):
            self._pass_on(call.given[0], results)
        else:
            self._tell(self._running[-1], word_of(func, args), call, results)
        return result

    def _hooks(self, path: str, module: nn.Module) -> tuple[Callable[..., None], Callable[..., Any]]:
        kind = kind_of(module)
        is_leaf = kind not in _OPENED_KINDS or (bool(path) and not any(True for _ in module.children()))

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if threading.get_ident() == self._thread:
                with torch._C.DisableTorchFunction():
                    self._enter(path, is_leaf, _tensors((args, kwargs)))

        def after(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            if threading.get_ident() != self._thread:
                return output
            with torch._C.DisableTorchFunction():
                if is_leaf and self._leaves[-1].was_given(output) and not self._leaves[-1].written:
                    output = torch.ops.aten.alias(output)  # so that it can be told from what was given
                name_defined_axes(module, kind, args, output, self._follower)
                self._leave(path, is_leaf, _tensors(output))
                return output

        return before, after

    def _enter(self, path: str, is_leaf: bool, given: list[torch.Tensor]) -> None:
        if not self._running:
            for tensor in given:
                self._identities.give(tensor)
        elif is_leaf and not self._leaves:
            self._require_followed(self._running[-1], given)
        self._running.append(path)
        if is_leaf:
            self._leaves.append(self._call(given))

    def _leave(self, path: str, is_leaf: bool, returned: list[torch.Tensor]) -> None:
        if is_leaf:
            call = self._leaves.pop()
            if not self._leaves:
                self._tell(path, "", call, returned)
        self._running.pop()
        if not self._running:
            self._require_followed("", returned)
            if lost := self._excursions.lost:
                self.calls.append(TracedCall("", NOT_FOLLOWED, lost, ()))
            self.calls.append(TracedCall("", OUTPUT, self._forms(returned), ()))

    def _require_followed(self, path: str, given: list[torch.Tensor], is_alone: bool = True) -> None:
        """Say of tensors that stem from something else than was seen that it was not followed.

        Of several that are given together, where nothing was taken out of tensors, another is known to be: a
        constant then is the more likely.
        """
        unknown = [
            tensor
            for tensor in given
            if self._identities.get(tensor) is None and not self._excursions.is_constant(tensor)
        ]
        if unknown and (self._excursions.taken or (is_alone and len(unknown) == len(given))):
            for tensor in unknown:
                self._identities.give(tensor)
            inputs = self._excursions.put_in()
            self.calls.append(TracedCall(path, NOT_FOLLOWED, inputs, self._forms(unknown)))

    def _call(self, given: list[torch.Tensor]) -> Call:
        return Call(given, list(map(self._version_of, given)), self._forms(given), self._version_of)

    def _pass_on(self, given: torch.Tensor, results: list[torch.Tensor]) -> None:
        """Let results be the same to the data flow as what was given."""
        number = self._identities.get(given)
        if number is not None:
            for tensor in results:
                self._identities.give(tensor, number)

    def _tell(self, path: str, operation: str, call: Call, results: list[torch.Tensor]) -> None:
        """Tell of a call that was made; what it returned and what it wrote to are new."""
        for tensor in call.written:
            self._identities.write(tensor)
        made = {id(tensor): tensor for tensor in (*results, *call.written)}
        for key, tensor in made.items():
            if key not in map(id, call.written):
                self._identities.give(tensor)
        self.calls.append(TracedCall(path, operation, call.inputs, self._forms(made.values())))

    def _forms(self, tensors: Iterable[torch.Tensor]) -> tuple[TensorForm, ...]:
        """The forms of those that stem from the model's input."""
        return tuple(
            TensorForm(number, *self._axes_and_shape(tensor))
            for tensor in tensors
            if (number := self._identities.get(tensor)) is not None
        )

    def _axes_and_shape(self, tensor: torch.Tensor) -> tuple[tuple[str, ...], tuple[int, ...]]:
        tensor = _within(tensor)
        if tensor.is_nested:
            return (), ()
        return self._follower.axes(tensor), tuple(tensor.shape)


_OPENED_KINDS = frozenset({"container", "other"})
"""Layers of these kinds are seen into, if there are layers within."""


class Functions(TorchFunctionMode):
    """While active, tells a tracer of the operations between layers."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._tracer.is_between_layers:
            return self._tracer.operation(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def _within(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor within those of ``torch.func``'s transforms."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return tensor


def _tensors(value: Any) -> list[torch.Tensor]:
    """The tensors in arguments or results, each once."""
    found = leaves(value, lambda part: isinstance(part, torch.Tensor))
    return list({id(tensor): tensor for _, tensor in found}.values())

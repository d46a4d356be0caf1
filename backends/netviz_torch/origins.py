"""Follows from which part of the input each element of a tensor stems, operation by operation."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._ops import OpOverload

from netviz_core.backend_api import (
    AxisArray,
    Book,
    Origin,
    OriginOf,
    Origins,
    Recorder,
    Source,
    leaves,
    placing,
)

from .axes import AxisFollower
from .listening import observed
from .origin_rules import rule_of, written_through
from .passes import evaluation
from .tensors import is_tensor
from .watch import Watch

Told = Callable[[OriginOf], None]


def origins(model: Any, inputs: Any, told: Told) -> Mapping[str, Source]:
    """See `netviz_core.backend_api.SupportsOrigins`."""
    watch = OriginWatch(AxisFollower())
    with evaluation(model, inputs, watch) as (module, forward):
        nothing = Recorder(())
        with (
            observed(module, nothing, watch),
            _telling(module, watch, inputs, told),
            _unfused(),
            torch.no_grad(),
        ):
            forward()
    return watch.origins.sources()


@contextmanager
def _telling(module: nn.Module, watch: OriginWatch, inputs: Any, told: Told) -> Iterator[None]:
    """Tell of what layers are given and return while the context is open."""
    thread, calls, hooks = threading.get_ident(), Counter[str](), []

    def tell(path: str, value: Any, is_given: bool) -> None:
        for leaf, tensor in leaves(value, is_tensor):
            axes, shape = watch.follower.axes(tensor), tuple(tensor.shape)
            told(OriginOf(path, calls[path], leaf, axes, shape, watch.get(tensor), is_given))

    def before(path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == thread:
            if not path and not calls[path]:
                watch.start(inputs, args, kwargs)
            tell(path, {**{str(place): value for place, value in enumerate(args)}, **kwargs}, is_given=True)

    def after(path: str, output: Any) -> None:
        if threading.get_ident() == thread:
            tell(path, output, is_given=False)
            calls[path] += 1

    try:
        for path, child in module.named_modules():
            if isinstance(child, torch.jit.ScriptModule):
                continue
            hooks.append(
                child.register_forward_pre_hook(
                    lambda _, args, kwargs, path=path: before(path, args, kwargs), with_kwargs=True
                )
            )
            hooks.append(child.register_forward_hook(lambda _, args, output, path=path: after(path, output)))
        yield
    finally:
        for handle in hooks:
            handle.remove()


@contextmanager
def _unfused() -> Iterator[None]:
    """Let attention run layer by layer, as it does where gradients are asked for."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class OriginWatch(Watch):
    """While active, also knows where in the input the elements of tensors lie."""

    sees_all = True

    def __init__(self, follower: AxisFollower) -> None:
        super().__init__(follower)
        self.origins = Origins()
        self._known = Book[Origin]()

    def start(self, inputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Give the model's inputs, as it takes them, their names in `inputs`."""
        given = [name for name, _ in leaves(inputs, lambda part: is_tensor(part) or _is_array(part))]
        tensors = [tensor for _, tensor in leaves((args, kwargs), is_tensor)]
        for name, tensor in zip(given, tensors, strict=False):
            names = self.follower.get(tensor) or ()
            self._known.note(tensor, self.origins.start(name, tensor.shape, names))

    def get(self, tensor: torch.Tensor) -> Origin:
        """Where the elements of a tensor lie; empty for what does not depend on the input."""
        return self._known.get(tensor) or {}

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """See `Watch.run`; also follow the places of its arguments to its results."""
        given = [tensor for _, tensor in leaves((args, kwargs), is_tensor)]
        before = {id(tensor): self.get(tensor) for tensor in given}
        result = super().run(func, args, kwargs)
        if any(before.values()):
            for tensor, origin in self._after(func, args, result, given, before):
                self._known.note(tensor, origin)
        return result

    def _after(
        self, func: Any, args: Any, result: Any, given: list[torch.Tensor], before: dict[int, Origin]
    ) -> Iterator[tuple[torch.Tensor, Origin]]:
        results = [tensor for _, tensor in leaves(result, is_tensor)]
        rule = rule_of(func) if isinstance(func, OpOverload) else None
        origin_of = lambda tensor: before.get(id(tensor), {}) if isinstance(tensor, torch.Tensor) else {}  # noqa: E731
        found = rule(self.origins, origin_of, args, results) if rule is not None and results else None
        if found is None:
            found = [placing.everywhere(map(origin_of, given), tensor.shape) for tensor in results]
        for tensor, origin in zip(results, found, strict=False):
            yield tensor, origin
            base = tensor._base
            is_written = base is not None and any(tensor is other for other in given)
            if is_written and not placing.is_same(origin, before.get(id(tensor), {})):
                yield base, written_through(self.get(base), base, origin, tensor)


def _is_array(value: object) -> bool:
    return isinstance(value, (np.ndarray, AxisArray))

"""Sees every operation while a model runs, so that no value is lost to a later write.

A layer's output is kept without a copy. When some operation is about to write into its memory
(an in-place layer, a view written through, an ``out=`` buffer), it is copied first; the same
way, what the model itself owns is remembered before it is overwritten and can be put back.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from netviz_core.errors import CaptureError

from .axes import AxisFollower
from .weights import to_numpy


class HeldTensor:
    """A tensor as it was when it was handed over, copied only when it must be."""

    __slots__ = ("__weakref__", "_array", "_own", "_tensor")

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor: torch.Tensor | None = tensor
        self._array: np.ndarray[Any, Any] | None = None
        self._own = False

    @property
    def shares_memory(self) -> bool:
        """Whether somebody else might still write to the value."""
        return self._tensor is not None and not self._own

    @property
    def storage(self) -> torch.UntypedStorage:
        """The memory that holds the value."""
        assert self._tensor is not None
        return self._tensor.untyped_storage()

    def copy(self) -> None:
        """Move the value to memory of its own."""
        if self.shares_memory:
            assert self._tensor is not None
            self._tensor = self._tensor.clone()
            self._own = True

    def keep(self) -> None:
        """Take the memory as the value's own: nobody else can write to it any more."""
        self._own = True

    def give_up(self) -> None:
        """Forget the value: it may have been changed unseen."""
        self._tensor = None

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value, in memory that nothing else writes to."""
        if self._array is None:
            if self._tensor is None:
                raise CaptureError(f"this value is not to be trusted: {HANDED_TO_NUMPY}")
            self.copy()
            self._array = to_numpy(self._tensor)
            self._tensor = None
        return self._array


HANDED_TO_NUMPY = (
    "its memory was handed to NumPy during the pass, which can change it unseen; "
    "where the model or a hook calls .numpy(), call .clone().numpy()"
)


class Watch(TorchDispatchMode):
    """While active, copies what is held before it is overwritten, and follows the names of axes."""

    def __init__(self, follower: AxisFollower) -> None:
        super().__init__()
        self.follower = follower
        self.weights: dict[int, str] = {}
        """The layer to which a parameter belongs, by the parameter's id."""
        self.used: set[str] = set()
        """The layers whose weights took part in some operation."""
        self._held: dict[int, list[weakref.ref[HeldTensor]]] = {}
        self._owned: dict[int, list[torch.Tensor]] = {}
        self._before: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for name, position in _written_arguments(func):
            written = kwargs.get(name) if position is None or position >= len(args) else args[position]
            for tensor in _tensors(written):
                self._before_write(tensor)
        if self.weights:
            for argument in args:
                owner = self.weights.get(id(argument))
                if owner is not None:
                    self.used.add(owner)
        result = func(*args, **kwargs)
        self.follower.after(func, args, result)
        return result

    def hold(self, tensor: torch.Tensor) -> HeldTensor:
        """Keep a tensor's present value."""
        held = HeldTensor(tensor.detach())
        if tensor.layout != torch.strided or not _is_torchs_own(tensor):
            held.copy()
        else:
            self._held.setdefault(tensor.untyped_storage()._cdata, []).append(weakref.ref(held))
        return held

    def own(self, tensor: torch.Tensor) -> None:
        """Remember a tensor's value if it is written to, for `put_back`."""
        if tensor.layout == torch.strided and not tensor.is_meta:
            self._owned.setdefault(tensor.untyped_storage()._cdata, []).append(tensor)

    def put_back(self) -> None:
        """Undo every write to an owned tensor. Call it when the mode is no longer active."""
        with torch.no_grad():
            for tensor, before in reversed(self._before):
                tensor.data.copy_(before)
        self._before.clear()

    def settle(self) -> set[HeldTensor]:
        """Copy what somebody else can still write to. Call it when the mode is no longer active.

        Returns
        -------
        set of HeldTensor
            Those whose values are lost, since their memory was handed to NumPy.
        """
        lost = set()
        for references in self._held.values():
            alive = [held for reference in references if (held := reference()) and held.shares_memory]
            if not alive:
                continue
            storage = alive[0].storage
            # Our aliases and the handle just taken are all that may refer to the memory.
            shared = torch._C._storage_Use_Count(storage._cdata) > len(alive) + 1
            for held in alive:
                if not storage.resizable():
                    held.give_up()
                    lost.add(held)
                elif shared:
                    held.copy()
                else:
                    held.keep()
        self._held.clear()
        return lost

    def _before_write(self, tensor: torch.Tensor) -> None:
        if tensor.layout != torch.strided:
            return
        key = tensor.untyped_storage()._cdata
        for reference in self._held.pop(key, ()):
            held = reference()
            if held is not None:
                held.copy()
        for owned in self._owned.pop(key, ()):
            self._before.append((owned, owned.detach().clone()))


@cache
def _written_arguments(func: Any) -> tuple[tuple[str, int | None], ...]:
    """Name and position of the arguments that an operator writes to."""
    if not func._schema.is_mutable:
        return ()
    return tuple(
        (argument.name, None if argument.kwarg_only else position)
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


def _is_torchs_own(tensor: torch.Tensor) -> bool:
    """Whether only torch writes to the memory; NumPy's, for one, is written unseen."""
    return tensor.untyped_storage().resizable()

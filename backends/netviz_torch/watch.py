"""Sees every operation while a model runs, so that no value is lost to a later write.

A layer's output is kept without a copy. When some operation is about to write into its memory
(an in-place layer, a view written through, an ``out=`` buffer), it is copied first; the same
way, what the model itself owns is remembered before it is overwritten and can be put back.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _pop_mode, _push_mode

from netviz_core.backend_api import CaptureError, HeldValue, Ready, UnsupportedError, blank

from .axes import AxisFollower
from .tensors import as_it_lies, is_transformed, to_numpy


class HeldTensor:
    """A tensor as it was when it was handed over, copied only when it must be."""

    __slots__ = ("__weakref__", "_array", "_own", "_tensor", "_version")

    def __init__(self, tensor: torch.Tensor, own: bool = False) -> None:
        self._tensor: torch.Tensor | None = tensor
        self._version = _version(tensor)
        self._array: np.ndarray[Any, Any] | None = None
        self._own = own

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        held = self._array if self._tensor is None else self._tensor
        return () if held is None else tuple(held.shape)

    @property
    def borrowed(self) -> torch.Tensor | None:
        """The tensor that holds the value, while others may use its memory too."""
        return None if self._own else self._tensor

    @property
    def lost(self) -> bool:
        """Whether the value was changed before it could be copied."""
        return self._tensor is None and self._array is None

    def is_value_of(self, tensor: torch.Tensor) -> bool:
        """Whether this is what `tensor` holds now, place by place."""
        held = self.borrowed
        return (
            held is not None
            and self._version == _version(tensor)
            and held.dtype == tensor.dtype
            and held.is_set_to(tensor)
            and held.is_conj() == tensor.is_conj()
            and held.is_neg() == tensor.is_neg()
        )

    def secure(self, shared: bool) -> None:
        """Copy the value if others share its memory; give it up if they changed it unseen."""
        tensor = self.borrowed
        if tensor is None:
            return
        if _version(tensor) != self._version or not _is_torchs_own(tensor):
            self._tensor, self._own = None, True
        elif shared:
            self._tensor, self._own = tensor.clone(), True

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value, in memory that nothing else writes to."""
        if self._array is None:
            if self.borrowed is not None:
                self.secure(shared=_users(self.borrowed) > 1)
            if self._tensor is None:
                raise CaptureError(f"this value is not to be trusted: {CHANGED_UNSEEN}")
            self._array = to_numpy(self._tensor)
            self._tensor, self._own = None, True
        return self._array


CHANGED_UNSEEN = (
    "its memory was changed during the pass in a way that netviz cannot see, such as from another thread; "
    "where the model or a hook does that, let it work on a .clone()"
)


class Watch(TorchDispatchMode):
    """While active, copies what is held before it is overwritten, and follows the names of axes."""

    supports_higher_order_operators = True

    def __init__(self, follower: AxisFollower) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.follower = follower
        self.weights: dict[int, str] = {}
        """The layer to which a parameter belongs, by the parameter's id."""
        self.used: set[str] = set()
        """The layers whose weights took part in some operation."""
        self._held: dict[int, list[weakref.ref[HeldTensor]]] = {}
        self._owned: dict[int, list[torch.Tensor]] = {}
        self._before: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._exposed: set[int] = set()
        self._latest: weakref.ref[torch.Tensor] | None = None
        self._identity = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing compiles meanwhile, and the compiler takes a second to import

    def __enter__(self) -> Watch:
        # The mode proper belongs to a thread. `TorchDispatchMode` would set flags of the whole process too,
        # which two threads leave behind set if they overlap.
        _push_mode(self)
        return self

    def __exit__(self, *error: object) -> None:
        _pop_mode()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, OpOverload):
            return func(*args, **kwargs)
        for tensor in _written(func, args, kwargs):
            self._before_write(tensor)
        if self.weights:
            for argument in args:
                owner = self.weights.get(id(argument))
                if owner is not None:
                    self.used.add(owner)
        result = func(*args, **kwargs)
        self.follower.after(func, args, result)
        return result

    def hold(self, tensor: torch.Tensor, is_given: bool = False) -> HeldValue:
        """Keep a tensor's present value; what a layer is given may be held already as what another returned."""
        if not _is_plain(tensor):
            _refuse_transformed(tensor)
            return Ready(to_numpy(tensor.detach().clone()))
        key = memory_of(tensor)
        with torch._C._DisableTorchDispatch():
            if key in self._exposed or not _is_torchs_own(tensor):
                return HeldTensor(tensor.detach().clone(), own=True)
            present = self._held.setdefault(key, [])
            for held in filter(None, (reference() for reference in present if is_given)):
                if held.is_value_of(tensor):
                    return held
            held = HeldTensor(tensor.detach())
        present.append(weakref.ref(held))
        return held

    def form(self, tensor: torch.Tensor) -> HeldValue:
        """Keep a tensor's shape alone."""
        _refuse_transformed(tensor)
        return blank(tuple(tensor.shape))

    def show(self, tensor: torch.Tensor) -> HeldValue:
        """A tensor's present value, to be read before anything else runs."""
        if not _is_plain(tensor):
            return self.hold(tensor)
        with torch._C._DisableTorchDispatch():
            return Ready(as_it_lies(tensor))

    def identity(self, tensor: torch.Tensor) -> int | None:
        """The same number as before for the tensor asked about last, unless it was written to; a new one for others."""
        if not _is_plain(tensor) or memory_of(tensor) in self._exposed or not _is_torchs_own(tensor):
            return None
        if self._latest is None or self._latest() is not tensor:
            self._latest = weakref.ref(tensor)
            self._identity += 1
        return self._identity

    def own(self, tensor: torch.Tensor) -> None:
        """Remember a tensor's value if it is written to, for `put_back`."""
        if not _is_plain(tensor) or tensor.is_meta:
            return
        storage = tensor.untyped_storage()
        if storage.resizable():
            self._owned.setdefault(storage._cdata, []).append(tensor)
        else:
            self._before.append((tensor, tensor.detach().clone()))

    def expose(self, tensor: torch.Tensor) -> None:
        """Expect a tensor's memory to be written to unseen from now on."""
        if _is_plain(tensor):
            self._before_write(tensor)
            self._exposed.add(memory_of(tensor))

    def put_back(self) -> None:
        """Undo every write to an owned tensor. Call it when the mode is no longer active."""
        with torch.no_grad():
            for tensor, before in reversed(self._before):
                tensor.data.copy_(before)
        self._before.clear()
        self._owned.clear()

    def settle(self) -> set[HeldTensor]:
        """Copy what somebody else can still write to. Call it when the mode is no longer active.

        Returns
        -------
        set of HeldTensor
            Those whose values are lost.
        """
        lost: set[HeldTensor] = set()
        for references in self._held.values():
            held = [value for reference in references if (value := reference()) is not None]
            borrowed = [value.borrowed for value in held if value.borrowed is not None]
            shared = bool(borrowed) and _users(borrowed[0]) > len(borrowed)
            for value in held:
                value.secure(shared)
            lost.update(value for value in held if value.lost)
        self._held.clear()
        return lost

    def _before_write(self, tensor: torch.Tensor) -> None:
        if not _is_plain(tensor):
            return
        key = memory_of(tensor)
        latest = self._latest() if self._latest is not None else None
        if latest is not None and memory_of(latest) == key:
            self._latest = None
        for reference in self._held.get(key, ()):
            held = reference()
            if held is not None:
                held.secure(shared=True)
        for owned in self._owned.pop(key, ()):
            self._before.append((owned, owned.detach().clone()))


class Exposures(TorchFunctionMode):
    """While active, tells a `Watch` when memory is handed to somebody whose writes it cannot see."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _EXPOSING:
            self._watch.expose(args[0])
        return func(*args, **(kwargs or {}))


_EXPOSING = frozenset(
    {
        torch.Tensor.numpy,
        torch.Tensor.__array__,
        torch.Tensor.__dlpack__,
        torch.Tensor.__cuda_array_interface__.__get__,
        torch.Tensor.data_ptr,
        torch.Tensor.storage,
        torch.Tensor.untyped_storage,
        torch.Tensor.share_memory_,
    }
)

aten = torch.ops.aten

_NORMS_THAT_TRAIN = frozenset(
    {aten.native_batch_norm, aten.cudnn_batch_norm, aten.miopen_batch_norm, aten._batch_norm_impl_index}
)
"""Operators that write to their running statistics, arguments 3 and 4, if 5 says so. Their schemas do not."""


def _written(func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[torch.Tensor]:
    """The tensors that a call of an operator is about to write to."""
    for name, position in _written_arguments(func):
        yield from _tensors(kwargs.get(name) if position is None or position >= len(args) else args[position])
    if func.overloadpacket in _NORMS_THAT_TRAIN and args[5]:
        yield from _tensors(args[3:5])


@cache
def _written_arguments(func: OpOverload) -> tuple[tuple[str, int | None], ...]:
    """Name and position of the arguments that an operator declares to write to."""
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


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor has memory of its own, rather than wrapping others that have."""
    return (
        tensor.layout == torch.strided
        and type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
        and not is_transformed(tensor)
    )


def _refuse_transformed(tensor: torch.Tensor) -> None:
    if is_transformed(tensor):
        raise UnsupportedError("it ran inside a torch.func transform, which hides its values")


def _is_torchs_own(tensor: torch.Tensor) -> bool:
    """Whether only torch writes to the memory; NumPy's, for one, is written unseen."""
    return tensor.untyped_storage().resizable()


def memory_of(tensor: torch.Tensor) -> int:
    """What a tensor has in common with all others that share its memory."""
    return int(tensor.untyped_storage()._cdata)


def _users(tensor: torch.Tensor) -> int:
    """How many tensors, this one included, use its memory."""
    storage = tensor.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata) - 1  # the handle just taken is not a tensor


def _version(tensor: torch.Tensor) -> int | None:
    """A number that grows with most writes, also those of other threads and compiled kernels."""
    return None if tensor.is_inference() else tensor._version

"""Sees every operation while a model runs, so that no value is lost to a later write.

A layer's output is kept without a copy. When some operation is about to write into its memory
(an in-place layer, a view written through, an ``out=`` buffer), it is copied first; the same
way, what the model itself owns is remembered before it is overwritten and can be put back.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _pop_mode, _push_mode

from netviz_core.backend_api import CaptureError, HeldValue, Ready, blank

from .axes import AxisFollower
from .reductions import Reductions, Shown, is_better_there
from .tensors import (
    NATIVE_TO_NUMPY,
    as_it_lies,
    has_memory,
    is_same_place,
    is_transformed,
    memory_of,
    own_memory,
    require_numbers,
    to_numpy,
    with_memory,
)


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
        return held is not None and self._version == _version(tensor) and is_same_place(held, tensor)

    def secure(self, shared: bool) -> None:
        """Copy the value if others share its memory; give it up if they changed it unseen."""
        tensor = self.borrowed
        if tensor is None:
            return
        if _version(tensor) != self._version or not _is_torchs_own(tensor):
            self._tensor, self._own = None, True
        elif shared:
            with torch._C._DisableTorchDispatch():  # some mode of the model's might give it no values
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

    sees_all = False
    """Whether it must see operations within layers of which it is known what they do."""

    def __init__(self, follower: AxisFollower) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.follower = follower
        self.reductions = Reductions()
        self.weights: set[int] = set()
        """The ids of the parameters of layers that somebody asks for."""
        self.used: set[int] = set()
        """Those that took part in some operation."""
        self.hooks: tuple[Callable[..., None] | None, Callable[..., None] | None] = None, None
        """To be called before and after a model that takes no hooks itself."""
        self._held: dict[int, list[weakref.ref[HeldTensor]]] = {}
        self._owned: dict[int, list[torch.Tensor]] = {}
        self._before: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._exposed: set[int] = set()
        self._latest: HeldTensor | None = None
        self._writes: dict[int, int] = {}
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
        is_known = isinstance(func, OpOverload)
        if is_known and torch.is_inference_mode_enabled() and _is_composite(func):
            # Elsewhere the operations that it is made of come here, by which it is known.
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)
        return self.run(func, args, kwargs)

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operation that is made of no others, and see what it does."""
        if not isinstance(func, OpOverload):
            return func(*args, **kwargs)
        for tensor in _written(func, args, kwargs):
            self.before_write(tensor)
            if tensor.is_inference():
                self._writes[memory_of(tensor)] = self._writes.get(memory_of(tensor), 0) + 1
        for argument in args:
            self.note_use(argument)
        result = func(*args, **kwargs)
        self.follower.after(func, args, result)
        return result

    def note_use(self, argument: Any) -> None:
        """Remember that something takes part in an operation, if it is a weight that somebody asks for."""
        if id(argument) in self.weights:
            self.used.add(id(argument))

    def hold(self, tensor: torch.Tensor, is_given: bool = False) -> HeldValue:
        """Keep a tensor's present value; what a layer is given may be held already as what another returned."""
        is_plain = has_memory(tensor)
        if not is_plain or tensor.is_meta or tensor.dtype not in NATIVE_TO_NUMPY:
            require_numbers(tensor)
        if not is_plain:
            return Ready(np.array(to_numpy(tensor)))
        storage = tensor.untyped_storage()
        key = storage._cdata
        with torch._C._DisableTorchDispatch():
            if key in self._exposed or not storage.resizable():  # see `_is_torchs_own`
                return HeldTensor(tensor.detach().clone(), own=True)
            present = self._held.setdefault(key, [])
            if is_given:
                for held in filter(None, (reference() for reference in present)):
                    if held.is_value_of(tensor):
                        return held
            held = HeldTensor(tensor.detach())
        present.append(weakref.ref(held))
        return held

    def form(self, tensor: torch.Tensor) -> HeldValue:
        """Keep a tensor's shape alone."""
        if is_transformed(tensor):
            require_numbers(tensor)
        return blank(tuple(tensor.shape))

    def show(self, tensor: torch.Tensor) -> HeldValue:
        """A tensor's present value, to be read before anything else runs."""
        if not has_memory(tensor):
            return self.hold(tensor)
        if is_better_there(tensor):
            return Shown(tensor, self.reductions)
        with torch._C._DisableTorchDispatch():
            return Ready(as_it_lies(tensor))

    def identity(self, tensor: torch.Tensor) -> int | None:
        """The same number as before for the value asked about last, unless it was written to; a new one for others."""
        if not has_memory(tensor) or tensor.is_inference() or not _is_torchs_own(tensor):
            return None  # what others write to it is not counted
        if own_memory(tensor) in self._exposed:
            return None
        if self._latest is None or not self._latest.is_value_of(tensor):
            with torch._C._DisableTorchDispatch():
                self._latest = HeldTensor(tensor.detach())
            self._identity += 1
        return self._identity

    def own(self, tensor: torch.Tensor) -> None:
        """Remember a tensor's value if it is written to, for `put_back`."""
        for part in (tensor,) if has_memory(tensor) else with_memory(tensor):
            storage = part.untyped_storage()
            if part.is_meta:
                continue
            # A sparse tensor gets other memory when it is written to.
            owned = part if tensor.layout == torch.strided else tensor
            if storage.resizable():
                self._owned.setdefault(storage._cdata, []).append(owned)
            else:
                self._before.append((owned, owned.detach().clone()))

    def expose(self, tensor: torch.Tensor) -> None:
        """Expect a tensor's memory to be written to unseen from now on."""
        for part in with_memory(tensor):
            self.before_write(part)
            self._exposed.add(own_memory(part))

    def version(self, tensor: torch.Tensor) -> int:
        """A number that grows with every write to a tensor's memory, also where torch itself counts none."""
        if not tensor.is_inference():
            return tensor._version
        with torch._C.DisableTorchFunction():  # else this too is a look at its memory
            return self._writes.get(memory_of(tensor), 0)

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

    def before_write(self, tensor: torch.Tensor) -> None:
        """Keep what is held in a tensor's memory, which is about to be written to."""
        if not has_memory(tensor):
            for part in with_memory(tensor):
                self.before_write(part)
            return
        key = own_memory(tensor)
        latest = self._latest.borrowed if self._latest is not None else None
        if latest is not None and own_memory(latest) == key:
            self._latest = None
        for reference in self._held.get(key, ()):
            held = reference()
            if held is not None:
                held.secure(shared=True)
        with torch._C._DisableTorchDispatch():
            for owned in self._owned.pop(key, ()):
                self._before.append((owned, owned.detach().clone()))


class Exposures(TorchFunctionMode):
    """While active, tells a `Watch` when memory is handed to somebody whose writes it cannot see.

    It also refuses a model's input that a function takes for one sample, where the first axis would be called batch.
    """

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _EXPOSING:
            self._watch.expose(args[0])
        elif func in _RANK_OF_SAMPLE and args:
            self._watch.follower.require_batch(args[0], _RANK_OF_SAMPLE[func])
        result = func(*args, **(kwargs or {}))
        if func in _FLATTENING:
            self._flattened(result, *args, **(kwargs or {}))
        return result

    def _flattened(self, result: Any, input: Any, start_dim: Any = 0, end_dim: Any = -1, **_: Any) -> None:
        """Tell which axes were made one, of which the operations below show the lengths alone."""
        if isinstance(start_dim, int) and isinstance(end_dim, int):
            self._watch.follower.flattened(input, result, start_dim, end_dim)


_FLATTENING = frozenset({torch.flatten, torch.Tensor.flatten})

_RANK_OF_SAMPLE = {
    torch._C._nn.linear: 1,
    **dict.fromkeys((torch.conv1d, torch.conv_transpose1d), 2),
    **dict.fromkeys((torch.conv2d, torch.conv_transpose2d), 3),
    **dict.fromkeys((torch.conv3d, torch.conv_transpose3d), 4),
}
"""How many axes one sample has that such a function takes without a batch."""

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
    arguments = _written_arguments(func)
    if not arguments or (func.overloadpacket in _NORMS_THAT_TRAIN and not args[5]):
        return iter(())
    return _tensors(
        [
            kwargs.get(name) if position is None or position >= len(args) else args[position]
            for name, position in arguments
        ]
    )


_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


@cache
def _is_composite(func: OpOverload) -> bool:
    """Whether an operator is nothing but others."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE)


@cache
def _written_arguments(func: OpOverload) -> tuple[tuple[str, int | None], ...]:
    """Name and position of the arguments that an operator declares to write to."""
    if func.overloadpacket in _NORMS_THAT_TRAIN:
        return ("running_mean", 3), ("running_var", 4)
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


def _users(tensor: torch.Tensor) -> int:
    """How many tensors, this one included, use its memory."""
    storage = tensor.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata) - 1  # the handle just taken is not a tensor


def _version(tensor: torch.Tensor) -> int | None:
    """A number that grows with most writes, also those of other threads and compiled kernels."""
    return None if tensor.is_inference() else tensor._version

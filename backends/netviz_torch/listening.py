"""Hears what layers return, by PyTorch's hooks, and says why some could not be heard."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from netviz_core.backend_api import (
    Observation,
    Ready,
    RecorderLike,
    UnsupportedError,
    blank,
    leaves,
    others,
    positional_axes,
    widened,
)

from .axes import AxisFollower, defined_axes, defines_axes
from .kinds import kind_of, own_parameters
from .tensors import dtype_name, is_array, is_tensor, numpy_bytes
from .unwatched import Unwatched
from .watch import CHANGED_UNSEEN, Exposures, Watch


@contextmanager
def observed(module: nn.Module, recorder: RecorderLike | None, watch: Watch) -> Iterator[None]:
    """Report what modules return to `recorder`, and keep it safe from later writes."""
    modules = dict(module.named_modules())
    scripts = [path for path, child in modules.items() if isinstance(child, torch.jit.ScriptModule)]
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    passing: list[Unwatched] = []
    try:
        if recorder is not None:
            for path, child in modules.items():
                kind = kind_of(child)
                wanted = path in recorder.paths
                if (wanted or defines_axes(child, kind)) and not _is_inside(scripts, path):
                    listen = (
                        _listen_before(path, recorder.given, watch)
                        if wanted and recorder.given is not None
                        else None
                    )
                    unwatched = None
                    if Unwatched.can_be(child, watch):
                        unwatched = Unwatched(child, watch)
                        passing.append(unwatched)
                    hook = _hook(path if wanted else None, kind, recorder, watch, unwatched)
                    try:
                        if listen is not None:
                            hooks.append(child.register_forward_pre_hook(listen, with_kwargs=True))
                        if unwatched is not None:
                            hooks.append(child.register_forward_pre_hook(_passing(unwatched)))
                        hooks.append(child.register_forward_hook(hook, always_call=unwatched is not None))
                        if unwatched is not None:
                            unwatched.begin(child)
                    except RuntimeError:
                        recorder.miss(path, "a scripted module takes no hooks; capture the unscripted model")
                        if not path:
                            watch.hooks = listen, hook
                if wanted and path and isinstance(child, nn.TransformerEncoder):
                    tell = _tell_of_hidden_places(path, recorder)
                    hooks.append(child.register_forward_pre_hook(tell, with_kwargs=True))
                if wanted:
                    watch.weights.update(map(id, own_parameters(child)))
        with watching(watch, recorder):
            yield
    finally:
        for unwatched in passing:
            unwatched.close()  # where an interrupt kept the hook that does from being called
        for handle in hooks:
            handle.remove()
        if recorder is not None:
            _explain_misses(modules, scripts, recorder, watch)


@contextmanager
def watching(watch: Watch, recorder: RecorderLike | None = None) -> Iterator[None]:
    """Keep what is held safe from later writes; nothing runs compiled meanwhile, so that all is seen."""
    try:
        with watch, Exposures(watch), _without_compiler():
            yield
    finally:
        lost = watch.settle()
        if recorder is not None:
            recorder.withdraw(lost, CHANGED_UNSEEN)
            if recorder.given is not None:
                recorder.given.withdraw(lost, CHANGED_UNSEEN)


def _passing(unwatched: Unwatched) -> Callable[..., None]:
    thread = threading.get_ident()

    def before_call(module: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() == thread:
            unwatched.open(module, args)

    return before_call


def _hook(
    path: str | None, kind: str, recorder: RecorderLike, watch: Watch, unwatched: Unwatched | None
) -> Callable[..., None]:
    follower, thread = watch.follower, threading.get_ident()

    def after_call(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != thread:
            if path is not None:
                recorder.miss(path, "it ran in another thread than the one that captures")
            return
        if unwatched is not None:
            went_past = unwatched.close()
            if unwatched.has_failed:
                return
            if went_past and unwatched.axes:
                follower.note(output, unwatched.axes)
        with torch._C.DisableTorchFunction():
            report(module, args, output)

    reduces = path is not None and recorder.reduces(path)

    def report(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        found = name_defined_axes(module, kind, args, output, follower)
        if path is not None:
            if not reduces:
                recorder.require_room(path, sum([_bytes_of(tensor) for _, tensor in found]))
            if not found:
                returned = type(output).__name__
                recorder.miss(path, f"it returned a {returned}, in which no tensor was found", "unsupported")
            _tell(path, found, watch, recorder)
            if not isinstance(output, torch.Tensor):
                recorder.add_others(path, others(output, is_array, lambda part: unfold(part, follower)))

    return after_call


def _listen_before(path: str, given: RecorderLike, watch: Watch) -> Callable[..., None]:
    thread = threading.get_ident()

    def before_call(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != thread:
            return
        with torch._C.DisableTorchFunction():
            positions = {str(position): value for position, value in enumerate(args)}
            if not kwargs and all(map(_is_plain, args)):  # as nearly always
                found = list(positions.items())
            else:
                found = _parts_of({**positions, **kwargs}, watch.follower)
            _tell(path, found, watch, given, is_given=True)

    return before_call


def _tell_of_hidden_places(path: str, recorder: RecorderLike) -> Callable[..., None]:
    """Say where an encoder returns something else than without hooks, which keep it from its fast path."""

    def before_call(module: nn.TransformerEncoder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(zip(("src", "mask", "src_key_padding_mask"), args, strict=False)) | kwargs
        hides = given.get("src_key_padding_mask") is not None and given.get("mask") is None
        if hides and getattr(module, "use_nested_tensor", False):
            recorder.miss(
                path,
                "at places that src_key_padding_mask hides, PyTorch's fast path for inference returns zeros; with "
                "hooks it is not taken, and what was seen there is what the layers compute",
                "unsupported",
            )

    return before_call


def _tell(
    path: str,
    found: Iterable[tuple[str, Any]],
    watch: Watch,
    recorder: RecorderLike,
    is_given: bool = False,
) -> None:
    """Tell of the tensors of one call; of those that cannot be read, why."""
    told = []
    for leaf, tensor in found:
        try:
            told.append(_observation(leaf, tensor, watch, recorder, is_given))
        except UnsupportedError as error:
            recorder.miss(path, str(error), "unsupported")
    recorder.add(path, told)


def _parts_of(structure: Any, follower: AxisFollower) -> list[tuple[str, Any]]:
    """The arrays in a structure, by their names there."""
    return list(leaves(structure, is_array, lambda part: unfold(part, follower)))


def _is_plain(value: Any) -> bool:
    return type(value) is torch.Tensor and not value.is_nested


def name_defined_axes(
    module: nn.Module, kind: str, args: tuple[Any, ...], output: Any, follower: AxisFollower
) -> list[tuple[str, Any]]:
    """Name the axes of what a module returned as far as the module itself says; list its parts."""
    found = [("", output)] if _is_plain(output) else _parts_of(output, follower)
    if defines_axes(module, kind):
        first = next((argument for argument in args if is_tensor(argument)), None)
        if first is not None and isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
            follower.require_batch(first, 2, "x[None]" if module.batch_first else "x[:, None]")
        for leaf, tensor in found:
            assumed = follower.assumed(tensor) if is_tensor(tensor) else ()
            names = defined_axes(module, kind, follower.get(first), leaf, tensor, assumed)
            if names is not None and len(names) == tensor.ndim and is_tensor(tensor):
                follower.note(tensor, names)
    return found


def _observation(leaf: str, tensor: Any, watch: Watch, recorder: RecorderLike, is_given: bool) -> Observation:
    if not isinstance(tensor, torch.Tensor):
        return _observation_of_numpy(leaf, tensor, recorder)
    if not recorder.keeps_values:
        value = watch.form(tensor)
    elif recorder.looks_only:
        value = watch.show(tensor)
    else:
        value = watch.hold(tensor, is_given)
    axes, nbytes = watch.follower.axes(tensor), numpy_bytes(tensor)
    identity = watch.identity(tensor) if recorder.looks_only else None  # others ask for none
    return Observation(leaf, value, axes, dtype_name(tensor.dtype), nbytes, identity)


def _observation_of_numpy(leaf: str, array: Any, recorder: RecorderLike) -> Observation:
    value = Ready(widened(np.array(array))) if recorder.keeps_values else blank(array.shape)
    return Observation(leaf, value, positional_axes(array.ndim), str(array.dtype), _bytes_of(array))


def _bytes_of(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return numpy_bytes(value)
    return int(value.size) * max(int(value.itemsize), 4 if value.dtype.kind == "f" else 1)


def unfold(part: Any, follower: AxisFollower) -> Any:
    """Take ragged batches apart, whose parts have no batch axis; what only describes tensors is nothing."""
    if isinstance(part, (torch.dtype, torch.device, torch.layout)):
        return None
    if isinstance(part, PackedSequence):
        ragged = [tensor for tensor in part if tensor is not None]
    elif isinstance(part, torch.Tensor) and part.is_nested:
        part = ragged = list(part.unbind())
    else:
        return part
    for tensor in ragged:
        follower.note(tensor, (None,) * tensor.ndim)
    return part


def _is_inside(scripts: Sequence[str], path: str) -> bool:
    """Whether a scripted module lies around the one at `path`: its own calls are made in C++."""
    return any(path != script and path.startswith(f"{script}." if script else "") for script in scripts)


def _explain_misses(
    modules: Mapping[str, nn.Module], scripts: Sequence[str], recorder: RecorderLike, watch: Watch
) -> None:
    """Say why layers were not seen, as far as it can be known."""
    for path, entry in recorder.coverage().items():
        child = modules.get(path)
        if entry.status != "not_observed" or child is None:
            continue
        if isinstance(child, torch.jit.ScriptModule) and not _is_inside(scripts, path):
            continue  # whose classes cannot be asked for their forward
        used = watch.used & set(map(id, own_parameters(child)))
        if _is_inside(scripts, path):
            recorder.miss(
                path, "it stands inside TorchScript, which calls layers unseen; capture the unscripted model"
            )
        elif used and isinstance(child, nn.modules.linear.NonDynamicallyQuantizableLinear):
            recorder.miss(path, "its MultiheadAttention uses the weights itself and never calls it")
        elif type(child).forward is nn.Module.forward:
            recorder.miss(path, f"a {type(child).__name__} only holds others and is never called")
        elif used and (others := _others_with(used, path, modules)):
            recorder.miss(
                path,
                f"it was not called; its weights were used, which {others} has too, so that this may have been for "
                f"that one alone",
            )
        elif used:
            recorder.miss(
                path,
                "its weights were used without a call of the layer: the model calls .forward or a function",
            )


def _others_with(weights: set[int], path: str, modules: Mapping[str, nn.Module]) -> str:
    """The first other layer that has all of these weights, in quotes; empty if there is none."""
    for other, module in modules.items():
        if other != path and weights <= set(map(id, own_parameters(module))):
            return repr(other)
    return ""


_COMPILERS = ("torch._dynamo", "torch.nn.attention.flex_attention")
_stances: list[Any] = []
_stances_lock = threading.Lock()


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Let compiled parts of a model run layer by layer, so that they can be seen.

    How PyTorch compiles is set for the whole process: the last to leave puts it back.
    """
    if not any(name in sys.modules for name in _COMPILERS):
        yield
        return
    with _stances_lock:
        _stances.append(torch.compiler.set_stance("force_eager"))
    try:
        yield
    finally:
        with _stances_lock:
            stance = _stances.pop()
            if not _stances:
                stance.__exit__(None, None, None)

"""The weights of PyTorch modules under canonical names and with named axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from netviz_core.backend_api import Layout, UnsupportedError, Weight, by_name, positional_layout

from .effective import Compute, computed_from, effective_tensors

_SPATIAL = ("z", "y", "x")
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}
_NOT_WEIGHTS = ("num_batches_tracked",)

Rule = tuple[str, Layout]
"""A canonical name and the layout that belongs to it."""


def weights_of(module: nn.Module, kind: str) -> Mapping[str, Weight]:
    """The module's own weights, not its children's, by canonical name.

    What a parametrization computes is shown in place of what it is computed from. An attention layer
    counts its output projection as its own.
    """
    found = by_name(_own_weights(module, kind))
    if isinstance(module, nn.MultiheadAttention):
        for name, weight in weights_of(module.out_proj, "dense").items():
            layout = _OUTPUT_PROJECTION[name](module.num_heads)
            found[f"output_{name}"] = replace(weight, name=f"output_{name}", layout=layout)
    return found


_OUTPUT_PROJECTION = {
    "kernel": lambda heads: Layout(("out", "head", "head_dim"), "o (h d) -> o h d", {"h": heads}),
    "bias": lambda heads: Layout(("out",)),
}


def _own_weights(module: nn.Module, kind: str) -> Iterator[Weight]:
    for native_name, compute in effective_tensors(module):
        yield from _canonical(module, kind, native_name, compute(), compute)
    hidden = {*_NOT_WEIGHTS, *computed_from(module)}
    for tensors in (module.named_parameters, module.named_buffers):
        for native_name, tensor in tensors(recurse=False, remove_duplicate=False):
            if native_name not in hidden and not is_lazy(tensor):
                yield from _canonical(module, kind, native_name, tensor)


def _canonical(
    module: nn.Module,
    kind: str,
    native_name: str,
    tensor: torch.Tensor,
    compute: Compute | None = None,
) -> Iterator[Weight]:
    """The weights that lie in one tensor; read-only ones where it is computed."""
    if isinstance(module, nn.MultiheadAttention) and native_name in ("in_proj_weight", "in_proj_bias"):
        rules = _packed_projections(module, tensor.ndim)
    else:
        rules = [_rule(module, kind, native_name, tensor.ndim)]
    for name, layout in rules:
        yield Weight(
            name,
            native_name,
            layout,
            tuple(tensor.shape),
            dtype_name(tensor.dtype),
            tensor.requires_grad or compute is not None,
            lambda: as_it_lies(tensor if compute is None else compute()),
            (lambda values: _write(tensor, values)) if compute is None else None,
            (id(tensor) if compute is None else (id(module), native_name), str(layout.part)),
        )


def _write(tensor: torch.Tensor, values: np.ndarray) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)).reshape(tensor.shape))


def _rule(module: nn.Module, kind: str, native_name: str, rank: int) -> Rule:
    rule: Rule | None = None
    if kind.endswith("_transpose"):
        rule = _transposed_rule(module, native_name, rank)
    elif "conv" in kind:
        rule = {
            "weight": ("kernel", Layout(("out", "in", *_SPATIAL[5 - rank :]))),
            "bias": ("bias", Layout(("out",))),
        }.get(native_name)
    elif kind == "dense":
        rule = {"weight": ("kernel", Layout(("out", "in"))), "bias": ("bias", Layout(("out",)))}.get(
            native_name
        )
    elif kind == "embedding":
        rule = {"weight": ("kernel", Layout(("token", "out")))}.get(native_name)
    elif kind.endswith("_norm"):
        name = {
            "weight": "scale",
            "bias": "bias",
            "running_mean": "running_mean",
            "running_var": "running_variance",
        }
        if native_name in name:
            rule = name[native_name], Layout(("channel",)) if rank == 1 else positional_layout(rank)
    elif kind in _GATES:
        rule = _recurrent_rule(kind, native_name, rank)
    elif isinstance(module, nn.MultiheadAttention):
        rule = _attention_rule(module, native_name)
    return rule if rule is not None else (native_name, positional_layout(rank))


def _transposed_rule(module: nn.Module, native_name: str, rank: int) -> Rule | None:
    axes = _SPATIAL[5 - rank :]
    spatial = " ".join(axes)
    # PyTorch stacks the groups along the input channels; canonically they stand along the outputs.
    pattern = f"(g i) o {spatial} -> (g o) i {spatial}"
    return {
        "weight": ("kernel", Layout(("out", "in", *axes), pattern, {"g": getattr(module, "groups", 1)})),
        "bias": ("bias", Layout(("out",))),
    }.get(native_name)


def _recurrent_rule(kind: str, native_name: str, rank: int) -> Rule | None:
    for prefix, name in (
        ("weight_ih", "input_kernel"),
        ("weight_hh", "recurrent_kernel"),
        ("bias_ih", "bias"),
        ("bias_hh", "recurrent_bias"),
    ):
        if native_name.startswith(prefix):
            suffix = native_name.removeprefix(prefix).replace("_l0", "")
            axes, pattern = (
                (("gate", "out", "in"), "(g o) i -> g o i")
                if rank == 2
                else (("gate", "out"), "(g o) -> g o")
            )
            return name + suffix, Layout(axes, pattern, {"g": _GATES[kind]})
    return None


def _attention_rule(module: nn.MultiheadAttention, native_name: str) -> Rule | None:
    sizes = {"h": module.num_heads}
    if native_name.endswith("_proj_weight"):
        name = {"q": "query_kernel", "k": "key_kernel", "v": "value_kernel"}[native_name[0]]
        return name, Layout(("head", "head_dim", "in"), "(h d) i -> h d i", sizes)
    return None


def _packed_projections(module: nn.MultiheadAttention, rank: int) -> list[Rule]:
    """Query, key and value, which lie behind one another in one tensor."""
    part, axes, pattern = (
        ("kernel", ("head", "head_dim", "in"), "(h d) i -> h d i")
        if rank == 2
        else ("bias", ("head", "head_dim"), "(h d) -> h d")
    )
    size, heads = module.embed_dim, {"h": module.num_heads}
    return [
        (f"{name}_{part}", Layout(axes, pattern, heads, (), slice(index * size, (index + 1) * size)))
        for index, name in enumerate(("query", "key", "value"))
    ]


def dtype_name(dtype: torch.dtype) -> str:
    """The dtype's name without the framework's: ``float32``."""
    return str(dtype).removeprefix("torch.")


_NATIVE_TO_NUMPY = frozenset(
    {torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bool}
    | {
        getattr(torch, name)
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    }
)


def as_it_lies(tensor: torch.Tensor) -> np.ndarray:
    """The same as `to_numpy`, read-only, and without a trace: ``Tensor.numpy`` forbids its memory to be resized."""
    tensor = tensor.detach()
    is_numpys = tensor.device.type == "cpu" and tensor.dtype in _NATIVE_TO_NUMPY and not tensor.is_quantized
    if is_numpys and not tensor.is_conj() and not tensor.is_neg():
        return np.from_dlpack(tensor)
    return to_numpy(tensor)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as NumPy, sharing its memory where that is possible.

    Narrow floats become float32, quantized and sparse tensors dense ones.
    """
    tensor = tensor.detach()
    if tensor.is_meta:
        raise UnsupportedError(
            "the tensor is on the meta device and has no values; move the model with to_empty() and load its weights"
        )
    try:
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout != torch.strided:
            tensor = tensor.to_dense()
        if tensor.dtype == torch.complex32:
            tensor = tensor.to(torch.complex64)
        elif tensor.dtype not in _NATIVE_TO_NUMPY:
            tensor = tensor.to(torch.float32)
        return tensor.cpu().resolve_conj().resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:
        described = f"{type(tensor).__name__} of dtype {dtype_name(tensor.dtype)}"
        raise UnsupportedError(f"a {described} cannot be brought to NumPy: {error}") from error

"""The weights of PyTorch modules under canonical names and with canonical axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from netviz_core.backend_api import Layout, Weight, by_name, positional_layout, torch_recurrent_rule

from .declared import is_what_it_is_called
from .effective import Compute, computed_from, effective_tensors, is_trained
from .kinds import has_inputs_first, kind_of
from .tensors import as_it_lies, dtype_name, has_memory

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
        for name, weight in weights_of(module.out_proj, kind_of(module.out_proj)).items():
            if name in _OUTPUT_PROJECTION:
                layout = _OUTPUT_PROJECTION[name](module.num_heads)
                weight = replace(weight, layout=layout)
            found[f"output_{name}"] = replace(weight, name=f"output_{name}")
    return found


_OUTPUT_PROJECTION = {
    "kernel": lambda heads: Layout(("out", "head", "head_dim"), "o (h d) -> o h d", {"h": heads}),
    "bias": lambda heads: Layout(("out",)),
}


def _own_weights(module: nn.Module, kind: str) -> Iterator[Weight]:
    for native_name, compute in effective_tensors(module):
        yield from _canonical(module, kind, native_name, compute(), compute)
    hidden = {*_NOT_WEIGHTS, *computed_from(module), *(name for name, _ in effective_tensors(module))}
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
    rules = [(native_name, positional_layout(tensor.ndim))]
    if compute is not None or is_what_it_is_called(module, native_name, tensor):
        rules = _rules(module, kind, native_name, tensor.ndim)
    for name, layout in rules:
        yield Weight(
            name,
            native_name,
            layout,
            tuple(tensor.shape),
            dtype_name(tensor.dtype),
            tensor.requires_grad if compute is None else is_trained(module),
            lambda: as_it_lies(tensor if compute is None else compute()),
            (lambda values: _write(tensor, values)) if compute is None and has_memory(tensor) else None,
            (id(tensor) if compute is None else (id(module), native_name), str(layout.part)),
        )


def _write(tensor: torch.Tensor, values: np.ndarray) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)).reshape(tensor.shape))


def _rules(module: nn.Module, kind: str, native_name: str, rank: int) -> list[Rule]:
    if isinstance(module, nn.MultiheadAttention) and native_name in ("in_proj_weight", "in_proj_bias"):
        return _packed_projections(module, rank)
    name, layout = _rule(module, kind, native_name, rank)
    return [(name, layout) if layout.native_rank == rank else (native_name, positional_layout(rank))]


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
        kernel = Layout(("out", "in"), "i o -> o i" if has_inputs_first(module) else "")
        rule = {"weight": ("kernel", kernel), "bias": ("bias", Layout(("out",)))}.get(native_name)
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
        rule = torch_recurrent_rule(native_name, _GATES[kind], rank)
    elif isinstance(module, nn.PReLU):
        rule = {"weight": ("slope", Layout(("channel",)))}.get(native_name)
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

"""What each Flax module is in netviz' words."""

from __future__ import annotations

from typing import Any

from flax import nnx

_KINDS = {
    "Linear": "dense",
    "LinearGeneral": "einsum_dense",
    "Einsum": "einsum_dense",
    "Conv": "conv",
    "ConvTranspose": "conv_transpose",
    "Embed": "embedding",
    "BatchNorm": "batch_norm",
    "LayerNorm": "layer_norm",
    "RMSNorm": "rms_norm",
    "GroupNorm": "group_norm",
    "InstanceNorm": "instance_norm",
    "Dropout": "dropout",
    "PReLU": "activation",
    "MultiHeadAttention": "attention",
    "LSTMCell": "lstm",
    "OptimizedLSTMCell": "lstm",
    "GRUCell": "gru",
    "SimpleCell": "rnn",
    "RNN": "recurrent",
    "Bidirectional": "recurrent",
}
"""By the name of the class, or of the nearest above it that is Flax' own."""


def flax_class(module: Any) -> str:
    """The name of the nearest class above a module that is Flax' own and computes something; else empty."""
    own = (cls.__name__ for cls in type(module).__mro__ if cls.__module__.startswith("flax.nnx"))
    return next((name for name in own if name in _KINDS), "")


def kind_of(module: Any) -> str:
    """The kind of a module, users' subclasses of Flax' included."""
    kind = _KINDS.get(flax_class(module), "")
    if kind == "recurrent":
        return kind_of(cell_of(module))
    if kind.startswith("conv"):
        groups = getattr(module, "feature_group_count", 1)
        rank = len(module.kernel_size)
        depthwise = "depthwise_" if 1 < groups == module.in_features and rank < 3 else ""
        return f"{depthwise}conv{rank}d{kind.removeprefix('conv')}"
    if kind == "group_norm" and module.group_size == 1:
        return "instance_norm"
    return kind or ("container" if any(True for _ in nnx.iter_children(module)) else "other")


def cell_of(module: Any) -> Any:
    """The cell of what goes along a sequence; of both directions the first."""
    if flax_class(module) == "Bidirectional":
        return cell_of(module.forward_rnn)
    return module.cell if flax_class(module) == "RNN" else module

"""Whether a module holds what its class says that it holds."""

from __future__ import annotations

import inspect

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from .kinds import has_inputs_first, native_class


def is_what_it_is_called(module: nn.Module, native_name: str, tensor: torch.Tensor) -> bool:
    """Whether a tensor is the weight that goes by its name in PyTorch's own layers.

    PyTorch's own code reads it as such. That of a subclass may keep packed or scaled numbers there: it is
    believed where they have the form that the layer declares, and are those that are computed with.
    """
    forward = inspect.getattr_static(
        native_class(module), "forward"
    )  # scripted classes cannot be asked for it
    if forward.__module__.partition(".")[0] == "torch":
        return True
    declared = _declared(module).get(native_name, tuple(tensor.shape))
    is_number = tensor.is_floating_point() or tensor.is_complex()
    return tuple(tensor.shape) == declared and is_number and tensor.element_size() > 1


def _declared(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of weights that follow from a layer's settings."""
    if isinstance(module, nn.Linear):
        return {"weight": (module.out_features, module.in_features), "bias": (module.out_features,)}
    if has_inputs_first(module):
        sizes = int(module.nx), int(module.nf)  # type: ignore[arg-type]
        return {"weight": sizes, "bias": sizes[1:]}
    if isinstance(module, _ConvNd):
        sizes = module.out_channels, module.in_channels
        first, second = sizes[::-1] if isinstance(module, _ConvTransposeNd) else sizes
        kernel = (first, second // module.groups, *module.kernel_size)
        return {"weight": kernel, "bias": (module.out_channels,)}
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return {"weight": (module.num_embeddings, module.embedding_dim)}
    if isinstance(module, nn.MultiheadAttention):
        rows = 3 * module.embed_dim
        return {"in_proj_weight": (rows, module.embed_dim), "in_proj_bias": (rows,)}
    return {}

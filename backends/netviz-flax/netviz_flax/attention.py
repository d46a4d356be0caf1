"""The weights with which attention looks from query to key: Flax' own layers hand both to a function."""

from __future__ import annotations

from functools import partial
from typing import Any

from flax import nnx
from flax.nnx.nn.attention import dot_product_attention_weights

from netviz_core.backend_api import RecorderLike

from .kinds import flax_class
from .layers import FlaxLayer, at, layers
from .passes import READER, call

_AXES = ("batch", "head", "query", "key")
_OWN = "it has an attention_fn of its own, of which it is not known what it does with query and key"
_NO_SAMPLES = "its weights have {} axes, of which it is not known which are samples"
_NONE = "it is no nnx.MultiHeadAttention, or was not called"


def record_attention(model: nnx.Module, inputs: Any, recorder: RecorderLike) -> None:
    """See `netviz_core.backend_api.SupportsAttention`."""
    found = list(layers(model))
    attending = [layer for layer in found if flax_class(layer.native) == "MultiHeadAttention"]

    def prepare(copy: nnx.Module) -> None:
        for layer in attending:
            module: Any = at(copy, layer.keys)
            if module.attention_fn is nnx.dot_product_attention:
                module.attention_fn = partial(_heard, layer, recorder)
            else:
                recorder.miss(layer.path, _OWN, "unsupported")

    call(model, inputs, (), prepare)
    for layer in found:
        recorder.miss(layer.path, _NONE)


def _heard(
    layer: FlaxLayer, recorder: RecorderLike, query: Any, key: Any, *rest: Any, **settings: Any
) -> Any:
    """What attention returns, once the recorder was told of its weights."""
    if layer.path in recorder.paths:
        weights = dot_product_attention_weights(query, key, **{**settings, "module": None})
        is_known = weights.ndim == len(_AXES)
        told = READER.observed("", weights, _AXES) if is_known else _NO_SAMPLES.format(weights.ndim)
        if isinstance(told, str):
            recorder.miss(layer.path, told, "unsupported")
        else:
            recorder.add(layer.path, [told])
    return nnx.dot_product_attention(query, key, *rest, **settings)

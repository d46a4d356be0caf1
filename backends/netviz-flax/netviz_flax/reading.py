"""What netviz has to know of JAX' arrays to hear the modules that make them. Channels stand last."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netviz_core.backend_api import SPATIAL_AXES, Observation, canonical_axes, positional_axes, widened

from .kinds import flax_class, kind_of

Axes = tuple[str, ...]

_IMAGES = ("batch_norm", "group_norm", "instance_norm")
_KEPT = (*_IMAGES, "layer_norm", "rms_norm", "dropout", "activation", "attention")
_TRACED = (
    "it ran within a transformation that traces (nnx.jit, nnx.vmap, nnx.remat), where there are no values yet"
)


class Held:
    """An array as a module returned it; nothing in JAX writes to one."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape = array, tuple(array.shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        return widened(np.asarray(self._array))


class Reader:
    """See `netviz_core.backend_api.CallReader`."""

    def is_tensor(self, value: object) -> bool:
        return isinstance(value, (jax.Array, np.ndarray))

    def observed(self, leaf: str, tensor: Any, axes: Axes) -> Observation | str:
        if isinstance(tensor, jax.core.Tracer):
            return _TRACED
        narrow = "float" in str(tensor.dtype) and tensor.dtype.itemsize < 4
        nbytes = tensor.size * (4 if narrow else tensor.dtype.itemsize)
        return Observation(leaf, Held(tensor), axes, str(tensor.dtype), nbytes)

    def axes_after(self, layer: Any, before: Axes | None, rank: int) -> Axes | None:
        kind = kind_of(layer)
        images = ("batch", *SPATIAL_AXES[5 - rank :], "channel") if 3 <= rank <= 5 else None
        if "conv" in kind:
            return images
        if kind in ("embedding", "lstm", "gru", "rnn"):
            return {2: ("batch", "channel"), 3: ("batch", "time", "channel")}.get(rank)
        if kind in _KEPT and before is not None:
            return before
        if kind in _IMAGES and rank > 3:
            return images
        if kind == "dense" or kind.endswith("_norm"):
            return (*(before or positional_axes(rank))[:-1], "channel")
        return None

    def like(self, values: Any, dtype: str) -> Any:
        return jnp.asarray(values, dtype)

    def is_closed(self, layer: Any) -> bool:
        return flax_class(layer) == "RNN"


def laid_out(axes: Axes) -> Axes:
    """Names in the order in which Flax has them."""
    return tuple(sorted(canonical_axes(axes), key=lambda axis: axis == "channel"))

"""The `Backend` of Flax NNX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from netviz_core.backend_api import (
    AxisArray,
    ParameterForm,
    RecorderLike,
    Replacement,
    ReplacingListener,
    Seed,
    StandIn,
    leaves,
    pull_back,
    telling,
)  # fmt: skip

from .attention import record_attention
from .layers import FlaxLayer, layers
from .passes import READER, call, recording
from .weights import variables_of


class FlaxBackend:
    """Speaks netviz' words for every ``nnx.Module``."""

    name = "flax"
    path_separator = "."

    def __init__(self) -> None:
        self._recorded: list[tuple[nnx.Module, RecorderLike]] = []

    def accepts(self, model: object) -> bool:
        """Whether `model` is a module; the older ``flax.linen`` keeps no weights in its modules."""
        return isinstance(model, nnx.Module)

    def layers(self, model: nnx.Module) -> Iterable[FlaxLayer]:
        """Yield every module once, see `netviz_flax.layers`."""
        return layers(model)

    def run(self, model: nnx.Module, inputs: Any, recorder: RecorderLike | None = None) -> Any:
        """Make one pass over a copy of the model, see `netviz_flax.passes`."""
        told = [heard for native, heard in self._recorded if native is model]
        told += [recorder] if recorder is not None else []
        return call(model, inputs, map(telling, told))

    @contextmanager
    def record(self, model: nnx.Module, recorder: RecorderLike) -> Iterator[None]:
        """Tell `recorder` of every call of the layers it wants, by the user or by netviz."""
        entry = model, recorder
        self._recorded.append(entry)
        try:
            with recording(model, recorder):
                yield
        finally:
            self._recorded = [other for other in self._recorded if other is not entry]

    def run_replaced(
        self,
        model: nnx.Module,
        inputs: Any,
        recorder: RecorderLike,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> Any:
        """See `netviz_core.backend_api.SupportsReplacement`."""

        def make(reader: Any, path_of: Any, book: Any) -> ReplacingListener:
            return ReplacingListener(reader, path_of, recorder, book, replacement, instead)

        return call(model, inputs, [make])

    def gradients(
        self, model: nnx.Module, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
    ) -> None:
        """See `netviz_core.backend_api.SupportsGradients`."""

        def derive(function: Any, forms: Any) -> Any:
            made, pulls = jax.vjp(function, {name: jnp.zeros(*form) for name, form in forms.items()})

            def pull(given: Any) -> Any:
                return pulls({leaf: jnp.asarray(v, made[leaf].dtype) for leaf, v in given.items()})[0]

            return {leaf: np.array(array) for leaf, array in made.items()}, pull

        pull_back(layers(model), partial(call, model, inputs), derive, seed, activations, gradients)

    def attention(self, model: nnx.Module, inputs: Any, recorder: RecorderLike) -> None:
        """See `netviz_core.backend_api.SupportsAttention`."""
        record_attention(model, inputs, recorder)

    def perturbed(self, model: nnx.Module) -> AbstractContextManager[None]:
        """See `netviz_core.backend_api.SupportsRandomness`."""
        return _other_keys(model)

    def parameters_of(self, layer: FlaxLayer) -> Iterator[ParameterForm]:
        """Those that ``nnx.state(model, nnx.Param)`` has of a module itself."""
        for _, variable in variables_of(layer.native):
            if isinstance(variable, nnx.Param):
                size = int(np.prod(variable.shape))
                yield ParameterForm(id(variable), size, size * variable.dtype.itemsize, True)

    def images(self, model: nnx.Module, inputs: Any) -> AxisArray | None:
        """See `netviz_core.backend_api.SupportsImages`."""
        for _, value in leaves(inputs, lambda part: isinstance(part, AxisArray) or READER.is_tensor(part)):
            if isinstance(value, AxisArray):
                if {"y", "x"} <= set(value.axes):
                    return value
            elif value.ndim == 4 and value.shape[-1] in (1, 3, 4):
                return AxisArray(np.array(value), ("batch", "y", "x", "channel"))
        return None


@contextmanager
def _other_keys(model: nnx.Module) -> Iterator[None]:
    """Let every random stream of the model go on from elsewhere."""
    counts = [v for _, v in nnx.iter_graph(model) if isinstance(v, nnx.RngCount)]
    before = [count.get_value() for count in counts]
    try:
        for count, value in zip(counts, before, strict=True):
            count.set_value(value + 7919)
        yield
    finally:
        for count, value in zip(counts, before, strict=True):
            count.set_value(value)

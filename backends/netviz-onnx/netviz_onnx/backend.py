"""The `Backend` of ONNX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from onnx import ModelProto

from netviz_core.backend_api import AxisArray, ParameterForm, RecorderLike, Replacement, StandIn, TracedCall

from .attention import record_attention
from .counting import parameters_of
from .examples import example_of
from .held import held
from .inputs import images_in
from .layers import OnnxLayer, layers
from .passes import Pass
from .replacing import run_replaced
from .trace import trace


class OnnxBackend:
    """Speaks netviz' words for every ``onnx.ModelProto``."""

    name = "onnx"

    def __init__(self) -> None:
        self._listening: list[tuple[ModelProto, RecorderLike]] = []

    def accepts(self, model: object) -> bool:
        """Whether `model` is a model, and not a part of one."""
        return isinstance(model, ModelProto)

    def layers(self, model: ModelProto) -> Iterable[OnnxLayer]:
        """Yield scopes and what computes in them, see `netviz_onnx.layers`."""
        return iter(layers(held(model)))

    def run(self, model: ModelProto, inputs: Any, recorder: RecorderLike | None = None) -> Any:
        """Make one pass with ONNX Runtime, or with ONNX' own reference where that is not installed."""
        listening = [heard for native, heard in self._listening if native is model]
        return Pass(held(model), inputs).run([*listening, *([recorder] if recorder is not None else [])])

    @contextmanager
    def record(self, model: ModelProto, recorder: RecorderLike) -> Iterator[None]:
        """Tell `recorder` of every pass that netviz makes while the context is open; it hears no session of others."""
        heard = model, recorder
        self._listening.append(heard)
        try:
            yield
        finally:
            self._listening.remove(heard)

    def run_replaced(
        self,
        model: ModelProto,
        inputs: Any,
        recorder: RecorderLike,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> Any:
        """Put other values in place on the way, see `netviz_core.backend_api.SupportsReplacement`."""
        return run_replaced(held(model), inputs, recorder, replacement, instead)

    def attention(self, model: ModelProto, inputs: Any, recorder: RecorderLike) -> None:
        """Tell of attention weights, see `netviz_core.backend_api.SupportsAttention`."""
        record_attention(held(model), inputs, recorder)

    def trace(self, model: ModelProto, inputs: Any) -> Iterable[TracedCall]:
        """Tell the data flow, see `netviz_core.backend_api.SupportsGraph`."""
        return trace(held(model), inputs)

    def parameters_of(self, layer: OnnxLayer) -> Iterator[ParameterForm]:
        """A layer's own parameters, see `netviz_core.backend_api.SupportsParameterForms`."""
        return parameters_of(layer)

    def example_of(self, model: ModelProto, shapes: Sequence[Sequence[int]] | None) -> Any:
        """Inputs of these shapes, see `netviz_core.backend_api.SupportsInputForms`."""
        return example_of(held(model), shapes)

    def images(self, model: ModelProto, inputs: Any) -> AxisArray | None:
        """Which of the inputs are images, see `netviz_core.backend_api.SupportsImages`."""
        return images_in(held(model), inputs)

"""A layer of which all is known: what backends may make their `Layer` of, and what a capture keeps of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..words.protocols import WeightTensor
from .shown import ShownLayer
from .weights import Weights


@dataclass(frozen=True, repr=False)
class ReadyLayer(ShownLayer):
    """A `Layer` made of what is known of it, which shows itself in a line and, in a notebook, as a card.

    Parameters
    ----------
    path, kind, type_name, native, trainable, config
        See `netviz_core.backend_api.Layer`; ``native`` is None where the layer itself is not there.
    weights : mapping, optional
        As `netviz_core.backend_api.by_name` makes it.
    """

    path: str
    kind: str
    type_name: str
    native: Any
    trainable: bool
    weights: Mapping[str, WeightTensor] = field(default_factory=Weights)
    config: Mapping[str, Any] = field(default_factory=dict)

"""A layer of which all is known when it is listed: what backends may make their `Layer` of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .shown import ShownLayer
from .weights import Weight, Weights


@dataclass(frozen=True, repr=False)
class ReadyLayer(ShownLayer):
    """A `Layer` made of what is known of it, which shows itself in a line and, in a notebook, as a card.

    Parameters
    ----------
    path, kind, type_name, native, trainable, config
        See `netviz_core.backend_api.Layer`.
    weights : mapping, optional
        As `netviz_core.backend_api.by_name` makes it.
    """

    path: str
    kind: str
    type_name: str
    native: Any
    trainable: bool
    weights: Mapping[str, Weight] = field(default_factory=Weights)
    config: Mapping[str, Any] = field(default_factory=dict)

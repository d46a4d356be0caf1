"""A model from what was typed, its input, and errors that name the layer in which it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..captures.capture import Capture
from ..models.network import Network, layer_at_fault
from ..words.errors import CaptureError, NetvizError
from ..words.text_tables import described
from .inputs import as_expected, read_input
from .models import open_model


@contextmanager
def running(
    model: str,
    data: Path | None,
    axes: str | None,
    trust: bool,
    opener: Callable[..., Any] = open_model,
) -> Iterator[tuple[Any, Any]]:
    """Open a model and read its input; what fails while they are used is told as the model's failure."""
    x = read_input(data, axes)
    network = opener(model, trust=trust)
    with failures_located(network):
        yield network, as_expected(network, x, data)


@contextmanager
def failures_located(*models: Network | Capture) -> Iterator[None]:
    """While models run, turn what they raise themselves into a sentence that names the layer."""
    networks = [model for model in models if isinstance(model, Network)]
    try:
        yield
    except NetvizError:
        raise
    except Exception as error:
        if not networks:
            raise
        path = layer_at_fault(networks, error)
        where = f" in layer {path!r}" if path else ""
        raise CaptureError(f"the model failed{where}: {described(error)}") from error

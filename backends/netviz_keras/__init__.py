"""The Keras 3 backend of netviz, on TensorFlow, JAX and torch; on other engines without derivatives."""

from typing import TYPE_CHECKING, Any

from ._select import choose_engine

# Importing Keras fixes its engine for the whole process.
choose_engine()

from .backend import KerasBackend  # noqa: E402

if TYPE_CHECKING:
    from .training import NetvizCallback

__all__ = ["KerasBackend", "NetvizCallback"]


def __getattr__(name: str) -> Any:
    """Load the callback when it is asked for."""
    if name == "NetvizCallback":
        from .training import NetvizCallback

        return NetvizCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

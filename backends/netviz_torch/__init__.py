"""The PyTorch backend of netviz. Requires torch 2.6 or later, and knows no other framework."""

from typing import Any

from .backend import TorchBackend

__all__ = ["TorchBackend", "watch_training"]


def __getattr__(name: str) -> Any:
    if name == "watch_training":
        from .training import watch_training

        return watch_training
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

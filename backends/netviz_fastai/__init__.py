"""The fastai backend of netviz. Requires fastai 2.8 or later; it has the torch backend look at a Learner's model."""

from typing import TYPE_CHECKING, Any

from .backend import FastaiBackend

if TYPE_CHECKING:
    from .training import NetvizCallback

__all__ = ["FastaiBackend", "NetvizCallback"]


def __getattr__(name: str) -> Any:
    # fastai's callbacks are loaded for those who train, and not for those who look.
    if name == "NetvizCallback":
        from .training import NetvizCallback

        return NetvizCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What a backend may offer beyond what it must, as the protocols ask for it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from .. import backend_api

OPT_IN: dict[str, type] = {
    name: vars(backend_api)[name] for name in backend_api.__all__ if name.startswith("Supports")
}
"""The protocols by their names."""


def members_of(protocol: type) -> set[str]:
    """The methods and attributes that a protocol asks for."""
    return {name for name in {**vars(protocol), **protocol.__annotations__} if name[0] != "_"}


def not_as_agreed(backend: object) -> list[str]:
    """What a backend offers in part, or in another form than the protocols ask for."""
    found = []
    for protocol, contract in OPT_IN.items():
        had = {name: getattr(backend, name) for name in members_of(contract) if hasattr(backend, name)}
        if had:
            found += [f"{protocol}: it lacks {name}" for name in sorted(members_of(contract) - had.keys())]
        found += [
            f"{protocol}: {name} takes other arguments"
            for name, offered in had.items()
            if callable(offered) and not _takes(offered, vars(contract)[name])
        ]
    return found


def _takes(offered: Callable[..., Any], contract: Callable[..., Any]) -> bool:
    """Whether a method can be called with the arguments that a protocol has for it."""
    try:
        signature(offered).bind(*list(signature(contract).parameters)[1:])
    except TypeError:
        return False
    return True

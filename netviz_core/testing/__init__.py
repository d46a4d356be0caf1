"""For authors of plugins and of tests: conformance suites, and a small model that needs no framework."""

from typing import TYPE_CHECKING, Any

from .reference import ReferenceBackend, example_model

if TYPE_CHECKING:
    from .conformance import BackendConformance

__all__ = ["BackendConformance", "ReferenceBackend", "example_model"]


def __getattr__(name: str) -> Any:
    if name == "BackendConformance":
        from .conformance import BackendConformance  # needs pytest, which only tests have

        return BackendConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

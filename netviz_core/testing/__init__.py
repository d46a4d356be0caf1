"""For authors of plugins and of tests: conformance suites, a check that two models agree, a small NumPy model."""

import sys
from typing import TYPE_CHECKING, Any

from .closeness import assert_models_close
from .reference import ReferenceBackend, example_model

if TYPE_CHECKING:
    from .conformance import BackendConformance
    from .renderer_conformance import RendererConformance

__all__ = [
    "BackendConformance",
    "ReferenceBackend",
    "RendererConformance",
    "assert_models_close",
    "example_model",
]


def __getattr__(name: str) -> Any:
    if name in ("BackendConformance", "RendererConformance"):
        try:
            import pytest
        except ModuleNotFoundError as error:
            raise ImportError(
                "the conformance suite needs pytest; to install it: pip install pytest"
            ) from error

        modules = f"{__name__}.conformance", f"{__name__}.looking", f"{__name__}.renderer_conformance"
        if not sys.modules.keys() & set(modules):
            pytest.register_assert_rewrite(*modules)  # so that a check that fails says what it saw
        if name == "RendererConformance":
            from .renderer_conformance import RendererConformance

            return RendererConformance
        from .conformance import BackendConformance

        return BackendConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""For authors of plugins and of tests: conformance suites, a check that two models agree, a small NumPy model."""

import sys
from typing import TYPE_CHECKING, Any

from .closeness import assert_models_close
from .reference import ReferenceBackend, example_model

if TYPE_CHECKING:
    from .conformance import BackendConformance

__all__ = ["BackendConformance", "ReferenceBackend", "assert_models_close", "example_model"]


def __getattr__(name: str) -> Any:
    if name == "BackendConformance":
        try:
            import pytest
        except ModuleNotFoundError as error:
            raise ImportError(
                "the conformance suite needs pytest; to install it: pip install pytest"
            ) from error

        modules = f"{__name__}.conformance", f"{__name__}.looking"
        if not sys.modules.keys() & set(modules):
            pytest.register_assert_rewrite(*modules)  # so that a check that fails says what it saw
        from .conformance import BackendConformance

        return BackendConformance
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

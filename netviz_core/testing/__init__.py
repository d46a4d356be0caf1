"""For authors of plugins and of tests: a small model that needs no framework."""

from .reference import ReferenceBackend, example_model

__all__ = ["ReferenceBackend", "example_model"]

"""The Keras 3 backend of netviz, on TensorFlow, JAX and torch."""

from ._select import choose_engine

# Importing Keras fixes its engine for the whole process.
choose_engine()

from .backend import KerasBackend  # noqa: E402

__all__ = ["KerasBackend"]

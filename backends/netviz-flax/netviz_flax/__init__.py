"""netviz for Flax NNX: the same figures and diagnoses for modules of ``flax.nnx``."""

from .backend import FlaxBackend

__all__ = ["FlaxBackend"]

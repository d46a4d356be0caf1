"""The demo: one small network in each framework, on real handwriting, drawn by the same code."""

from .run import Demo, demo

__all__ = ["Demo", "demo"]

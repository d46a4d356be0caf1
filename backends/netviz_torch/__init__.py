"""The PyTorch backend of netviz. Requires torch 2.6 or later, and knows no other framework."""

from .backend import TorchBackend

__all__ = ["TorchBackend"]

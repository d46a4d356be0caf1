"""netviz for ONNX: the same figures and diagnoses for exported models.

Needs ``onnx``; runs models with ``onnxruntime`` where that is installed, else with ONNX' own, slow reference.
"""

from .backend import OnnxBackend

__all__ = ["OnnxBackend"]

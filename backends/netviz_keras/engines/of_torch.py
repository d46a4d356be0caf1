"""PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode, resolve_name

from .engine import Engine, Note


class _Torch(Engine):
    cubic_coefficient = -0.75
    pads_unevenly_with_edges = True

    def is_variable(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor)

    def is_symbolic(self, tensor: Any) -> bool:
        return isinstance(tensor, torch.Tensor) and (
            tensor.is_meta
            or torch.compiler.is_compiling()
            or torch._C._functorch.is_functorch_wrapped_tensor(tensor)  # as within torch.vmap
        )

    def as_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        if not isinstance(tensor, torch.Tensor):
            return super().as_numpy(tensor)
        tensor = tensor.detach().cpu()
        return np.asarray(tensor.float() if tensor.dtype == torch.bfloat16 else tensor)

    def kept(self, tensor: Any) -> Any:
        return tensor.detach().clone()

    def no_gradients(self) -> AbstractContextManager[Any]:
        return torch.no_grad()

    def own_randomness(self) -> AbstractContextManager[Any]:
        return torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else [])

    @contextmanager
    def hearing(self, note: Note) -> Iterator[None]:
        with _Heard(note):
            yield


class _Heard(TorchFunctionMode):
    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        if isinstance(returned, torch.Tensor):
            name = (resolve_name(func) or getattr(func, "__name__", "")).rpartition(".")[2].strip("_")
            given = [value for value in (*args, *(kwargs or {}).values()) if isinstance(value, torch.Tensor)]
            self._note(name, given, [returned])
        return returned


ENGINE = _Torch("torch")

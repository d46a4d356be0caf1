"""What is asked of an engine, and what holds for one that nothing more is known of."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np

Note = Callable[[str, Sequence[Any], Sequence[Any]], None]
"""Takes the name of an operation, in small letters, what it was given and what it returned."""


class Engine:
    """Any engine: it may write to its tensors, computes no derivatives, and its operations are not heard.

    Parameters
    ----------
    name : str
        As in ``KERAS_BACKEND``.
    """

    keeps_tensors = False
    """Whether a tensor never changes once it is made."""

    shares_memory = False
    """Whether tensors may lie where the NumPy arrays lie that they were made of."""

    has_strings = False
    """Whether there are tensors of strings."""

    cubic_coefficient = -0.5
    """The slope of the bicubic kernel at 1 (Keys, 1981)."""

    pads_unevenly_with_edges = False
    """Whether an average pool repeats the edge where it pads more behind than before."""

    derivative_errors: tuple[type[Exception], ...] = (LookupError, NotImplementedError)
    """What is raised where an operation has no derivative."""

    help_for_traced = (
        "run it eagerly (compile the model with run_eagerly=True, jit_compile=False) to see them"
    )
    """What to do where a layer ran within a compiled function."""

    def __init__(self, name: str) -> None:
        self.name = name

    def is_variable(self, value: Any) -> bool:
        """Whether a value of the engine's own can be changed in place."""
        return False

    def is_symbolic(self, tensor: Any) -> bool:
        """Whether a tensor only stands for values that a compiled or traced function will have."""
        return False

    def as_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        """The tensor as NumPy, sharing its memory where that is possible."""
        return np.asarray(tensor if hasattr(tensor, "__array__") else keras.ops.convert_to_numpy(tensor))

    def kept(self, tensor: Any) -> Any:
        """The tensor as it is now, whatever happens to it later."""
        return tensor if self.keeps_tensors else np.array(self.as_numpy(tensor))

    def no_gradients(self) -> AbstractContextManager[Any]:
        """Compute without keeping what gradients would need."""
        return nullcontext()

    def own_randomness(self) -> AbstractContextManager[Any]:
        """Leave the engine's own random numbers, which dropout without a seed may draw from, as they were."""
        return nullcontext()

    def compiled(self, model: keras.Model) -> Callable[[list[Any]], Any]:
        """What computes the same as a model in evaluation mode from a list of its inputs, compiled where that helps."""
        return functools.partial(model, training=False)

    def hearing(self, note: Note) -> AbstractContextManager[Any]:
        """Note the operations that are computed in this context."""
        return nullcontext()

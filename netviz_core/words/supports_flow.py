"""What a backend may offer of how values flow: the graph, and where they stem from. See `supports_models`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np


class TensorForm(NamedTuple):
    """A tensor as the data flow knows it: what makes it that one tensor, its axes and their lengths."""

    identity: Hashable
    axes: tuple[str, ...]
    shape: tuple[int, ...]


class TracedCall(NamedTuple):
    """One layer, or one operation between layers, that ran.

    ``path`` is the layer's own, or that of the innermost layer in which an operation ran.
    ``operation`` is empty for a layer that has no layers within: what it does inside is not told. Else it
    is one word of the vocabulary that all backends share (`netviz_core.words.operations.OPERATIONS`), or the
    framework's own name where there is none. ``key`` is the path of an operation that the framework has among the
    layers, as Keras those of a functional graph: under it a capture has its values, and so it is called in a graph.
    """

    path: str
    operation: str
    inputs: tuple[TensorForm, ...]
    outputs: tuple[TensorForm, ...]
    key: str = ""


class SupportsGraph(Protocol):
    """Opt-in: a backend that sees the data flow between layers, functional operations included."""

    def trace(self, model: Any, inputs: Any) -> Iterable[TracedCall]:
        """Make one pass as `Backend.run` does, and tell what ran, in order.

        A tensor has the same identity wherever it is read, and another one after it was written to in place.
        Weights are not among the inputs, nor is what was computed from weights and constants alone:
        an operation without any other input is left out. The model's own inputs are among them, and
        stand in no output. Operations that only look at a tensor (its shape, its dtype) are left out.
        The last call is the return of the model: path ``""``, operation ``output``, and as inputs the
        tensors that it returned. A layer that runs several times is told of each time. Where a model
        can tell its graph without an input (a functional Keras model), `inputs` may be None. Where the pass fails,
        what ran before may be told before the error is raised: it is drawn as far as it came.
        """


class Coordinate(NamedTuple):
    """One axis of an input, named as by `leaves`; or of a map that was made within the model."""

    source: str
    axis: int


class Stretch(NamedTuple):
    """From where to where each element of a tensor lies along a coordinate; of none, the end is before the start."""

    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]


Origin = Mapping[Coordinate, Stretch]
"""Where the elements of one tensor lie; empty for what depends on no input."""


class OriginOf(NamedTuple):
    """Where one tensor lies that a layer returned, or, if `is_given`, that it was given.

    ``axes`` and ``shape`` are as the framework has them.
    """

    path: str
    call: int
    leaf: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    origin: Origin
    is_given: bool = False


class Source(NamedTuple):
    """What is known of an input, or of a map that was made within the model (``is_input`` is False).

    ``axes`` are the names that its axes were given: by the user, or by the first convolution that goes along them.
    """

    axes: tuple[str | None, ...]
    shape: tuple[int, ...]
    is_input: bool = True


class SupportsOrigins(Protocol):
    """Opt-in: a backend that can follow from which part of the input each element of a layer's output stems."""

    def origins(self, model: Any, inputs: Any, told: Callable[[OriginOf], None]) -> Mapping[str, Source]:
        """Make one pass as `Backend.run` does, and tell where in the inputs lies what layers are given and return.

        What cannot be followed may come from everywhere: it is never said to come from a part. The rules that are
        the same in all frameworks are those of `netviz_core.backend_api.Origins` and those of `placing` beside it.

        Parameters
        ----------
        model, inputs
            As for `Backend.run`.
        told : callable
            Given an `OriginOf` for each tensor that a layer is given or returns, while the model runs.

        Returns
        -------
        Mapping
            What is known of the inputs, by their names in `inputs` (see `leaves`), and of the maps that were
            made within the model.
        """

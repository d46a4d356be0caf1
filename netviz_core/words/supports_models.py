"""What a backend may offer of models as they are: their layers, weights, inputs and files. Opt-in, as all named so.

A backend has a protocol if it has its methods: nothing is declared. The docstrings are the contract.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from .protocols import Layer


class SupportsBuild(Protocol):
    """Opt-in: a backend whose models may make layers and weights only when they first see an input."""

    def build(self, model: Any, inputs: Any) -> None:
        """Make what is not there yet, so that `Backend.layers` lists it; change nothing else.

        Parameters
        ----------
        model, inputs
            As for `Backend.run`.
        """


class SupportsRandomness(Protocol):
    """Opt-in: a backend that can tell a model which draws random numbers from a deterministic one."""

    def perturbed(self, model: Any) -> AbstractContextManager[None]:
        """Perturb the state of all random generators a pass may draw from; restore it when the context closes."""


class SupportsNesting(Protocol):
    """Opt-in: a backend in whose paths one character alone parts a layer from that in which it stands.

    Of the others, both ``.`` and ``/`` are taken for it.
    """

    path_separator: str


class SupportsInputForms(Protocol):
    """Opt-in: a backend that can make an input of a given form, for those who have no data at hand."""

    def example_of(self, model: Any, shapes: Sequence[Sequence[int]] | None) -> Any:
        """Inputs of these shapes, batch included, in the framework's own axis order.

        Parameters
        ----------
        model : native model
        shapes : sequence of shapes, or None
            One for each input; None for those that the model itself declares (a Keras model's input
            spec, with a batch of one where that is open).

        Returns
        -------
        object
            As `Backend.run` takes them: random floats from a generator of its own, or zeros where the
            first layer takes integers (an embedding), on the model's device and in its dtype.

        Raises
        ------
        InputError
            If shapes is None and the model declares none, or sizes that it leaves open.
        """


class SupportsParameterCount(Protocol):
    """Opt-in: a backend that counts parameters as its framework does."""

    def parameter_count(self, model: Any) -> int:
        """The framework's own number: unique parameters in PyTorch, ``count_params()`` in Keras."""


class ParameterForm(NamedTuple):
    """What is counted of one parameter; two of the same identity are one."""

    identity: Hashable
    size: int
    nbytes: int
    trainable: bool


class SupportsParameterForms(Protocol):
    """Opt-in: a backend whose frameworks' parameters are others than `Layer.weights` shows.

    Such as buffers, which are no parameters, and what a computed weight is computed from.
    """

    def parameters_of(self, layer: Layer) -> Iterable[ParameterForm]:
        """What the framework counts as parameters of a layer itself, not of those within."""


class SupportsTensors(Protocol):
    """Opt-in: a backend that brings its framework's tensors to NumPy, as those of a state dict."""

    def to_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        """The tensor as NumPy, ``float32`` for narrower floats; it may share memory."""


class SupportsSaving(Protocol):
    """Opt-in: a backend that writes a model's weights to a file, as its framework reads them."""

    weight_suffixes: tuple[str, ...]
    """The ends of the names of such files."""

    def save_weights(self, model: Any, path: Path, suffix: str) -> None:
        """Write a model's weights to exactly `path`, in the form of a file whose name ends with `suffix`."""


class SupportsWeightFiles(Protocol):
    """Knows how its framework names tensors in files of weights. Opt-in."""

    def names_in_files(self, model: Any) -> Iterable[Mapping[str, Any]]:
        """The model's tensors by the names that they have in files, once for each way of naming them.

        The ``identity`` of a weight that lies in such a tensor is a tuple that begins with the tensor's id.
        """

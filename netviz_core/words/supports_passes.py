"""What a backend may offer of passes: gradients, attention, other values in place. See `supports_models`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from .arrays import AxisArray
    from .protocols import RecorderLike

Seed = Callable[[Mapping[str, "AxisArray"]], Mapping[str, "np.ndarray[Any, Any]"]]
"""From the parts of a model's output to the derivative of what is asked with respect to them."""


class SupportsGradients(Protocol):
    """Opt-in: a backend that can pull what is asked of a model's output back to what its layers returned."""

    def gradients(
        self, model: Any, inputs: Any, seed: Seed, activations: RecorderLike, gradients: RecorderLike
    ) -> None:
        """Make one forward pass in evaluation mode, and one backward pass from its output.

        Parameters
        ----------
        model, inputs
            As for `Backend.run`; the model is left exactly as it came, its gradients included.
        seed : callable
            Given the parts of the model's output by leaf (``""`` for a single tensor), with their
            axes in the framework's own order, it returns the derivative of what is asked with
            respect to them: arrays of the same shapes; a leaf left out counts as zero. Where the
            last thing the model does is a softmax or sigmoid, it is given what goes into that: the
            score of one class, which does not depend on those of the others. In this pass the
            layer that does so returns the scores.
        activations, gradients : Recorder
            Both want the same layers. The one is told what they returned, as in `Backend.run`; the
            other, under the same calls, leaves and axes, of the derivative with respect to that value
            as it was when the layer returned it (what an in-place layer does later is part of
            the pass). Zero where the output does not depend on it; missed with a reason where the
            value can have none, such as integers.

        Raises
        ------
        UnsupportedError
            If nothing in the model's output can be differentiated.
        InputError, Exception
            As for `Backend.run`.
        """


class SupportsGradientsOfWeights(Protocol):
    """Opt-in: a backend that can pull what is asked of a model's output back to its weights."""

    def gradients_of_weights(
        self, model: Any, inputs: Any, seed: Seed
    ) -> Iterable[tuple[str, str, np.ndarray[Any, Any]]]:
        """Make one forward pass in evaluation mode, and one backward pass from its output.

        Parameters
        ----------
        model, inputs, seed
            As for `SupportsGradients.gradients`; the model is left exactly as it came.

        Returns
        -------
        Iterable
            Path, weight name and derivative, in the weight's canonical layout, for each weight that can be trained,
            under every layer that shows it; zero where the output does not depend on it.

        Raises
        ------
        UnsupportedError, InputError, Exception
            As for `SupportsGradients.gradients`.
        """


class SupportsWeightGradients(Protocol):
    """Opt-in: a backend whose weights carry their gradients after a backward pass of the user's own."""

    def weight_gradients(self, model: Any) -> Iterator[tuple[str, str, np.ndarray[Any, Any]]]:
        """Yield path, weight name and gradient, in the weight's canonical layout, where there is one.

        A tied weight comes once, under the layer that `Backend.layers` yields first.
        """


class SupportsAttention(Protocol):
    """Opt-in: a backend that sees the weights with which attention layers look from query to key."""

    def attention(self, model: Any, inputs: Any, recorder: RecorderLike) -> None:
        """Make one pass as `Backend.run` does, and tell the recorder of attention weights.

        Each goes, as it multiplies the values, under the path of the innermost layer that computed it, with the axes
        ``("batch", "head", "query", "key")``: with ``"window"`` behind the batch where queries look within parts of
        the input, and ``"axis0"`` in the place of the batch where it is not known which of its entries belong to
        which sample. Recomputed from query and key where the framework does not return them. Layers that attend in a
        way that cannot be read are missed as ``unsupported``; those not seen to attend as ``not_observed``.
        """


Replacement = Callable[[str, int, str, bool, tuple[int, ...]], "np.ndarray[Any, Any] | None"]
"""From path, call, leaf, whether the layer is given the tensor (else it returned it), and its shape, to other values.

The values have that shape, and the framework's own order of axes, and are not to be written to; None leaves the tensor
as it is.
"""


class StandIn(NamedTuple):
    """The one tensor that a call of a layer hands on, whatever it computes.

    Parameters
    ----------
    values : numpy.ndarray
        In the framework's own order of axes; not to be written to, since it may stand in again in the next pass.
    axes : tuple of str
        In that order, ``axis0``, ``axis1``, … where they have no names.
    dtype : str
        The native one, to which a backend brings the values.
    """

    values: np.ndarray[Any, Any]
    axes: tuple[str, ...]
    dtype: str


class SupportsReplacement(Protocol):
    """Opt-in: a backend that can put other values in the place of what layers are given and return."""

    def run_replaced(
        self,
        model: Any,
        inputs: Any,
        recorder: RecorderLike,
        replacement: Replacement,
        instead: Mapping[str, Sequence[StandIn]],
    ) -> Any:
        """Make one pass as `Backend.run` does, in which what follows is computed from the values put in place.

        Parameters
        ----------
        model, inputs
            As for `Backend.run`.
        recorder : Recorder
            Told of what the layers it wants were about to be given (if it has `given`), and of what they themselves
            returned: each before anything was put in its place.
        replacement : callable
            Asked for each tensor that a layer the recorder wants is about to be given, and has returned. Calls of a
            layer count from 0, in the order in which they begin and end. Values are brought to the tensor's dtype.
        instead : mapping from path to sequence of StandIn
            Of layers that the recorder does not want: what each of their calls hands on. What they compute is of no
            interest, so that a layer of the framework itself that does nothing else need not run at all.

        Returns
        -------
        object
            What the model returned.
        """

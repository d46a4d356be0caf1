"""What a backend may offer beyond what it must. The docstrings are the contract.

A backend has a protocol if it has its methods: nothing is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from .arrays import AxisArray
    from .protocols import Layer, RecorderLike

Seed = Callable[[Mapping[str, "AxisArray"]], Mapping[str, "np.ndarray[Any, Any]"]]
"""From the parts of a model's output to the derivative of what is asked with respect to them."""


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


class SupportsDemo(Protocol):
    """Opt-in: a backend that takes part in ``netviz demo``."""

    def demo(
        self,
        images: np.ndarray[Any, Any],
        labels: np.ndarray[Any, Any],
        progress: Callable[[int, int, float], None],
    ) -> tuple[Any, Any]:
        """Train the demo's small network on handwritten digits.

        Parameters
        ----------
        images : numpy.ndarray
            ``(batch, y, x, channel)``, float32, in [0, 1].
        labels : numpy.ndarray
            ``(batch,)``, the digit on each image.
        progress : callable
            Called after each step with the step, the number of steps and the loss.

        Returns
        -------
        untrained, trained : native models
            The same network before and after training, with the layers ``conv1 conv2 dense1 dense2``.
        """


class SupportsSaving(Protocol):
    """Opt-in: a backend that writes a model's weights to a file, as its framework reads them."""

    weight_suffixes: tuple[str, ...]
    """The ends of the names of such files."""

    def save_weights(self, model: Any, path: Path, suffix: str) -> None:
        """Write a model's weights to exactly `path`, in the form of a file whose name ends with `suffix`."""


class SupportsTensors(Protocol):
    """Opt-in: a backend that brings its framework's tensors to NumPy, as those of a state dict."""

    def to_numpy(self, tensor: Any) -> np.ndarray[Any, Any]:
        """The tensor as NumPy, ``float32`` for narrower floats; it may share memory."""


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


Replacement = Callable[[str, int, str, bool, tuple[int, ...]], "np.ndarray[Any, Any] | None"]
"""From path, call, leaf, whether the layer is given the tensor (else it returned it), and its shape, to other values.

The values have that shape, and the framework's own order of axes; None leaves the tensor as it is.
"""


class StandIn(NamedTuple):
    """The one tensor that a call of a layer hands on, whatever it computes.

    Parameters
    ----------
    values : numpy.ndarray
        In the framework's own order of axes.
    axes : tuple of str
        In that order, ``axis0``, ``axis1``, … where they have no names.
    dtype : str
        The native one.
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


class SupportsImageRange(Protocol):
    """Opt-in: a backend whose models may say which range of images they take."""

    def image_range(self, model: Any, inputs: Any) -> tuple[float, float] | None:
        """The values of black and white, told from what the model's first layers do to them; None if they do not."""


class SupportsOutputs(Protocol):
    """Opt-in: a backend whose framework has names of its own for a model's outputs, and a loss for each."""

    def output_names(self, model: Any) -> Mapping[str, str]:
        """The parts of what the model returns, as leaves, by these names; none for a model without."""

    def own_losses(self, model: Any) -> Any:
        """The loss that the model has, a mapping or sequence of one for each output, or None."""


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
        can tell its graph without an input (a functional Keras model), `inputs` may be None.
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


class SupportsImages(Protocol):
    """Opt-in: a backend that can tell which part of an input is images."""

    def images(self, model: Any, inputs: Any) -> AxisArray | None:
        """The batch of images in `inputs`, in their own numbers unless the backend knows how to decode them.

        Returns
        -------
        AxisArray or None
            With the axes batch, y, x and channel in any order; None where there are no images.
        """


class LossReading(NamedTuple):
    """The loss of each sample, and how the loss reads the model's output.

    ``reads`` is one of ``logits``, ``log_probabilities``, ``probabilities`` (of classes that exclude
    each other, along the axis ``channel``), ``binary_logits``, ``binary_probabilities`` (each for
    itself) and ``values`` (anything else).
    """

    values: np.ndarray[Any, Any]
    reads: str


class SupportsLosses(Protocol):
    """Opt-in: a backend that can take its framework's losses sample by sample."""

    def losses(self, model: Any, loss: Any, output: Any, targets: Any) -> LossReading:
        """The loss of each sample of a batch; values of shape ``(batch,)``.

        Parameters
        ----------
        model : native model
        loss : native loss, or None
            None for the one that the model was given by its framework, if there is such a thing.
        output, targets : native
            What the model returned, and what it should have; targets may be NumPy arrays.

        Raises
        ------
        InputError
            If there is no loss, or it cannot be taken sample by sample.
        """


class SupportsOwnReading(Protocol):
    """Opt-in: a backend whose models carry the loss that they are trained with, which tells what their output means."""

    def own_reading(self, model: Any, leaf: str) -> str:
        """How that loss reads a part of the output: as ``LossReading.reads``, or empty without a loss of that part."""


class SupportsWeightFiles(Protocol):
    """Knows how its framework names tensors in files of weights. Opt-in."""

    def names_in_files(self, model: Any) -> Iterable[Mapping[str, Any]]:
        """The model's tensors by the names that they have in files, once for each way of naming them.

        The ``identity`` of a weight that lies in such a tensor is a tuple that begins with the tensor's id.
        """


class SupportsOwnData(Protocol):
    """Opt-in: a backend whose models come with their data, their loss and the names of their classes."""

    def example(self, model: Any) -> Any:
        """The inputs of one batch of the model's own validation data, as `Backend.run` takes them.

        Raises
        ------
        InputError
            If the model has no data.
        """

    def examples(self, model: Any) -> Iterable[tuple[Any, Any]]:
        """The whole of the validation data in order, as pairs of inputs and targets."""

    def class_names(self, model: Any) -> Sequence[str] | None:
        """The names of the classes by index, where the model tells classes apart."""

    def describe(self, model: Any, inputs: Any) -> Sequence[str] | None:
        """One line for each sample that is no image: a text, or the columns of a row."""

"""What a backend may offer of data, and of what outputs mean: images, losses, names. See `supports_models`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from .arrays import AxisArray


class SupportsItems(Protocol):
    """Opt-in: a backend that makes batches of paths, texts, pictures or rows by itself, and refuses what is none."""

    takes_items: bool


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


class SupportsImages(Protocol):
    """Opt-in: a backend that can tell which part of an input is images."""

    def images(self, model: Any, inputs: Any) -> AxisArray | None:
        """The batch of images in `inputs`, in their own numbers unless the backend knows how to decode them.

        Returns
        -------
        AxisArray or None
            With the axes batch, y, x and channel in any order; None where there are no images.
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

"""What a backend and a renderer must offer. The docstrings are the contract.

Behaviour is a protocol. Objects are checked once, when a plugin is loaded, and never
with ``isinstance`` afterwards: that would run properties of users' objects.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from .arrays import Activation
    from .observations import Coverage, HeldValue, Observation

KINDS = frozenset(
    """
    conv1d conv2d conv3d conv1d_transpose conv2d_transpose conv3d_transpose
    depthwise_conv1d depthwise_conv2d separable_conv1d separable_conv2d
    dense einsum_dense embedding
    batch_norm layer_norm group_norm instance_norm rms_norm
    lstm gru rnn attention activation pool dropout reshape merge input container other
    """.split()
)
"""The words for what a layer is, the same in every framework."""


class WeightTensor(Protocol):
    """One weight of a layer, in netviz' canonical layout. Nothing is copied until `numpy`."""

    @property
    def name(self) -> str:
        """The canonical name, such as ``kernel``; the native one for a custom layer."""

    @property
    def native_name(self) -> str:
        """The framework's own name within the layer, such as ``weight``."""

    @property
    def axes(self) -> tuple[str, ...]:
        """Canonical axis names, such as ``("out", "in", "y", "x")``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each of `axes`. Costs no copy."""

    @property
    def dtype(self) -> str:
        """The native dtype's name, such as ``bfloat16``."""

    @property
    def trainable(self) -> bool:
        """Whether the optimizer is meant to change it."""

    @property
    def identity(self) -> Hashable:
        """Equal for weights that are one and the same in the framework: tied, or shown by parent and child."""

    def numpy(self) -> np.ndarray[Any, Any]:
        """Copy the weight as it is now to an array that the caller owns.

        Returns
        -------
        numpy.ndarray
            In the canonical layout; ``float32`` for narrower floats, else the native dtype.

        Raises
        ------
        UnsupportedError
            If there are no values yet (lazy, unbuilt, or on the meta device).
        """

    def peek(self) -> np.ndarray[Any, Any]:
        """The same without a copy where there can be one; to be read at once, and never written to."""

    def assign(self, values: Any, *, allow_nonfinite: bool = False) -> None:
        """Give the weight new values in canonical layout, in place; see `netviz_core.models.weights.Weight`."""

    def check(self, values: Any, *, allow_nonfinite: bool = False) -> np.ndarray[Any, Any]:
        """What `assign` would write, after all its checks; changes nothing."""


class Layer(Protocol):
    """One layer, or one container of layers, of a model. Cheap to make: lists, copies nothing."""

    @property
    def path(self) -> str:
        """The framework's own path; ``""`` for the outermost model."""

    @property
    def kind(self) -> str:
        """One of `KINDS`."""

    @property
    def type_name(self) -> str:
        """The native class' name, such as ``Conv2d``."""

    @property
    def weights(self) -> Mapping[str, WeightTensor]:
        """The layer's own weights (not its children's) by canonical name."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Hyperparameters, in netviz' one vocabulary: ``stride padding dilation groups …``.

        A layer that takes flattened features, or makes such as will be unflattened, in another order
        than netviz' own says so under ``flattened`` and ``unflattened``: a tuple with a mapping from axis to
        size for each part that was concatenated, the slowest axis first, such as
        ``({"y": 7, "x": 7, "channel": 512},)``; None where the order cannot be known.
        """

    @property
    def trainable(self) -> bool:
        """Whether any of its own weights is trainable; for a container, any below it."""

    @property
    def native(self) -> Any:
        """The framework's own object."""


class RecorderLike(Protocol):
    """What a backend tells of the calls of layers; `netviz_core.backend_api.Recorder` is one."""

    @property
    def paths(self) -> frozenset[str]:
        """The paths of the layers asked for; those of others are not told of."""

    @property
    def given(self) -> RecorderLike | None:
        """It wants the same layers and is told, before each call, what the layer is given; None where nobody asks."""

    @property
    def keeps_values(self) -> bool:
        """Whether the values themselves are wanted; if not, a backend may give `blank` ones."""

    @property
    def looks_only(self) -> bool:
        """Whether a value is read while it is told of and never again, so that a backend need not keep it safe."""

    @property
    def room(self) -> int:
        """How many bytes of values may still be added."""

    @property
    def slots(self) -> Sequence[Any]:
        """What has been kept so far, in the order in which it was returned."""

    def add(self, path: str, observations: Sequence[Observation]) -> None:
        """Keep what the layer at `path` returned from one call.

        Raises
        ------
        CaptureTooLargeError
            Before anything of this call is kept, if it would go beyond the limit.
        AxisError
            If the user's axis names do not fit.
        """

    def require_room(self, path: str, nbytes: int) -> None:
        """Refuse what would not fit, before a backend copies anything; raises `CaptureTooLargeError`."""

    def reduces(self, path: str) -> bool:
        """Whether what the layer at `path` returns is made smaller at once."""

    def coverage(self) -> Mapping[str, Coverage]:
        """What became of every layer asked for, so far, by path."""

    def miss(self, path: str, reason: str, status: str = "not_observed") -> None:
        """Say why a layer asked for is not captured; the first reason given stands."""

    def add_others(self, path: str, others: Iterable[tuple[str, Any]]) -> None:
        """Tell what else a layer returned that may hold numbers, see `netviz_core.backend_api.others`."""

    def rearrange(self, start: int, order: Sequence[int]) -> None:
        """Put the values from position `start` on into another order, and number the calls anew."""

    def withdraw(self, values: Container[HeldValue], reason: str) -> None:
        """Take back values that have turned out not to be trusted."""


class Backend(Protocol):
    """One framework's adapter: the only place that knows the framework.

    The class takes no arguments. What is not listed here is opt-in, in protocols
    named ``Supports…`` (`netviz_core.words.supports_models` and the files beside it).
    """

    name: str
    """The entry point's name: the root module of the framework."""

    def accepts(self, model: object) -> bool:
        """Whether `model`, whose class stems from this framework, is a model to this backend."""

    def layers(self, model: Any) -> Iterable[Layer]:
        """Yield every layer, the outermost model (path ``""``) first, then in the model's order.

        Containers are layers too. Paths are unique. A layer that stands in several places
        comes once. Takes time linear in the number of layers and copies no tensor.
        """

    def run(self, model: Any, inputs: Any, recorder: RecorderLike | None = None) -> Any:
        """Make one forward pass, in evaluation mode and without gradients.

        Parameters
        ----------
        model : native model
            Left exactly as it came, also when the pass fails.
        inputs : array, native tensor, AxisArray, or a tuple or dict of them
            An `AxisArray` is laid out for the model's own convention; anything else goes
            to the model as it is.
        recorder : Recorder, optional
            Told of every call of the layers it wants (`Recorder.paths`).

        Returns
        -------
        object
            The model's own output, native.

        Raises
        ------
        InputError
            If the input cannot be what the model takes: says what was given and expected.
        Exception
            Whatever the model itself raises, unchanged.
        """

    def record(self, model: Any, recorder: RecorderLike) -> AbstractContextManager[None]:
        """While the context is open, tell `recorder` of every call of the layers it wants.

        Changes no mode and no gradient: what runs inside is the user's own business.
        """


class ViewLike(Protocol):
    """What is about to be drawn, complete: a frozen dataclass of NumPy arrays.

    `netviz_core.renderer_api.View` is one.
    """

    @property
    def title(self) -> str:
        """What it shows, in a few words."""

    def plot(self, ax: Any = None, *, renderer: str | None = None, **style: Any) -> Any:
        """Draw it with a renderer; see `Renderer.plot`."""

    def save(self, path: str | Path | BinaryIO, *, renderer: str | None = None, **style: Any) -> None:
        """Write it to a file with a renderer; see `Renderer.save`."""


class Renderer(Protocol):
    """Draws views with one plotting library. The class takes no arguments."""

    name: str
    """The entry point's name."""

    suffixes: tuple[str, ...]
    """Those of the files that `save` writes, such as ``.png``."""

    def plot(self, view: ViewLike, ax: Any = None, **style: Any) -> Any:
        """Draw `view` into `ax`, or into a new figure that the library's own ``show`` will show.

        Returns
        -------
        object
            What the library's users expect to get back: for matplotlib the `Axes`.
        """

    def save(self, view: ViewLike, path: Any, **style: Any) -> None:
        """Write `view` to exactly `path`, in the format its suffix names; leave no figure open.

        `path` may be a binary file to write to; then ``format=`` names the format.

        Raises
        ------
        FileFormatError
            If the suffix is none that this renderer writes.
        OSError
            If the file cannot be written.
        """

    def png(self, view: ViewLike) -> bytes:
        """Draw `view` as a PNG for a notebook; leave no figure open."""


class ActivationCapture(Protocol):
    """A read-only mapping from key to `Activation`; see `netviz_core.Capture`."""

    backend: str

    @property
    def coverage(self) -> Mapping[str, Coverage]:
        """What became of every layer asked for."""

    def __getitem__(self, key: str) -> Activation: ...

    def __iter__(self) -> Iterator[str]: ...

    def __len__(self) -> int: ...

    def save(self, path: str | Path) -> None:
        """Write the capture to exactly `path`."""


LayerSelection = str | Sequence[str] | Callable[[Layer], bool]
"""A path, a glob (``*`` crosses separators), a list of them, or a function of a `Layer`."""

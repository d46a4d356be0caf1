"""What layers returned while a model ran, kept under readable keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from .._version import __version__
from ..models.described import described
from ..models.network import wrap
from ..models.ready_layer import ReadyLayer
from ..models.shown import Layers
from ..words.arguments import is_function, require_selection
from ..words.arrays import Activation, AxisArray, canonical_axes, shape_text
from ..words.cards import NAME, TEXT, Telling, Told, details, pairs, table
from ..words.errors import AmbiguousKeyError, InputError, LayerNotFoundError, nearest
from ..words.given import is_array, shown
from ..words.observations import Coverage, CoverageByPath
from ..words.protocols import LayerSelection
from ..words.selection import selected
from ..words.structure import leaves
from ..words.text_tables import counted
from ..words.whole_files import require_no_picture
from .batches import size_of
from .files import Contents, write
from .keys import fitting, keyed
from .recorder import DEFAULT_MAX_BYTES, Recorder, Reduction, Slot

if TYPE_CHECKING:
    from pathlib import Path


class CaptureSource(Protocol):
    """Where a `Capture` has its values from: a recorder, or a file."""

    @property
    def slots(self) -> Sequence[Slot]:
        """The values, in the order in which they were returned."""

    @property
    def changes(self) -> int:
        """A number that is another whenever these have become others."""

    def coverage(self) -> Mapping[str, Coverage]:
        """What became of every layer asked for."""


class Capture(Telling, Mapping[str, Activation]):
    """A read-only mapping from key to `Activation`, in the order in which layers returned.

    The key is the layer's path; with ``:n`` where it ran several times and ``#part`` where
    it returned a structure. A shorter key works while it is unambiguous.
    """

    def __init__(
        self,
        backend: str,
        source: CaptureSource,
        versions: Mapping[str, str] | None = None,
        layers: Mapping[str, ReadyLayer] | None = None,
        given: CaptureSource | None = None,
        samples: int | None = None,
    ) -> None:
        self.backend = backend
        """The name of the backend that ran the model, as on a `Network`."""
        self.versions = dict(versions if versions is not None else _versions(backend))
        """The versions of netviz and of the framework at the time of the capture."""
        self.layers = Layers(layers or {})
        """What the layers asked for are, by path; with copies of their weights in a complete capture."""
        self.samples = samples
        """How many samples the input had; None where that is not known."""
        self._source = source
        self._given = given
        self._keyed: tuple[int, Mapping[str, Slot]] | None = None

    @property
    def coverage(self) -> CoverageByPath:
        """What became of every layer asked for, by path."""
        return CoverageByPath(self._source.coverage())

    def __getitem__(self, key: str) -> Activation:
        if not isinstance(key, str):
            raise InputError(
                f"captured values are named by strings such as 'conv1' or 'conv1:0'; {shown(key)} was given"
            )
        slots = self.slots()
        if key in slots:
            return slots[key].get()
        candidates = fitting(key, slots)
        if len(candidates) > 1:
            raise AmbiguousKeyError(
                f"{key!r} fits several captured values: {', '.join(map(repr, candidates))}", candidates
            )
        if not candidates:
            raise LayerNotFoundError(self._absent(key, slots))
        return slots[candidates[0]].get()

    def __iter__(self) -> Iterator[str]:
        return iter(self.slots())

    def __len__(self) -> int:
        return len(self._source.slots)

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]
        except (AmbiguousKeyError, LayerNotFoundError):
            return False
        return True

    def save(self, path: str | Path) -> None:
        """Write the capture to exactly `path`, in safetensors, unless its suffix is that of a picture.

        It is written beside `path` first and moved into place when it is whole.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        InputError
            If the path is that of a picture.
        OSError
            If it cannot be written; a file that was there stays as it was.
        """
        require_no_picture(path, "a capture", "netviz_core.feature_maps(captured, layer).save(path)")
        own = self._source.slots, self.given_slots()
        write(Contents(self.backend, self.versions, *own, self.layers, self.coverage), path)

    def __repr__(self) -> str:
        missed = sum(map(len, self.coverage.missed.values()))
        note = f", {missed} layers not captured (see .coverage)" if missed else ""
        return f"<Capture of {len(self)} activations, {self.backend} backend{note}>"

    def _told(self) -> Told:
        coverage = self.coverage
        missed = sum(map(len, coverage.missed.values()))
        counts = f"{counted(len(self), 'value')} of {counted(len(coverage) - missed, 'layer')}"
        values = table({"key": NAME, "axes": TEXT, "dtype": TEXT}, list(self.slots().items()), _cells)
        made_by = details("made by", pairs({"backend": self.backend, **self.versions}))
        note = f"; {counted(missed, 'layer')} not captured" if missed else ""
        return Told(
            f"{counts}, {self.backend} backend{note}",
            [coverage.table_of_missed(), values, made_by],
            "doubtful" if missed else "",
        )

    def select(self, layers: LayerSelection = "*") -> list[str]:
        """Choose values, by what layer returned them; their keys, in the order in which layers returned.

        Parameters
        ----------
        layers : str, list of str, or callable
            A path or key, a glob, a list of them, or a function of a `Layer`, as the capture describes it.

        Raises
        ------
        LayerNotFoundError
            If nothing is left: each name must match something.
        """
        slots = self.slots()
        paths = {key: slot.path for key, slot in slots.items()}
        if is_function(layers) and not self.layers:
            raise InputError(
                "this capture describes no layers for a function to choose from; give paths or globs"
            )
        known: dict[str, Any] = {key: self.layers.get(path) for key, path in paths.items()}
        return selected(layers, known, partial(self._absent, slots=slots), paths)

    def slots(self) -> Mapping[str, Slot]:
        """Every value by its key, not yet read."""
        if self._keyed is None or self._keyed[0] != self._source.changes:
            self._keyed = self._source.changes, MappingProxyType(keyed(self._source.slots))
        return self._keyed[1]

    def given_slots(self) -> Sequence[Slot]:
        """Every value that a layer was given, not yet read; none unless the capture is complete."""
        return self._given.slots if self._given is not None else ()

    def _absent(self, key: str, slots: Mapping[str, Slot]) -> str:
        entry = self.coverage.get(key)
        if entry is not None:
            return f"layer {key!r} was asked for but not captured: {entry.reason}"
        return f"nothing was captured under {key!r}; {nearest(key, slots) or 'the capture is empty'}"


def _cells(entry: tuple[str, Slot]) -> tuple[str, str, str]:
    """A value by its form; it is not read for that."""
    key, slot = entry
    sizes = dict(zip(slot.axes, slot.observation.value.shape, strict=True))
    axes = canonical_axes(slot.axes)
    return key or "(the model)", shape_text([sizes[axis] for axis in axes], axes), slot.observation.dtype


def _versions(backend: str) -> dict[str, str]:
    framework = getattr(sys.modules.get(backend), "__version__", None)
    return {"netviz": __version__} | (
        {backend: str(framework)} if framework and backend != "netviz_core" else {}
    )


def capture(
    model: Any,
    x: Any = None,
    layers: LayerSelection = "*",
    *,
    axes: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    reduce: Reduction | Mapping[str, Reduction] | None = None,
    complete: bool = False,
) -> Capture:
    """Run one forward pass and keep what the layers asked for returned.

    The pass is made in evaluation mode and without gradients; the model is left exactly as
    it came, also when the pass fails.

    Parameters
    ----------
    model : native model, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The input. An `AxisArray` (see `images`) is laid out for the model's own convention;
        anything else goes to the model as it is. By default a batch of the model's own data,
        where it comes with some (a fastai Learner does).
    layers : str, list of str, or callable
        A path, a glob, a list of them, or a function of a `Layer`.
    axes : sequence of str, or mapping, optional
        Names for the axes of the outputs as the framework returns them, where netviz cannot
        know them: one sequence for every output with as many axes, or a mapping from path or
        glob to names.
    max_bytes : int
        How many bytes of values may be held.
    reduce : callable, or mapping from path or glob to callable, optional
        Given each `Activation` as soon as its layer has returned, it makes something smaller of
        it, which is kept in its place: an `AxisArray`, an array or a number.
    complete : bool
        Keep what layers are given, and copies of their weights, too: then the capture can be compared
        with one of another framework (see `compare`) where neither is installed.

    Returns
    -------
    Capture
        With a `coverage` entry for every layer asked for.

    Raises
    ------
    LayerNotFoundError
        If `layers` matches nothing.
    InputError
        If the input cannot be what the model takes.
    CaptureTooLargeError
        If more than `max_bytes` would be held.
    Exception
        Whatever the model itself raises, unchanged.

    Examples
    --------
    >>> import numpy as np
    >>> from netviz_core.testing import example_model
    >>> captured = capture(example_model(), np.zeros((2, 1, 8, 8), "float32"), "conv1")
    >>> captured["conv1"].axes
    ('batch', 'channel', 'y', 'x')
    """
    require_selection("capture", {"model": model, "x": x, "layers": layers})
    network = wrap(model)
    x = network.input_or_example(x)
    network.prepare(x)
    chosen = network.select(layers)
    given = Recorder(chosen, max_bytes=max_bytes) if complete else None
    recorder = Recorder(chosen, axes, max_bytes, reduce, given, _sample_counts(x))
    network.adapter.run(network.native, x, recorder)
    recorder.require_axes_used()
    known = described(chosen, with_weights=complete)
    return Capture(network.backend, recorder, layers=known, given=given, samples=_samples_of(x))


def _sample_counts(x: Any) -> set[int] | None:
    """How many samples an input may have: where its axes have no names, one of the first two is theirs."""
    counts = {length for _, array in leaves(x, is_array) for length in _lengths_of_samples(array)}
    return counts or None


def _lengths_of_samples(array: Any) -> tuple[int, ...]:
    named = isinstance(array, AxisArray) and "batch" in array.axes
    return (array.sizes["batch"],) if named else tuple(array.shape[:2])


def _samples_of(x: Any) -> int | None:
    """How many samples an input has: as many as each of its arrays has entries along its first axis."""
    counts = {size_of(array) for _, array in leaves(x, is_array)}
    return counts.pop() if len(counts) == 1 else None


@contextmanager
def recording(
    model: Any,
    layers: LayerSelection = "*",
    *,
    axes: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    reduce: Reduction | Mapping[str, Reduction] | None = None,
) -> Iterator[Capture]:
    """Keep what the layers asked for return from whatever runs inside the context.

    Modes, gradients and the number of passes are the user's own.

    Parameters
    ----------
    model, layers, axes, max_bytes, reduce
        As for `capture`.

    Yields
    ------
    Capture
        It fills while the model runs, and stays after the context.

    Examples
    --------
    >>> import numpy as np
    >>> from netviz_core.testing import example_model
    >>> model = example_model()
    >>> with recording(model, "conv1") as captured:
    ...     _ = model(np.zeros((2, 1, 8, 8), "float32"))
    ...     _ = model(np.ones((2, 1, 8, 8), "float32"))
    >>> list(captured)
    ['conv1:0', 'conv1:1']
    """
    require_selection("recording", {"model": model, "layers": layers})
    network = wrap(model)
    chosen = network.select(layers)
    recorder = Recorder(chosen, axes, max_bytes, reduce)
    with network.adapter.record(network.native, recorder):
        yield Capture(network.backend, recorder, layers=described(chosen, with_weights=False))

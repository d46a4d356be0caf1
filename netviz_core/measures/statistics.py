"""Statistics of what layers return over a whole data set, in one pass and in little memory."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..captures.batches import batches_of, inputs_of, structure_of
from ..captures.capture import Capture
from ..captures.recorder import SummaryRecorder
from ..models.network import Network, wrap
from ..views.base import picture
from ..views.bin_edges import edges_with_zero
from ..views.histogram import Histogram, HistogramRows
from ..views.measures import LayerMeasures
from ..words.arrays import Activation
from ..words.cards import Telling, Told
from ..words.errors import InputError, LayerNotFoundError, nearest, require_known
from ..words.given import shown
from ..words.observations import Coverage, CoverageByPath
from ..words.protocols import LayerSelection
from ..words.selection import Selection, selected
from ..words.text_tables import counted, laid_out, named, printable
from .files import loaded_arrays, save_arrays
from .layer_statistics import MEASURES, LayerStatistics, merged
from .trackers import Look, Tracked

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from pathlib import Path

Array = np.ndarray[Any, Any]

HISTOGRAM_SAMPLE = 2**15
"""How many values of a layer and batch go into a histogram, unless all are asked for."""

_BATCHES_PER_SHARD = 8

SHOWN_NUMBERS = ("mean", "std", "minimum", "maximum", "zero_fraction", "nonfinite_count")
"""What is told of each layer as text."""


class Statistics(Tracked, Telling, Mapping[str, LayerStatistics]):
    """Statistics by the key that each value has in a `Capture`; made by `statistics`."""

    _stored_as = "statistics"

    def __init__(
        self, layers: Mapping[str, LayerStatistics], coverage: Mapping[str, Coverage], batch_count: int
    ) -> None:
        self._layers = dict(layers)
        self.coverage = CoverageByPath(coverage)
        """What became of every layer asked for."""
        self.batch_count = batch_count
        """How many batches were read."""

    def __getitem__(self, key: str) -> LayerStatistics:
        if not isinstance(key, str) or key not in self._layers:
            raise LayerNotFoundError(self._absent(key))
        return self._layers[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __repr__(self) -> str:
        return f"<Statistics of {self._counts}>"

    def __str__(self) -> str:
        titles = ("layer", *(name.replace("_", " ") for name in SHOWN_NUMBERS))
        rows = [
            (printable(key or "output"), *(f"{getattr(layer, name):.4g}" for name in SHOWN_NUMBERS))
            for key, layer in self.items()
        ]
        lines = laid_out(titles, [False] + [True] * len(SHOWN_NUMBERS), rows)
        return "\n".join([*lines, *self.coverage.lines_of_missed()])

    @property
    def _counts(self) -> str:
        batches = f"{self.batch_count:,} batch{'' if self.batch_count == 1 else 'es'}"
        return f"{counted(len(self), 'value')} over {batches}"

    def _told(self) -> Told:
        odd = [key or "output" for key, layer in self.items() if layer.nonfinite_count]
        missed = self.coverage.missed
        where = f"; values that are not finite in {named(odd, most=4)}" if odd else ""
        return Told(
            f"{self._counts}{where}{'; not all layers were captured' if missed else ''}",
            [*self._pictured(), self.coverage.table_of_missed()],
            "odd" if odd else "doubtful" if missed else "",
        )

    def _pictured(self) -> list[str]:
        """A picture and a table, where there is anything to be seen."""
        if not self:
            return []
        measures = self.heatmap()
        return [picture(measures), *measures._told().parts]

    def merge(self, other: Statistics) -> Statistics:
        """Those of both data sets together; in any order, to rounding.

        Raises
        ------
        InputError
            If they are not of the same layers.
        """
        if not isinstance(other, Statistics):
            raise InputError(f"{shown(other)} was given to be merged; give Statistics of the same layers")
        if not self.batch_count or not other.batch_count:
            return self if self.batch_count else other
        if self.keys() != other.keys():
            differing = sorted(self.keys() ^ other.keys())
            raise InputError(
                f"statistics of different layers cannot be merged: only one of them has {differing[0]!r}"
            )
        layers = dict(zip(self, merged([*self.values()], [other[key] for key in self]), strict=True))
        return Statistics(layers, {**other.coverage, **self.coverage}, self.batch_count + other.batch_count)

    def histogram(self, key: str, bins: int = 50) -> Histogram:
        """The histogram of one layer, in bins of equal width, as a view."""
        return self[key].as_histogram(key or "output", bins)

    def histograms(self, layers: Selection[LayerStatistics] = "*", bins: int = 50) -> HistogramRows:
        """The histograms of layers below each other, on one scale that holds 99.8 per cent of each.

        Parameters
        ----------
        layers : str, list of str, or callable
            As for `heatmap`.
        bins : int
            How many, of equal width; zero is an edge where some values lie below it and some above.
        """
        chosen = self._select(layers)
        found = [self[key] for key in chosen]
        ranges = [(layer.quantile(0.001), layer.quantile(0.999)) for layer in found if layer.count]
        low, high = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (0.0, 1.0)
        edges = edges_with_zero((low, high), bins)
        counts = np.stack([layer.counts_between(edges) for layer in found])
        return HistogramRows(
            title=f"activations of {len(chosen)} layers",
            labels=tuple(chosen),
            counts=counts,
            edges=edges,
            nan_counts=np.array([layer.nan_count for layer in found]),
            inf_counts=np.array([layer.inf_count for layer in found]),
            outside_counts=np.array([layer.histogram.sum() for layer in found]) - counts.sum(axis=1),
            value_label="activation",
        )

    def heatmap(
        self, measure: str | Sequence[str] = MEASURES[:6], *, layers: Selection[LayerStatistics] = "*"
    ) -> LayerMeasures:
        """Layers by measures.

        Parameters
        ----------
        measure : str, or sequence of str
            ``mean``, ``std``, ``minimum``, ``maximum``, ``zero_fraction``, ``nonfinite_fraction``,
            ``nonfinite_count`` or ``root_mean_square``, or several of them; by default the first six.
        layers : str, list of str, or callable
            A key, a glob, a list of them, or a function of `LayerStatistics`, which is what is kept of a layer.

        Raises
        ------
        InputError
            If there is no such measure.
        LayerNotFoundError
            If `layers` matches nothing.
        """
        measures = tuple(measure) if isinstance(measure, (tuple, list)) else (measure,)
        for name in measures:
            require_known(name, MEASURES, "measure")
        chosen = self._select(layers)
        values = [[getattr(self[key], name) for name in measures] for key in chosen]
        return LayerMeasures(
            title=f"statistics of {len(chosen)} layers",
            layers=tuple(chosen),
            measures=tuple(name.replace("_", " ") for name in measures),
            values=np.array(values, np.float64),
            marked=tuple(self[key].nonfinite_count > 0 for key in chosen),
            findings=tuple("not finite" if self[key].nonfinite_count else "" for key in chosen),
        )

    def save(self, path: str | Path) -> None:
        """Write the statistics to exactly `path`, in NumPy's npz format; a file that exists is replaced.

        Raises
        ------
        InputError
            If the path is that of a picture.
        OSError
            If it cannot be written; a file that was there stays as it was.
        """
        header = {
            "keys": list(self),
            "batch_count": self.batch_count,
            "coverage": {key: [entry.status, entry.reason] for key, entry in self.coverage.items()},
        }
        save_arrays(path, "statistics", header, (layer.pack() for layer in self.values()))

    def _looks(self) -> Iterator[Look]:
        yield Look(0, {f"activation/{key or 'output'}": layer for key, layer in self.items()})

    def _select(self, layers: Selection[LayerStatistics]) -> list[str]:
        return selected(layers, self, self._absent)

    def _absent(self, key: str) -> str:
        return (
            f"there are no statistics of {shown(key)}; {nearest(str(key), self._layers) or 'there are none'}"
        )


def load_statistics(path: str | Path) -> Statistics:
    """Read what `Statistics.save` wrote; no framework is needed, and no code is run.

    Raises
    ------
    FileFormatError
        If the file is none.
    """
    with loaded_arrays(path, "statistics") as (header, arrays):
        layers = dict(zip(header["keys"], map(LayerStatistics.unpack, arrays), strict=True))
        coverage = {key: Coverage(*entry) for key, entry in header["coverage"].items()}
        return Statistics(layers, coverage, header["batch_count"])


def statistics(
    model: Any,
    data: Any = None,
    layers: LayerSelection = "*",
    *,
    every_value: bool = False,
    executor: Executor | None = None,
    progress: bool = True,
) -> Statistics:
    """Gather statistics of what layers return, over a whole data set in one pass.

    Parameters
    ----------
    model : native model, fastai Learner, path, or Network
    data : iterable of batches, or array, optional
        A DataLoader, a ``tf.data.Dataset``, a Keras ``PyDataset``, a generator, or an array that is cut into
        batches. Of pairs, and of mappings with ``labels``, the inputs are taken. By default the
        model's own validation data, where it comes with some.
    layers : str, list of str, or callable
        A path, a glob, a list of them, or a function of a `Layer`.
    every_value : bool
        Take every value into the histograms, instead of an even sample of `HISTOGRAM_SAMPLE` of each
        layer and batch. All other numbers are always of every value.
    executor : concurrent.futures.Executor, optional
        Spreads the batches over its workers, such as those of a ``ProcessPoolExecutor`` or of Dask's
        ``Client.get_executor()``. The model is pickled; each worker has a copy of its own.
    progress : bool
        Show a progress bar where there is a terminal or notebook.

    Returns
    -------
    Statistics
        For each key of a capture; the same, whatever the executor, in all counts, and to rounding
        in means and variances.

    Raises
    ------
    InputError
        If there is no data, or its batches differ in structure.
    Exception
        Whatever the model or the data raises, with what was gathered before as its ``statistics``.

    Notes
    -----
    Means and variances are those of each batch, computed in two steps, merged by the formulae of Chan, Golub and
    LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
    Memory does not grow with the data.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> found = statistics(example_model(), np.ones((100, 1, 8, 8)))
    >>> found["conv1"].count, found["conv1"].channels.mean.shape
    (14400, (4,))
    """
    network = wrap(model)
    network.select(layers)
    if executor is not None and not hasattr(executor, "submit"):
        raise InputError(
            f"executor={shown(executor)} has no submit(); give one such as concurrent.futures.ThreadPoolExecutor()"
        )
    if data is None:
        data = network.own_examples()
    gathered = Statistics({}, {}, 0)
    source = _checked(batches_of(data, progress=progress, what="statistics"))
    try:
        for part in (
            (_of_batch(network, batch, layers, every_value) for batch in source)
            if executor is None
            else _spread(network, source, layers, every_value, executor)
        ):
            gathered = gathered.merge(part)
    except Exception as error:
        error.statistics = gathered  # type: ignore[attr-defined]
        error.add_note(
            f"netviz: the statistics of the {gathered.batch_count:,} batches before are in .statistics"
        )
        raise
    return gathered


def _checked(batches: Iterable[Any]) -> Iterator[Any]:
    """The inputs of each batch, all of one structure."""
    first: str | None = None
    for number, batch in enumerate(batches):
        inputs = inputs_of(batch)
        structure = structure_of(inputs)
        if first is None:
            first = structure
        if structure != first:
            raise InputError(f"batch {number} of the data is {structure}; the first was {first}")
        yield inputs


def _of_batch(network: Network, inputs: Any, layers: LayerSelection, every_value: bool) -> Statistics:
    network.prepare(inputs)
    most = None if every_value else HISTOGRAM_SAMPLE
    recorder = SummaryRecorder(
        network.select(layers),
        lambda activation: summarised(activation, every_value),
        partial(LayerStatistics.begun, most=most),
    )
    network.adapter.run(network.native, inputs, recorder)
    captured = Capture(network.backend, recorder)
    found = {key: recorder.summary_of(slot) for key, slot in captured.slots().items()}
    return Statistics(found, captured.coverage, 1)


def summarised(activation: Activation, every_value: bool = False) -> LayerStatistics:
    """The statistics of one activation."""
    most = None if every_value else HISTOGRAM_SAMPLE
    return LayerStatistics.of(activation.values, activation.axes, most=most)


def _spread(
    network: Network, source: Iterator[Any], layers: LayerSelection, every_value: bool, executor: Executor
) -> Iterator[Statistics]:
    """The statistics of shards, in order; a few more shards are under way than are waited for."""
    try:
        model = pickle.dumps((network.native, layers))
    except Exception as error:
        raise InputError(
            f"the model, or layers={shown(layers)}, cannot be pickled to be sent to other workers: {error}; leave "
            f"executor= out"
        ) from error
    waiting: deque[Future[Statistics]] = deque()
    most = 2 * getattr(executor, "_max_workers", 2)
    try:
        while shard := list(islice(source, _BATCHES_PER_SHARD)):
            waiting.append(executor.submit(_of_shard, model, shard, every_value))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _of_shard(pickled: bytes, shard: Sequence[Any], every_value: bool) -> Statistics:
    """Runs in a worker, on its own copy of the model."""
    model, layers = pickle.loads(pickled)
    network = wrap(model)
    return reduce(Statistics.merge, (_of_batch(network, batch, layers, every_value) for batch in shard))

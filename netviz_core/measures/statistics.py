"""Statistics of what layers return over a whole data set, in one pass and in little memory."""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, reduce
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..captures.batches import batches_of, inputs_of, structure_of
from ..captures.capture import Capture
from ..captures.recorder import SummaryRecorder
from ..models.network import Network, wrap
from ..views.histogram import Histogram, HistogramRows, even_edges
from ..views.measures import LayerMeasures
from ..words.arrays import Activation
from ..words.errors import FileFormatError, InputError, LayerNotFoundError, nearest
from ..words.observations import Coverage
from ..words.protocols import LayerSelection
from ..words.whole_files import replace_file
from .moments import bin_edges, leading_bits_counts, quantiles_of, rebinned
from .reductions import by_channel, in_memory_order

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from pathlib import Path

Array = np.ndarray[Any, Any]

DETAIL = 4
"""Each power of two is cut into so many bins, as a power of two; see `netviz_core.measures.moments.bin_edges`."""

EDGES: Array = bin_edges(DETAIL)
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
HISTOGRAM_SAMPLE = 2**15
"""How many values of a layer and batch go into a histogram, unless all are asked for."""

_FORMAT = "netviz statistics 1"
_BATCHES_PER_SHARD = 8


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """The same numbers for each channel by itself; arrays of shape ``(channel,)``.

    Parameters
    ----------
    count, zero_count, nonfinite_count, nan_count : numpy.ndarray
        int64; NaN are among those that are not finite.
    mean, variance, minimum, maximum : numpy.ndarray
        float64, of the finite values; NaN where there are none. The variance is that of the population.
    """

    count: Array
    mean: Array
    variance: Array
    minimum: Array
    maximum: Array
    zero_count: Array
    nonfinite_count: Array
    nan_count: Array

    def merge(self, other: ChannelStatistics) -> ChannelStatistics:
        """Those of both together, by the formulae of Chan, Golub and LeVeque (1979)."""
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros(len(count)), where=count > 0)
        mine, theirs = (
            [np.where(part.count > 0, values, 0.0) for values in (part.mean, part.variance)]
            for part in (self, other)
        )
        with np.errstate(over="ignore", invalid="ignore"):  # of values near the largest that there are
            distance = theirs[0] - mine[0]
            mean = mine[0] + distance * share
            variance = mine[1] * (1 - share) + theirs[1] * share + distance**2 * share * (1 - share)
        known = count > 0
        return ChannelStatistics(
            count,
            np.where(known, mean, np.nan),
            np.where(known, variance, np.nan),
            np.fmin(self.minimum, other.minimum),
            np.fmax(self.maximum, other.maximum),
            self.zero_count + other.zero_count,
            self.nonfinite_count + other.nonfinite_count,
            self.nan_count + other.nan_count,
        )

    def over_all(self) -> ChannelStatistics:
        """All channels as one."""
        return _merged_at_once(self)


def _merged_at_once(rows: ChannelStatistics, axis: int = -1) -> ChannelStatistics:
    """Merge along one axis: the mean of means, and within and between variances."""
    count = rows.count.sum(axis=axis, keepdims=True)
    weights = np.divide(rows.count, count, out=np.zeros(rows.count.shape), where=count > 0)
    known = rows.count > 0
    mean = np.where(known, weights * rows.mean, 0.0).sum(axis=axis, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):  # of values near the largest that there are
        spread = np.where(known, weights * (rows.variance + (rows.mean - mean) ** 2), 0.0)
    empty = count == 0
    return ChannelStatistics(
        count,
        np.where(empty, np.nan, mean),
        np.where(empty, np.nan, spread.sum(axis=axis, keepdims=True)),
        np.fmin.reduce(rows.minimum, axis=axis, keepdims=True, initial=np.nan),
        np.fmax.reduce(rows.maximum, axis=axis, keepdims=True, initial=np.nan),
        rows.zero_count.sum(axis=axis, keepdims=True),
        rows.nonfinite_count.sum(axis=axis, keepdims=True),
        rows.nan_count.sum(axis=axis, keepdims=True),
    )


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What is known of the values of one layer, after all of them have gone by.

    Parameters
    ----------
    histogram : numpy.ndarray
        How many values lay in each bin of `netviz_core.measures.statistics.EDGES`, int64: of an even sample of each
        batch, unless all were asked for.
    channels : ChannelStatistics
        For each channel; for values without an axis ``channel``, of one that has them all.
    """

    histogram: Array
    channels: ChannelStatistics

    @cached_property
    def _whole(self) -> ChannelStatistics:
        return self.channels.over_all()

    @property
    def count(self) -> int:
        """How many finite values there were."""
        return int(self._whole.count[0])

    @property
    def mean(self) -> float:
        """Of the finite values."""
        return float(self._whole.mean[0])

    @property
    def variance(self) -> float:
        """Of the finite values, as a population."""
        return float(self._whole.variance[0])

    @property
    def std(self) -> float:
        """The root of `variance`."""
        return float(np.sqrt(self.variance))

    @property
    def minimum(self) -> float:
        """The smallest finite value."""
        return float(self._whole.minimum[0])

    @property
    def maximum(self) -> float:
        """The largest finite value."""
        return float(self._whole.maximum[0])

    @property
    def zero_count(self) -> int:
        """How many values were exactly zero."""
        return int(self._whole.zero_count[0])

    @property
    def nonfinite_count(self) -> int:
        """How many values were NaN or infinite."""
        return int(self._whole.nonfinite_count[0])

    @property
    def nan_count(self) -> int:
        """How many values were NaN."""
        return int(self._whole.nan_count[0])

    @property
    def inf_count(self) -> int:
        """How many values were infinite, of either sign."""
        return self.nonfinite_count - self.nan_count

    @property
    def _edges(self) -> Array:
        """`EDGES` without what lies beyond the smallest and the largest value."""
        return np.clip(EDGES, self.minimum, self.maximum) if self.count else EDGES

    def counts_between(self, edges: Array) -> Array:
        """How many values of the histogram lie in other bins; within a bin they count as evenly spread."""
        return rebinned(self.histogram, self._edges, edges)

    @property
    def quantiles(self) -> dict[float, float]:
        """Quantiles by their share: those of 0, 1, 5, 25, 50, 75, 95, 99 and 100 per cent."""
        return {share: self.quantile(share) for share in QUANTILES}

    def quantile(self, share: float) -> float:
        """The value below which a share of all values lies, from the histogram.

        Within a bin values count as even: the error is at most a bin's width, 1/16 of the value.
        """
        if not 0 <= share <= 1:
            raise InputError(f"there is no quantile {share}; give a share from 0 to 1")
        if share in (0, 1):  # of every value, where the histogram is of a sample
            return self.maximum if share else self.minimum
        edges = self._edges.copy()
        middle = len(self.histogram) // 2
        edges[middle : middle + 2] = np.clip(0.0, edges[middle], edges[middle + 1])
        return quantiles_of(self.histogram, edges, share)

    def merge(self, other: LayerStatistics) -> LayerStatistics:
        """Those of both together."""
        if len(self.channels.count) != len(other.channels.count):
            raise InputError(
                f"statistics of {len(self.channels.count)} and of {len(other.channels.count)} channels cannot be merged"
            )
        return LayerStatistics(self.histogram + other.histogram, self.channels.merge(other.channels))


class Statistics(Mapping[str, LayerStatistics]):
    """Statistics by the key that each value has in a `Capture`; made by `statistics`."""

    def __init__(
        self, layers: Mapping[str, LayerStatistics], coverage: Mapping[str, Coverage], batch_count: int
    ) -> None:
        self._layers = dict(layers)
        self.coverage = dict(coverage)
        """What became of every layer asked for."""
        self.batch_count = batch_count
        """How many batches were read."""

    def __getitem__(self, key: str) -> LayerStatistics:
        if key not in self._layers:
            raise LayerNotFoundError(
                f"there are no statistics of {key!r}; {nearest(key, self._layers) or 'there are none'}"
            )
        return self._layers[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __repr__(self) -> str:
        return f"<Statistics of {len(self)} values over {self.batch_count:,} batches>"

    def merge(self, other: Statistics) -> Statistics:
        """Those of both data sets together; in any order, to rounding.

        Raises
        ------
        InputError
            If they are not of the same layers.
        """
        if not self.batch_count or not other.batch_count:
            return self if self.batch_count else other
        if self.keys() != other.keys():
            differing = sorted(self.keys() ^ other.keys())
            raise InputError(
                f"statistics of different layers cannot be merged: only one of them has {differing[0]!r}"
            )
        merged = {key: self[key].merge(other[key]) for key in self}
        return Statistics(merged, {**other.coverage, **self.coverage}, self.batch_count + other.batch_count)

    def histogram(self, key: str, bins: int = 50) -> Histogram:
        """The histogram of one layer, in bins of equal width, as a view."""
        return _histogram(key, self[key], bins)

    def histograms(self, keys: Sequence[str] | None = None, bins: int = 50) -> HistogramRows:
        """The histograms of layers below each other, on one scale that holds 99.8 per cent of each."""
        chosen = list(self) if keys is None else list(keys)
        layers = [self[key] for key in chosen]
        ranges = [(layer.quantile(0.001), layer.quantile(0.999)) for layer in layers if layer.count]
        low, high = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (0.0, 1.0)
        edges = even_edges(low, high, bins)
        counts = np.stack([layer.counts_between(edges) for layer in layers])
        return HistogramRows(
            title=f"activations of {len(chosen)} layers",
            labels=tuple(chosen),
            counts=counts,
            edges=edges,
            nan_counts=np.array([layer.nan_count for layer in layers]),
            inf_counts=np.array([layer.inf_count for layer in layers]),
            outside_counts=np.array([layer.histogram.sum() for layer in layers]) - counts.sum(axis=1),
            value_label="activation",
        )

    def heatmap(self, keys: Sequence[str] | None = None) -> LayerMeasures:
        """Mean, spread, extremes, and the shares of zeros and of what is not finite, layer by layer."""
        chosen = list(self) if keys is None else list(keys)
        values = [_measured(self[key]) for key in chosen]
        return LayerMeasures(
            title=f"statistics of {len(chosen)} layers",
            layers=tuple(chosen),
            measures=("mean", "std", "minimum", "maximum", "zeros", "non-finite"),
            values=np.array(values, np.float64).reshape(-1, 6),
            marked=tuple(self[key].nonfinite_count > 0 for key in chosen),
        )

    def save(self, path: str | Path) -> None:
        """Write the statistics to exactly `path`, in NumPy's npz format; a file that exists is replaced.

        Raises
        ------
        OSError
            If it cannot be written; a file that was there stays as it was.
        """
        header = {
            "format": _FORMAT,
            "keys": list(self),
            "batch_count": self.batch_count,
            "coverage": {key: [entry.status, entry.reason] for key, entry in self.coverage.items()},
        }
        arrays = {"header": np.array(json.dumps(header))}
        for number, layer in enumerate(self.values()):
            arrays[f"{number} histogram"] = layer.histogram
            for field in fields(layer.channels):
                arrays[f"{number} {field.name}"] = getattr(layer.channels, field.name)
        written = io.BytesIO()
        np.savez_compressed(written, allow_pickle=False, **arrays)
        replace_file(path, lambda unfinished: unfinished.write_bytes(written.getvalue()))


def load_statistics(path: str | Path) -> Statistics:
    """Read what `Statistics.save` wrote; no framework is needed, and no code is run.

    Raises
    ------
    FileFormatError
        If the file is none.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(str(arrays["header"]))
            if header["format"] != _FORMAT:
                raise KeyError(header["format"])
            layers = {
                key: LayerStatistics(
                    arrays[f"{number} histogram"],
                    ChannelStatistics(*(arrays[f"{number} {f.name}"] for f in fields(ChannelStatistics))),
                )
                for number, key in enumerate(header["keys"])
            }
            coverage = {key: Coverage(*entry) for key, entry in header["coverage"].items()}
            return Statistics(layers, coverage, header["batch_count"])
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{str(path)!r} holds no statistics that netviz wrote: {error}") from error


def statistics(
    model: Any,
    batches: Any = None,
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
    batches : iterable of batches, or array, optional
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
    if batches is None:
        batches = network.own_examples()
    gathered = Statistics({}, {}, 0)
    source = _checked(batches_of(batches, progress=progress, what="statistics"))
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
    recorder = SummaryRecorder(network.select(layers), lambda activation: summarised(activation, every_value))
    network.adapter.run(network.native, inputs, recorder)
    captured = Capture(network.backend, recorder)
    found = {key: recorder.summary_of(slot) for key, slot in captured.slots().items()}
    return Statistics(found, captured.coverage, 1)


def summarised(activation: Activation, every_value: bool = False) -> LayerStatistics:
    """The statistics of one activation."""
    values = activation.values
    if np.iscomplexobj(values):
        values = np.abs(values)
    channels = ChannelStatistics(*by_channel(values, activation.axes))
    is_large = values.size > HISTOGRAM_SAMPLE and not every_value
    sampled = (_evenly(values) if is_large else values).reshape(-1)
    finite = sampled[np.isfinite(sampled)] if channels.nonfinite_count.any() else sampled
    return LayerStatistics(leading_bits_counts(finite, DETAIL), channels)


def _evenly(values: Array) -> Array:
    """An even sample; its stride has nothing in common with any length, so that no channel or place is passed over."""
    as_they_lie = values.transpose(in_memory_order(values)).reshape(-1)
    stride = -(-values.size // HISTOGRAM_SAMPLE)
    while math.gcd(stride, values.size) > 1:
        stride += 1
    return as_they_lie[::stride]


def _spread(
    network: Network, source: Iterator[Any], layers: LayerSelection, every_value: bool, executor: Executor
) -> Iterator[Statistics]:
    """The statistics of shards, in order; a few more shards are under way than are waited for."""
    try:
        model = pickle.dumps((network.native, layers))
    except Exception as error:
        raise InputError(
            f"the model, or layers={layers!r}, cannot be pickled to be sent to other workers: {error}; leave "
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


def _measured(layer: LayerStatistics) -> tuple[float, ...]:
    total = max(layer.count + layer.nonfinite_count, 1)
    shares = layer.zero_count / total, layer.nonfinite_count / total
    return layer.mean, layer.std, layer.minimum, layer.maximum, *shares


def _histogram(key: str, layer: LayerStatistics, bins: int) -> Histogram:
    low, high = (0.0, 1.0) if not layer.count else (layer.minimum, layer.maximum)
    edges = even_edges(low, high, bins)
    counted = int(layer.histogram.sum())
    sample = f", a sample of {counted:,}" if counted < layer.count else ""
    return Histogram(
        title=f"{key or 'output'} · {layer.count:,} values{sample}",
        counts=layer.counts_between(edges),
        edges=edges,
        mean=layer.mean,
        std=layer.std,
        minimum=layer.minimum,
        maximum=layer.maximum,
        nan_count=layer.nan_count,
        inf_count=layer.inf_count,
        value_label="activation",
    )

"""The examples that a model got most wrong."""

from __future__ import annotations

import heapq
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..captures.batches import as_numbers, batches_of, kept, labelled, part, size_of
from ..models.network import Network, wrap
from ..views.base import of_source
from ..views.overlays import Overlays, padded, told_of_flat, without_contrast
from ..words.arguments import require_fitting
from ..words.arrays import as_float64
from ..words.cards import MOST_ROWS, NUMBER, TEXT, Record, Told, details, listed, table
from ..words.errors import InputError, NetvizError, as_integer
from ..words.given import is_array
from ..words.ranges import digits
from ..words.structure import leaves
from ..words.text_tables import counted, laid_out, printable
from .cam import activation_map
from .cam_methods import WITH_GRADIENTS, require_method
from .following import input_images
from .losses import Verdict, losses_of, require_names_fit, verdicts
from .questions import Question, class_names, leaf_called, score_of

Array = np.ndarray[Any, Any]

_SHOWN_FEATURES = 8


@dataclass(frozen=True, repr=False)
class LossRow(Record):
    """One example, and what the model made of it.

    Parameters
    ----------
    index : int
        Its place in the data, from 0.
    loss : float
    prediction, actual : str
        Names of classes, or numbers.
    probability : float or None
        What the model gave the actual class; None where it gives no probabilities.
    text : str
        The example in words, where it is no image: a text, or the columns of a row.
    """

    index: int
    loss: float
    prediction: str
    actual: str
    probability: float | None
    text: str = ""


_MOST_CONFUSED = 8


@dataclass(frozen=True, eq=False, repr=False)
class TopLosses(Overlays):
    """The examples with the highest loss; made by `top_losses`.

    Parameters
    ----------
    title, images, heat, captions, value_label
        As for `Overlays`; without images, `rows` are drawn as a table.
    rows : tuple of LossRow
        The highest loss first.
    count : int
        How many examples there were.
    confusions : tuple of (actual, prediction, count)
        Pairs of classes that were confused, the most frequent first.
    """

    rows: tuple[LossRow, ...]
    count: int
    confusions: tuple[tuple[str, str, int], ...]

    def __str__(self) -> str:
        rows = [
            (str(row.index), f"{row.loss:.4g}", printable(row.prediction), printable(row.actual))
            for row in self.rows
        ]
        lines = laid_out(("sample", "loss", "predicted", "actual"), (True, True, False, False), rows)
        confused = [
            f"{count:,} × {printable(actual)} taken for {printable(prediction)}"
            for actual, prediction, count in self.confusions[:_MOST_CONFUSED]
        ]
        if (more := len(self.confusions) - _MOST_CONFUSED) > 0:
            confused.append(f"and {more:,} more pairs of classes")
        return "\n".join(
            [f"the {len(rows)} highest losses of {counted(self.count, 'sample')}", *lines, *confused]
        )

    def _told(self) -> Told:
        worst = f": {digits(self.rows[0].loss)} to {digits(self.rows[-1].loss)}" if self.rows else ""
        confused = [
            f"{count:,} × {actual} taken for {prediction}" for actual, prediction, count in self.confusions
        ]
        most = f"; most confused: {confused[0]}" if confused else ""
        columns = {"sample": NUMBER, "loss": NUMBER, "predicted": TEXT, "actual": TEXT, "probability": NUMBER}
        return Told(
            f"The {len(self.rows)} highest losses of {counted(self.count, 'sample')}{worst}{most}",
            [
                details("sample by sample", table(columns, self.rows, _cells)),
                details("classes that were confused", listed(confused[:MOST_ROWS])),
            ],
        )


def _cells(row: LossRow) -> list[str]:
    given = "" if row.probability is None else f"{row.probability:.1%}"
    return [f"{row.index:,}", digits(row.loss), row.prediction, row.actual, given]


class _Held(NamedTuple):
    """An example that is among the worst so far; ordered by its loss, the earlier of two equal ones above."""

    rank: float
    order: int
    loss: float
    verdict: Verdict
    reads: str
    inputs: Any

    def how_read(self, leaf: str) -> str:
        """How the loss reads the one part of the output that it is of."""
        return self.reads


def top_losses(
    model: Any,
    k: int = 9,
    data: Any = None,
    loss: Any = None,
    heatmap: bool = True,
    *,
    layer: str | None = None,
    method: str = "grad-cam",
    output: str | None = None,
    names: Sequence[str] | None = None,
    progress: bool = True,
) -> TopLosses:
    """Find the examples that a model gets most wrong, and show what it looked at.

    Parameters
    ----------
    model : native model, fastai Learner, path, or Network
    k : int
        How many examples.
    data : iterable of batches, or tuple of arrays, optional
        Pairs of inputs and targets, or mappings with ``labels``: a DataLoader, a ``tf.data.Dataset``, a
        Keras ``PyDataset``, a generator, or ``(x, y)``. By default the model's own validation data.
    loss : str, native loss or callable, optional
        ``cross_entropy`` (of scores or probabilities), ``binary_cross_entropy`` (of probabilities),
        ``binary_cross_entropy_with_logits``, ``mean_squared_error``, ``mean_absolute_error``, a loss of the
        framework, or a function of output and targets that gives a loss for each sample. By default
        the model's own, where it has one.
    heatmap : bool
        Lay the class activation map of the predicted class over each image; where it is not one class that
        is predicted, that of the highest output: of several labels the most probable one, of scores for each
        pixel the class of most pixels, of a single number that number.
    layer, method
        Of the map, as for `cam`.
    output : str, optional
        Which part of a structured output has the scores, such as ``"logits"``; of targets and losses that are
        given for each output, those of the same name or place are taken.
    names : sequence of str, optional
        Of the classes; by default those that the model knows.
    progress : bool
        Show a progress bar where there is a terminal or notebook.

    Returns
    -------
    TopLosses
        With the highest loss first; a loss that is NaN counts as the highest.

    Raises
    ------
    InputError
        If there is no data, no targets, or no loss, or `names` are not as many as the classes.

    Warns
    -----
    UserWarning
        If there are images and a map was wanted, and none could be made.

    Notes
    -----
    The data is read once, in evaluation mode; only `k` examples are held in memory.
    Why the arguments come in this order: see `netviz_core.attributions`.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> x, y = np.random.default_rng(0).normal(size=(20, 1, 8, 8)), np.arange(20) % 10
    >>> worst = top_losses(example_model(), 3, (x, y), "cross_entropy")
    >>> len(worst.rows), worst.count, worst.heat.shape
    (3, 20, (3, 8, 8))
    """
    given = {"model": model, "k": k, "data": data}
    require_fitting("top_losses", given, "k", _is_count, "k is a whole number of examples")
    if as_integer(k, "k") < 1:
        raise InputError(f"k={k} examples leave nothing to show; give a positive number")
    network = wrap(model)
    require_method(method)
    if layer is not None:
        network[layer]
    given_names, names = names, names if names is not None else class_names(network)
    held: list[_Held] = []
    confused: Counter[tuple[str, str]] = Counter()
    count = 0
    data = network.own_examples() if data is None else data
    for number, batch in enumerate(batches_of(data, progress=progress, what="losses")):
        inputs, targets = labelled(batch, number)
        reads, judged = _judged(network, inputs, targets, loss, output, names, given_names is not None)
        for place, (value, verdict) in enumerate(judged):
            if verdict.is_right is False:
                confused[verdict.actual, verdict.prediction] += 1
            rank = math.inf if math.isnan(value) else value
            if len(held) < k or (rank, -count) > held[0][:2]:
                sample = kept(part(inputs, place, place + 1))
                push = heapq.heappush if len(held) < k else heapq.heappushpop
                push(held, _Held(rank, -count, value, verdict, reads, sample))
            count += 1
    worst = sorted(held, reverse=True, key=lambda entry: entry[:2])
    rows = tuple(_row(network, entry) for entry in worst)
    asked = [
        Question(entry.verdict.predicted, None, leaf_called(network, output), None, entry.how_read)
        for entry in worst
    ]
    images, heat, flat = _pictures(network, worst, heatmap, layer, method, asked)
    remarks = f"the {len(rows)} worst of {count:,}", told_of_flat(flat)
    made = TopLosses(
        title=" · ".join(filter(None, (_told(rows), *remarks))),
        images=images,
        heat=heat,
        captions=tuple(f"{_caption(row)}\n{remark}".strip() for row, remark in zip(rows, flat, strict=True)),
        value_label=_label(method, worst, asked),
        rows=rows,
        count=count,
        confusions=tuple((actual, found, times) for (actual, found), times in confused.most_common()),
    )
    return of_source(network.backend, made)


def _is_count(value: Any) -> bool:
    return hasattr(value, "__index__") and not getattr(value, "shape", ())


def _judged(
    network: Network,
    inputs: Any,
    targets: Any,
    loss: Any,
    output: str | None,
    names: Sequence[str] | None,
    are_given: bool,
) -> tuple[str, Iterable[tuple[float, Verdict]]]:
    """How the loss reads the output, and the loss and the verdict of each sample of a batch."""
    whole = network.adapter.run(network.native, inputs)
    returned, targets, loss = _of_output(network, whole, targets, loss, output)
    reading = losses_of(network, loss, returned, targets)
    losses = np.asarray(reading.values, np.float64).reshape(-1)
    if len(losses) != size_of(inputs):
        raise InputError(
            f"the loss gave {len(losses)} values for {size_of(inputs)} samples; it must give one for each "
            f"(in PyTorch and Keras: reduction='none')"
        )
    if not is_array(returned) or isinstance(targets, Mapping):
        return reading.reads, [(value, Verdict("", "", None)) for value in losses.tolist()]
    scores, wanted = as_float64(as_numbers(returned)), as_numbers(targets)
    if names is not None and are_given:
        require_names_fit(names, reading.reads, scores)
    return reading.reads, list(
        zip(losses.tolist(), verdicts(reading.reads, scores, wanted, names), strict=True)
    )


def _of_output(
    network: Network, whole: Any, targets: Any, loss: Any, output: str | None
) -> tuple[Any, Any, Any]:
    """The part of what a model returned that is asked for, and the targets and the loss of that part."""
    parts = dict(leaves(whole, is_array))
    if not parts:
        return whole, targets, loss
    leaf, returned = score_of(parts, leaf_called(network, output))
    if output is None:
        return returned, targets, loss
    place, count = list(parts).index(leaf), len(parts)
    if loss is None and hasattr(network.adapter, "own_losses"):
        own = network.adapter.own_losses(network.native)
        loss = (
            _belonging(own, output, leaf, place, count) if isinstance(own, (Mapping, list, tuple)) else None
        )
    return (
        returned,
        _belonging(targets, output, leaf, place, count),
        _belonging(loss, output, leaf, place, count),
    )


def _belonging(given: Any, name: str, leaf: str, place: int, count: int) -> Any:
    """What belongs to one output of several, of what was given for each of them by name or in order."""
    if isinstance(given, Mapping):
        return next((given[key] for key in (name, leaf) if key in given), given)
    if isinstance(given, (list, tuple)) and count > 1 and len(given) == count:
        return given[place]
    return given


def _row(network: Network, entry: _Held) -> LossRow:
    verdict = entry.verdict
    text = _described(network, entry.inputs)
    return LossRow(-entry.order, entry.loss, verdict.prediction, verdict.actual, verdict.probability, text)


def _described(network: Network, inputs: Any) -> str:
    """An example in words; empty for an image."""
    if hasattr(network.adapter, "describe"):
        lines = network.adapter.describe(network.native, inputs)
        if lines is not None:
            return str(lines[0])
    arrays = [array for _, array in leaves(inputs, is_array)]
    if input_images(network, inputs) is not None or any(len(array.shape) > 2 for array in arrays):
        return ""
    shown = np.concatenate([np.asarray(as_numbers(array)).reshape(-1) for array in arrays])
    rest = ", …" if len(shown) > _SHOWN_FEATURES else ""
    return ", ".join(f"{value:.4g}" for value in shown[:_SHOWN_FEATURES]) + rest


def _caption(row: LossRow) -> str:
    classes = f"{row.prediction} / {row.actual}\n" if row.prediction or row.actual else ""
    share = "" if row.probability is None else f" / {row.probability:.2f}"
    return f"{classes}{row.loss:.2f}{share}"


def _told(rows: Sequence[LossRow]) -> str:
    """What the captions have of each example."""
    has_names = any(row.prediction or row.actual for row in rows)
    has_shares = any(row.probability is not None for row in rows)
    return "prediction / actual / " * has_names + "loss" + " / probability" * has_shares


def _label(method: str, worst: Sequence[_Held], asked: Sequence[Question]) -> str:
    """What the heat is: of the predicted class, or, where it is not one, of what the model gives most of."""
    label = "Grad-CAM" if method == "grad-cam" else method
    is_of_class = any(entry.verdict.predicted is not None for entry in worst)
    if method in WITH_GRADIENTS and any(ask.is_of_probability for ask in asked):
        return f"{label} of the probability, which all classes decide"
    return label if is_of_class else f"{label} of the highest output"


def _pictures(
    network: Network,
    worst: Sequence[_Held],
    heatmap: bool,
    layer: str | None,
    method: str,
    asked: Sequence[Question],
) -> tuple[Array | None, Array | None, list[str]]:
    """The images of the examples, and the maps over them, brought to one size; and which maps tell nothing."""
    nothing = [""] * len(worst)
    images = [input_images(network, entry.inputs) for entry in worst]
    if any(image is None for image in images):
        return None, None, nothing
    pictures = padded([image for image in images if image is not None], 1.0)
    if not heatmap:
        return pictures, None, nothing
    try:
        views = [
            activation_map(network, entry.inputs, layer, ask, method)
            for entry, ask in zip(worst, asked, strict=True)
        ]
        for view in views:
            if len(view.heat) > 1 or view.images is None:
                raise InputError(f"layer {view.layer!r} does not look at the image shown, or at others too")
    except NetvizError as error:
        warnings.warn(f"no maps are laid over the images: {error}", stacklevel=3)
        return pictures, None, nothing
    flat = without_contrast([view.maps[0] for view in views])
    return pictures, padded([view.heat for view in views], 0.0), flat

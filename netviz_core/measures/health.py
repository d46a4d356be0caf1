"""Whether a model is healthy: where a value stopped being finite, what is dead, saturated, vanishing or exploding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..captures.batches import batches_of, inputs_of, labelled, size_of
from ..models.network import Network, wrap
from ..views.base import of_source
from ..words.errors import InputError, UnsupportedError
from ..words.given import shown
from ..words.observations import Coverage, CoverageByPath
from ..words.protocols import LayerSelection
from .health_findings import Trouble, blamed, root_mean, row_of, with_gradients_judged
from .health_pass import Samples, Seen, look, look_back
from .health_view import MEASURES, Health, HealthRow, Thresholds


def health(
    model: Any,
    x: Any = None,
    layers: LayerSelection = "*",
    *,
    data: Any = None,
    targets: Any = None,
    loss: str | None = None,
    output: str | None = None,
    thresholds: Thresholds | None = None,
    progress: bool = True,
) -> Health:
    """See which layers are not healthy: not finite, near overflow, dead, saturated, constant, without gradients.

    Parameters
    ----------
    model : native model, fastai Learner, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        One batch; by default one of the model's own data, where it comes with some.
    layers : str, list of str, or callable
        Which layers get a row; the first value that is not finite is looked for in all.
    data : iterable of batches, optional
        In the place of `x`: a whole data set, over which units are dead or not. With a loss, of pairs of
        inputs and targets.
    targets : array, optional
        What the model should return for `x`, for the loss.
    loss : {"cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error"}, optional
        Look at the gradients of this loss, too.
    output : str, optional
        Which part of a structured output the loss is of.
    thresholds : Thresholds, optional
    progress : bool
        Show a progress bar over `data`, where there is a terminal or notebook.

    Returns
    -------
    Health

    Raises
    ------
    InputError
        If there is no input, or a loss without targets.
    UnsupportedError
        If a loss is asked for and the backend has no gradients.

    Notes
    -----
    A layer makes a value that is not finite if what it was given, and its weights, are finite, and what it returns
    is not; a container does so if none of the layers within did. Negative infinity alone, as masks of
    attention have it, is no alarm, unless a NaN comes of it.

    Gradients that explode while all batch norms still have the statistics that they start with, as before a
    training, are a warning: in evaluation mode, nothing is normalised with these.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> model = example_model()
    >>> model.layers["conv1"].parameters["kernel"][0, 0, 0, 0] = np.nan
    >>> found = health(model, np.ones((2, 1, 8, 8)))
    >>> found.first_nonfinite, found.cause
    ('conv1', "layer 'conv1' holds 1 NaN in its weight 'kernel'")
    """
    network = wrap(model)
    limits = thresholds or Thresholds()
    chosen = {layer.path for layer in network.select(layers)}
    if loss is None and (targets is not None or output is not None):
        raise InputError(
            "targets= and output= are for the gradients of a loss, and none was given; give loss="
        )
    seen: dict[str, Seen] = {}
    at_output: list[float] = []
    coverage: dict[str, Coverage] = {}
    samples, trouble = Samples(), Trouble(network)
    for inputs, wanted in _batches(network, x, data, targets, loss, progress):
        samples.count += size_of(inputs)
        trouble.look_at(look(network, inputs, seen, chosen, samples, coverage))
        if loss is not None:
            at_output += look_back(network, inputs, wanted, loss, output, seen, chosen)
    if not samples.count:
        raise InputError("there is no sample in what was given; give at least one")
    trouble.look_at_weights()
    known = network.layers
    rows = [row_of(known[path], part, samples, limits) for path, part in seen.items()]
    if at_output:
        rows = with_gradients_judged(network, rows, root_mean(at_output), limits)
    if trouble.made_by is not None:
        rows = [blamed(row, trouble) for row in rows]
    coverage = CoverageByPath(
        (path, entry)
        for path, entry in coverage.items()
        if path in chosen and (path in seen or known[path].kind != "container")
    )
    values = np.array([row.measured for row in rows], np.float64).reshape(-1, len(MEASURES))
    asked = [column for column in range(len(MEASURES)) if not np.isnan(values[:, column]).all()]
    made = Health(
        title=_title(rows, samples.count, coverage),
        layers=tuple(row.path for row in rows),
        measures=tuple(MEASURES[column] for column in asked),
        values=values[:, asked],
        marked=tuple(row.status == "alarm" for row in rows),
        findings=tuple(row.finding for row in rows),
        rows=tuple(rows),
        first_nonfinite=trouble.made_by,
        cause=trouble.cause,
        sample_count=samples.count,
        thresholds=limits,
        coverage=coverage,
    )
    return of_source(network.backend, made)


def _title(rows: Sequence[HealthRow], samples: int, coverage: Mapping[str, Coverage]) -> str:
    counted = Counter(row.status for row in rows)
    counted["not seen"] = sum(entry.status != "captured" for entry in coverage.values())
    words = {"alarm": "alarms", "warning": "warnings", "not seen": "not seen"}
    told = (
        f" · {counted[what]:,} {word if counted[what] > 1 else what}"
        for what, word in words.items()
        if counted[what]
    )
    return f"health · {len(rows)} layers, {samples:,} samples{''.join(told)}"


def _batches(
    network: Network, x: Any, data: Any, targets: Any, loss: str | None, progress: bool
) -> Iterable[tuple[Any, Any]]:
    if loss is not None and not hasattr(network.adapter, "gradients"):
        raise UnsupportedError(f"the {network.backend} backend has no gradients; leave loss= out")
    if data is not None and (x is not None or targets is not None):
        raise InputError("data= stands in the place of x and targets; give either, not both")
    if data is None:
        if loss is not None and targets is None:
            raise InputError(f"loss={shown(loss)} needs to know what the model should return; give targets=")
        yield network.input_or_example(x), targets
        return
    for number, batch in enumerate(batches_of(data, progress=progress, what="health")):
        yield labelled(batch, number) if loss is not None else (inputs_of(batch), None)

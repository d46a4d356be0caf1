"""Lays two models side by side: runs them, pairs their layers, judges the pairs, and asks for causes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..captures.recorder import DEFAULT_MAX_BYTES
from ..graphs.data_flow import graph
from ..models.alignment import LayerMapping
from ..models.checkpoint import Checkpoint
from ..words.errors import InputError, NetvizError
from ..words.given import shown
from ..words.progress import step, steps
from ..words.text_tables import counted, described, flattened
from .explaining.causes import Cause, causes_of_weights
from .explaining.determinism import nondeterministic
from .explaining.remarks import not_followed, remarks_on
from .inputs import sides_of
from .judging.ends import Ends, ends_of, seen_in_part
from .judging.faults import find_faults
from .judging.frames import frames_of
from .judging.gradients import compare_gradients, odd_gradient
from .judging.judging import Judge, returned_by
from .judging.places import Found, Place
from .judging.recomputed import as_recomputed
from .judging.statuses import set_statuses
from .judging.weights_alone import judged_by_weights
from .pairing.pairing import pair_up
from .sides import Side, told_apart
from .stations import Station
from .telling.findings import Fault, LayerPair
from .telling.places import (
    fault_at,
    metrics,
    pair_told,
    standing,
    suspicion_at,
    weights_at,
    without_doubtful,
)
from .telling.view import Comparison

Array = np.ndarray[Any, Any]


def compare(
    a: Any,
    b: Any,
    x: Any = None,
    mapping: LayerMapping | None = None,
    *,
    tolerance: float | None = None,
    loss: str | None = None,
    targets: Any = None,
    names: tuple[str, str] | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    graphs: bool = False,
    progress: bool = True,
) -> Comparison:
    """Lay two models side by side, layer by layer, and find where they differ, and why.

    Parameters
    ----------
    a, b : native model, path, Network, or Capture
        Of any frameworks. A capture needs no framework; one made with ``complete=True`` tells more. Of
        checkpoints, and of models without an input, the weights are compared; if there is an input, which was to
        be run, that is said, and they are not told to agree.
    x : AxisArray, array, or pair of inputs, optional
        What both see: `images(...)` or another `AxisArray` is laid out for each; any other array goes
        to both as it is. A tuple of two is one for each. Where both models come with data of their own (fastai
        Learners), by default a batch of a's.
    mapping : mapping from path to path, or callable, optional
        Pairs that you know: ``{path_a: path_b}``, names, or globs with one ``*`` on both sides; or a
        function of a's `Layer` that returns a path of b or None. What one layer does in one model and several do in
        the other, one after another, is named by a tuple: ``{path_a: (path_b, path_b)}``, or the reverse. The rest is
        paired as usual.
    tolerance : float, optional
        What |a − b| / (rms + |b|) may be; by default by dtype, see `LayerPair.tolerance`.
    loss : {"cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error"}, optional
        Compare the gradients of this loss, too.
    targets : array, optional
        What the models should return for `x`, for the loss.
    names : tuple of str, optional
        What reports and figures call the two, such as ``("original", "port")``; by default what tells them apart:
        their frameworks, the files that they are read from, or their classes.
    max_bytes : int
        How many bytes of values may be held for each model.
    graphs : bool
        Also trace the data flow of both, which `Comparison.to_html` then draws beside each other; costs a pass each.
    progress : bool
        Show what is being done where that takes more than two seconds, and there is a terminal or notebook.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If the two inputs do not go together, or nothing of the two models corresponds.
    LayerNotFoundError
        If `mapping` names a layer that is not there.

    Notes
    -----
    One pass of each model, in evaluation mode. Where what they return is not the same beyond doubt: a pass of b (or
    of a, if b is a capture) in which each layer is given, and hands on, what its partner did; one more with values
    moved by half a unit in the last place where rounding may explain what is seen; up to five in which layers are
    left to themselves, to tell another structure from a fault, in which only these and what stands between them need
    to run; and, unless all faults are explained by settings and weights, one of each, to see whether they differ
    from themselves. Of two captures nothing can be run again: of a complete one layers are recomputed instead, and
    `Comparison.as_far_as` says what could not be.

    Examples
    --------
    >>> import numpy as np
    >>> from netviz_core.testing import example_model
    >>> a, b = example_model(), example_model()
    >>> b.layers["dense1"].parameters["kernel"][3, 5] += 1
    >>> found = compare(a, b, np.random.default_rng(0).normal(size=(2, 1, 8, 8)))
    >>> found.first_divergence.path_b
    'dense1'
    """
    _require_tolerance(tolerance)
    _require_names(names)
    if loss is not None and targets is None:
        raise InputError(f"loss={shown(loss)} needs to know what the models should return; give targets=")
    if targets is not None and loss is None:
        raise InputError("targets are given, and no loss; say which with loss=, such as 'cross_entropy'")
    # Numbers that are not finite are told; arithmetic with them is no reason for a warning.
    with steps("compare", progress), np.errstate(all="ignore"):
        return _compared(a, b, x, mapping, tolerance, loss, targets, names, max_bytes, graphs)


def _compared(
    a: Any,
    b: Any,
    x: Any,
    mapping: LayerMapping | None,
    tolerance: float | None,
    loss: str | None,
    targets: Any,
    names: tuple[str, str] | None,
    max_bytes: int,
    graphs: bool,
) -> Comparison:
    side_a, side_b = sides_of(a, b, x, mapping, max_bytes)
    called = names or told_apart(side_a, side_b, (a, b))
    if not (side_a.can_be_rerun or side_b.can_be_rerun):
        side_a, side_b = as_recomputed(side_a), as_recomputed(side_b)
    step("pairing layers")
    if not side_a.stations or not side_b.stations:
        if loss is not None:
            raise InputError(f"loss={shown(loss)} needs models that run; give x, an input")
        alone = _of_weights(side_a, side_b, mapping, tolerance, called, tuple(_not_run(side_a, side_b, x)))
        return replace(alone, without_graphs="No graph is known, as nothing was run.") if graphs else alone
    pairs = pair_up(side_a, side_b, mapping)
    if not pairs:
        raise InputError(
            f"no layer of a corresponds to one of b: a runs {_some(side_a)}; b runs {_some(side_b)}; "
            f"pair them with mapping={{path_a: path_b}}"
        )
    step("comparing values and weights")
    judge = Judge(side_a, side_b, pairs, tolerance)
    judge.weigh()
    judge.frames = frames_of(side_a, side_b, pairs, mapping, tolerance)
    ends = ends_of(judge)
    judge.whole = ends.apart
    found = find_faults(judge)
    step("comparing gradients" if loss is not None else "telling what differs")
    untrained = compare_gradients(judge, loss, targets) if loss is not None else ()
    set_statuses(judge, found)
    odd = None if found.places else odd_gradient(judge)
    if odd is not None:
        found.places.append(Place(odd, backward=True))
    if not found.places and _tells_nothing(side_a):
        raise InputError(
            f"no number that the two models return is finite, so that nothing can be told: "
            f"{'; '.join(cause.text for cause in remarks_on(judge))}; give another input"
        )
    told = []
    for number, place in enumerate(found.places):
        step("looking for causes", number, len(found.places))
        told.append(fault_at(place, judge))
    own = standing(found.places, without_doubtful(told), judge)
    found.places, faults = [place for place, _ in own], tuple(fault for _, fault in own)
    heads = (Cause("", "", f"compared as far as {told}", True, "head") for told in ends.as_far_as)
    remarks = (*not_followed(judge, mapping), *heads, *remarks_on(judge))
    ends = ends._replace(as_far_as=(*ends.as_far_as, *found.as_far_as, *seen_in_part(judge), *untrained))
    is_chance = not all(any(cause.is_reproduced for cause in fault.causes) for fault in faults)
    chance = nondeterministic(judge) if is_chance else []
    causes = (*chance, *(cause for fault in faults for cause in fault.causes), *remarks)
    made = _comparison(judge, found, faults, causes, ends, called)
    return _with_graphs(made, side_a, side_b) if graphs else made


def _with_graphs(found: Comparison, *sides: Side) -> Comparison:
    """The same with the data flow of both, or with the reason why it is not known."""
    traced = []
    for side in sides:
        if side.network is None:
            return replace(
                found, without_graphs=f"The graph of {side.name} is not known: it is no model that runs."
            )
        try:
            traced.append(graph(side.network, side.inputs))
        except Exception as error:  # which must not take what was found along
            why = flattened(str(error)) if isinstance(error, NetvizError) else described(error)
            return replace(found, without_graphs=f"The graph of {side.name} is not known: {why}")
    return replace(found, graphs=(traced[0], traced[1]))


def _tells_nothing(side: Side) -> bool:
    """Whether no number that the model returned is finite."""
    numbers = returned_by(side.whole) if side.whole is not None else []
    return bool(numbers) and not any(np.isfinite(value.values).any() for value in numbers)


def _require_tolerance(tolerance: Any) -> None:
    if tolerance is None:
        return
    is_number = isinstance(tolerance, (int, float, np.number)) and not isinstance(tolerance, bool)
    if not is_number or not 0 <= tolerance < float("inf"):
        raise InputError(
            f"tolerance={shown(tolerance)} is no number from 0 on; leave it out for that of the dtype"
        )


def _require_names(names: Any) -> None:
    if names is None:
        return
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"names={shown(names)} are no names; give two, such as names=('original', 'port')")
    if len(names) != 2 or names[0] == names[1]:
        raise InputError(f"names={shown(names)} do not tell two models apart; give one for a and one for b")


def _comparison(
    judge: Judge,
    found: Found,
    faults: Sequence[Fault],
    causes: Sequence[Cause],
    ends: Ends,
    names: tuple[str, str],
) -> Comparison:
    a, b = judge.a, judge.b
    name_a, name_b = names
    paired = {id(station) for judged in judge.judged for station in judged.pair.stations}
    left = [[station for station in side.stations if id(station) not in paired] for side in (a, b)]
    reasons = {
        f"{side.name}:{station.path}": _reason(station)
        for side, stations in zip((a, b), left, strict=True)
        for station in stations
    }
    first = faults[0] if faults else None
    verdict = (
        f"first differ {first.pair.place if first.pair.is_between_layers else f'at {first.pair.place}'}"
        if first
        else "were not compared in full"
        if ends.missing
        else "agree"
    )
    return Comparison(
        title=f"{name_a} and {name_b} {verdict} · {counted(len(judge.judged), 'pair')} of layers",
        pairs=tuple(
            pair_told(judged, ratio=found.ratios.get(number, float("nan")))
            for number, judged in enumerate(judge.judged)
        ),
        unmatched_a=tuple(dict.fromkeys(station.path for station in left[0])),
        unmatched_b=tuple(dict.fromkeys(station.path for station in left[1])),
        reasons=reasons,
        first_divergence=first.pair if first else None,
        causes=tuple(causes),
        output=judge.whole,
        names=(f"a: {name_a}", f"b: {name_b}"),
        first_outputs=first.outputs if first else None,
        first_weights=weights_at(found.places[0]) if first else {},
        not_compared=ends.missing,
        faults=tuple(faults),
        as_far_as=ends.as_far_as,
        suspicions=tuple(suspicion_at(place, judge) for place in found.suspicions),
    )


def _reason(station: Station) -> str:
    if station.hands_on:
        return f"{station.layer.kind}: it returns what it is given"
    return f"{station.layer.kind}: nothing on the other side corresponds"


def _of_weights(
    a: Side,
    b: Side,
    mapping: LayerMapping | None,
    tolerance: float | None,
    names: tuple[str, str],
    not_run: tuple[str, ...],
) -> Comparison:
    """Compare weights where there is nothing to run."""
    name_a, name_b = names
    found = judged_by_weights(a, b, mapping, tolerance)
    pairs = tuple(
        LayerPair(
            match.source.path,
            match.target.path,
            kind=match.source.kind,
            call=0,
            **metrics(apart),
            given_error=float("nan"),
            confidence=1.0 if match.evidence == "given" else 0.9 if match.evidence == "name" else 0.5,
            evidence=(match.evidence,),
            status="agrees" if apart.within else "weights",
            weights=weights,
            note="weights alone: nothing was run",
        )
        for match, apart, weights in found.pairs
    )
    faults = tuple(
        Fault(pair, causes_of_weights(found, pair.path_a, pair.path_b))
        for pair in pairs
        if not pair.within_tolerance
    )
    first = faults[0].pair if faults else None
    verdict = (
        f"first differ at {first.place}"
        if first
        else "were not compared in full"
        if not_run or found.not_compared
        else "agree"
    )
    of_both = f" of {name_a} and {name_b}" if names != (a.framework, b.framework) else ""
    return Comparison(
        title=f"weights{of_both} {verdict} · {counted(len(pairs), 'pair')} of layers",
        pairs=pairs,
        unmatched_a=found.unmatched_a,
        unmatched_b=found.unmatched_b,
        reasons={},
        first_divergence=first,
        causes=tuple(cause for fault in faults for cause in fault.causes),
        output=None,
        names=(f"a: {name_a}", f"b: {name_b}"),
        faults=faults,
        not_compared=(*not_run, *found.not_compared),
    )


def _not_run(a: Side, b: Side, x: Any) -> Iterator[str]:
    """Say of a comparison of weights alone what was to be run, and was not."""
    if x is None and not a.stations and not b.stations:
        return
    for side in (a, b):
        is_stored = side.network is not None and isinstance(side.network.native, Checkpoint)
        if not side.stations:
            why = "is a checkpoint, which cannot run" if is_stored else "ran no layer that could be seen"
            yield f"what the models return, since {side.name} {why}: their weights alone were compared"


def _some(side: Side, limit: int = 4) -> str:
    named = ", ".join(f"{station.path} ({station.layer.kind})" for station in side.stations[:limit])
    return named + (", …" if len(side.stations) > limit else "")

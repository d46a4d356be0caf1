"""Lays two models side by side: runs them, pairs their layers, judges the pairs, and asks for causes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from ..captures.recorder import DEFAULT_MAX_BYTES
from ..models.alignment import LayerMapping
from ..words.arrays import AxisArray
from ..words.errors import InputError
from .common import matched
from .explaining.between import between_words, causes_between, causes_in_frame, given_at
from .explaining.causes import Cause, cause_backward, causes_at, causes_of_weights
from .explaining.determinism import nondeterministic
from .explaining.expressions import PASSED_ON
from .explaining.remarks import not_followed, remarks_on
from .inputs import sides_of
from .judging.difference import Difference
from .judging.enclosing import innermost_containers
from .judging.ends import Ends, ends_of, seen_in_part
from .judging.faults import Found, dtype_of, find_faults
from .judging.frames import frames_of
from .judging.gradients import compare_gradients, odd_gradient
from .judging.judging import Judge, Judged, returned_by
from .judging.noise import coarsest
from .judging.places import Place
from .judging.statuses import set_statuses
from .judging.weights import weight_pairs
from .judging.weights_alone import judged_by_weights
from .pairing.pairing import pair_up
from .sides import Side, Station
from .telling.findings import Fault, LayerPair
from .telling.view import Comparison
from .telling.wording import counted

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
) -> Comparison:
    """Lay two models side by side, layer by layer, and find where they differ, and why.

    Parameters
    ----------
    a, b : native model, path, Network, or Capture
        Of any frameworks. A capture needs no framework; one made with ``complete=True`` tells more. Of
        checkpoints, and of models without an input, the weights are compared.
    x : AxisArray, array, or pair of inputs, optional
        What both see: `images(...)` or another `AxisArray` is laid out for each; any other array goes
        to both as it is. A tuple of two is one for each. Where both models come with data of their own (fastai
        Learners), by default a batch of a's.
    mapping : mapping from path to path, or callable, optional
        Pairs that you know: ``{path_a: path_b}``, names, or globs with one ``*`` on both sides; or a
        function of a's `Layer` that returns a path of b or None. The rest is paired as usual.
    tolerance : float, optional
        What |a − b| / (rms + |b|) may be; by default by dtype, see `LayerPair.tolerance`.
    loss : {"cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error"}, optional
        Compare the gradients of this loss, too.
    targets : array, optional
        What the models should return for `x`, for the loss.
    names : tuple of str, optional
        What reports and figures call the two, such as ``("original", "port")``; by default their frameworks.
    max_bytes : int
        How many bytes of values may be held for each model.

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
    left to themselves, to tell another structure from a fault; and one of each, to see whether they differ from
    themselves.

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
        raise InputError(f"loss={loss!r} needs to know what the models should return; give targets=")
    if targets is not None and loss is None:
        raise InputError("targets are given, and no loss; say which with loss=, such as 'cross_entropy'")
    side_a, side_b = sides_of(a, b, x, mapping, max_bytes)
    if not side_a.stations or not side_b.stations:
        if loss is not None:
            raise InputError(f"loss={loss!r} needs models that run; give x, an input")
        return _of_weights(side_a, side_b, mapping, tolerance, names)
    pairs = pair_up(side_a, side_b, mapping)
    if not pairs:
        raise InputError(
            f"no layer of a corresponds to one of b: a runs {_some(side_a)}; b runs {_some(side_b)}; "
            f"pair them with mapping={{path_a: path_b}}"
        )
    judge = Judge(side_a, side_b, pairs, tolerance)
    judge.weigh()
    judge.frames = frames_of(side_a, side_b, pairs, mapping, tolerance)
    ends = ends_of(judge)
    judge.whole = ends.apart
    found = find_faults(judge)
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
    told = {id(place): _fault(place, judge) for place in found.places}
    own = [place for place in found.places if not _is_passed_on(told[id(place)])]
    found.places = own or found.places  # something begins somewhere
    faults = tuple(told[id(place)] for place in found.places)
    heads = (Cause("", "", f"compared as far as {told}", True, "head") for told in ends.as_far_as)
    remarks = (*not_followed(judge, mapping), *heads, *remarks_on(judge))
    ends = ends._replace(as_far_as=(*ends.as_far_as, *seen_in_part(judge), *untrained))
    chance = nondeterministic(judge) if faults else []
    causes = (*chance, *(cause for fault in faults for cause in fault.causes), *remarks)
    return _comparison(judge, found, faults, causes, ends, names)


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
            f"tolerance={tolerance!r} is no number from 0 on; leave it out for that of the dtype"
        )


def _require_names(names: Any) -> None:
    if names is None:
        return
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"names={names!r} are no names; give two, such as names=('original', 'port')")
    if len(names) != 2 or names[0] == names[1]:
        raise InputError(f"names={names!r} do not tell two models apart; give one for a and one for b")


def _fault(place: Place, free: Judge) -> Fault:
    """What is told of a place: the layers, how far they are apart given the same, and why."""
    judge = place.judge or free
    if place.judged is not None and place.backward:
        pair = replace(_pair(place.judged), status="gradient")
        return Fault(pair, (cause_backward(place.judged),))
    if place.judged is not None:
        return Fault(
            _pair(place.judged, "differs", place.ratio, _precision(place, judge)),
            tuple(causes_at(place.judged, judge)),
            _outputs_at(place, judge),
        )
    pair = _pair_between(place, judge)
    paths = pair.path_a, pair.path_b
    own = _with_function_before(place, judge)
    apart = place.seen
    if own is not None and apart is not None:
        between = causes_between(place, (own.pair.a[0].path, own.pair.b[0].path), judge)
        if between[0].name in ("activation", "slope"):
            return Fault(
                replace(_pair(own, "differs", place.ratio, pair.precision), **_metrics(apart)),
                tuple(between),
                _outputs_at(place, judge),
            )
    causes = [
        *(causes_in_frame(place.frame) if place.frame is not None else ()),
        *causes_between(place, paths, judge),
    ]
    return Fault(pair, tuple(causes), _outputs_at(place, judge))


def _is_passed_on(fault: Fault) -> bool:
    """Whether nothing is done there but to hand on what an earlier fault has made."""
    return bool(fault.causes) and all(cause.name == PASSED_ON for cause in fault.causes)


def _suspicion(place: Place, free: Judge) -> LayerPair:
    """The layers of a place that may differ by more than noise."""
    judge = place.judge or free
    if place.judged is None:
        return replace(_pair_between(place, judge), status="suspicion")
    return _pair(place.judged, "suspicion", place.ratio, _precision(place, judge))


def _pair_between(place: Place, judge: Judge) -> LayerPair:
    """What stands where a difference arises between layers."""
    path_a, path_b = _paths_between(place, judge)
    assert place.seen is not None
    return LayerPair(
        path_a,
        path_b,
        kind="container",
        call=0,
        **_metrics(place.seen),
        given_error=float("nan"),
        confidence=1.0,
        evidence=("between layers",),
        status="differs",
        weights=place.frame.weights if place.frame is not None else {},
        note=f"between layers: {between_words(place)}",
        ratio=place.ratio,
        precision=_precision(place, judge),
    )


def _precision(place: Place, judge: Judge) -> str:
    """The coarsest dtype of what a place is made of: the noise is its own."""
    if math.isnan(place.ratio):
        return ""
    made_of = [place.judged] if place.judged is not None else judge.judged
    return coarsest(map(dtype_of, made_of))


def _with_function_before(place: Place, judge: Judge) -> Judged | None:
    """The pair before a place between layers, where one side's layer applies a function that the other's does not."""
    stop = judge.judged.index(place.before) if place.before is not None else len(judge.judged)
    before = judge.judged[stop - 1] if stop else None
    return before if before is not None and before.function_of else None


def _paths_between(place: Place, judge: Judge) -> tuple[str, str]:
    """What stands where a difference arises between layers: a layer without a partner, or the container of all."""
    around = innermost_containers(place.before, judge)
    a, b = (
        _likeliest(stations).path if stations else container
        for stations, container in zip((place.between_a, place.between_b), around[:2], strict=True)
    )
    return a, b


def _likeliest(stations: Sequence[Station]) -> Station:
    """Of layers without a partner the first with weights, or that does anything."""
    weighing = (station for station in stations if station.layer.weights)
    return next(chain(weighing, (s for s in stations if not _hands_on(s)), stations))


def _pair(found: Judged, status: str = "", ratio: float = float("nan"), precision: str = "") -> LayerPair:
    pair = found.pair
    return LayerPair(
        pair.a[0].path,
        pair.b[0].path,
        kind=pair.a[0].layer.kind,
        call=pair.a[0].call,
        **_metrics(found.output),
        given_error=found.given.error if found.given is not None else float("nan"),
        confidence=pair.confidence,
        evidence=pair.evidence,
        status=status or found.status,
        weights=found.weights,
        gradient=found.gradient,
        note="; ".join(filter(None, (*dict.fromkeys(pair.notes), found.output.note))),
        ratio=ratio,
        precision=precision or (dtype_of(found) if ratio == ratio else ""),
    )


def _metrics(apart: Difference) -> dict[str, Any]:
    return {
        "max_abs_difference": apart.max_abs,
        "mean_abs_difference": apart.mean_abs,
        "relative_error": apart.relative,
        "cosine_similarity": apart.cosine,
        "share_beyond": apart.beyond,
        "error": apart.error,
        "tolerance": apart.tolerance,
        "within_tolerance": apart.within,
    }


def _comparison(
    judge: Judge,
    found: Found,
    faults: Sequence[Fault],
    causes: Sequence[Cause],
    ends: Ends,
    names: tuple[str, str] | None,
) -> Comparison:
    a, b = judge.a, judge.b
    name_a, name_b = names or (a.framework, b.framework)
    paired = {id(station) for judged in judge.judged for station in judged.pair.stations}
    left = [[station for station in side.stations if id(station) not in paired] for side in (a, b)]
    reasons = {
        f"{side.name}:{station.path}": _reason(station)
        for side, stations in zip((a, b), left, strict=True)
        for station in stations
    }
    first = faults[0] if faults else None
    verdict = (
        f"first differ at {first.path_a or first.path_b or 'the output'}"
        if first
        else "were not compared in full"
        if ends.missing
        else "agree"
    )
    return Comparison(
        title=f"{name_a} and {name_b} {verdict} · {counted(len(judge.judged), 'pair')} of layers",
        pairs=tuple(
            _pair(judged, ratio=found.ratios.get(number, float("nan")))
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
        first_weights=_weights_at(found.places[0]) if first else {},
        not_compared=ends.missing,
        faults=tuple(faults),
        as_far_as=ends.as_far_as,
        suspicions=tuple(_suspicion(place, judge) for place in found.suspicions),
    )


def _outputs_at(place: Place | None, judge: Judge) -> tuple[AxisArray, AxisArray] | None:
    """What was returned, or given, where the difference begins."""
    if place is None:
        return None
    ours, theirs = given_at(place, judge)
    together = matched(ours[0], theirs[0]) if ours and theirs else None
    if together is None:
        return None
    return AxisArray(together.a, together.axes), AxisArray(together.b, together.axes)


def _weights_at(place: Place | None) -> dict[str, tuple[Array, Array]]:
    if place is None or place.judged is None:
        return {}
    return weight_pairs(place.judged.pair.a[0].layer, place.judged.pair.b[0].layer)


def _hands_on(station: Station) -> bool:
    """Whether a station returns what it is given."""
    return (
        len(station.given) == len(station.returned) == 1
        and station.given[0].shape == station.returned[0].shape
        and np.array_equal(station.given[0].values, station.returned[0].values, equal_nan=True)
    )


def _reason(station: Station) -> str:
    if _hands_on(station):
        return f"{station.layer.kind}: it returns what it is given"
    return f"{station.layer.kind}: nothing on the other side corresponds"


def _of_weights(
    a: Side,
    b: Side,
    mapping: LayerMapping | None,
    tolerance: float | None,
    names: tuple[str, str] | None,
) -> Comparison:
    """Compare weights where there is nothing to run."""
    name_a, name_b = names or (a.framework, b.framework)
    found = judged_by_weights(a, b, mapping, tolerance)
    pairs = tuple(
        LayerPair(
            match.source.path,
            match.target.path,
            kind=match.source.kind,
            call=0,
            **_metrics(apart),
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
        f"first differ at {first.path_a}"
        if first
        else "were not compared in full"
        if found.not_compared
        else "agree"
    )
    of_both = f" of {name_a} and {name_b}" if names else ""
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
        not_compared=found.not_compared,
    )


def _some(side: Side, limit: int = 4) -> str:
    named = ", ".join(f"{station.path} ({station.layer.kind})" for station in side.stations[:limit])
    return named + (", …" if len(side.stations) > limit else "")

"""Two laws of everything that is told of single samples, for a model of any framework.

Permuting the samples of a batch permutes the results and changes nothing else; and the same call made twice gives
the same answer. A view that refuses a model breaks neither: the refusal is returned, for those who list them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import netviz_core as nv
from netviz_core.backend_api import Recorder

TOLERANCE = 2e-4
"""How far values may lie apart beside their largest: a batch in another order is summed up in another order."""


def per_sample(model: Any, x: Any, has_places: bool) -> dict[str, Callable[[], Mapping[str, np.ndarray]]]:
    """What can be asked of a model and tells of single samples: each gives arrays, the samples on axis 0."""
    questions = {
        "capture": lambda: _by_sample(nv.capture(model, x)),
        "attention": lambda: _attention(model, x),
        "rollout": lambda: {
            "rollout": _each_sample(x, lambda n: nv.attention(model, x=x, rollout=True, sample=n).tiles)
        },
    }
    if has_places:
        questions["cam"] = lambda: {"maps": nv.cam(model, x, target=1).maps}
        questions["feature maps"] = lambda: {
            "tiles": _each_sample(
                x, lambda n: nv.feature_maps(model, _last_with_places(model, x), x, sample=n).tiles
            )
        }
        questions["top losses"] = lambda: {"losses": _losses(model, x)}
    return questions


def over_samples(model: Any, x: Any) -> dict[str, Callable[[], Mapping[str, np.ndarray]]]:
    """What is told of all samples together: the same in any order."""
    return {
        "health": lambda: {
            "values": np.asarray(nv.health(model, x, progress=False).values, float),
            "samples": np.asarray(nv.health(model, x, progress=False).sample_count),
        },
        "statistics": lambda: {
            key: np.array([found.mean, found.std, found.minimum, found.maximum])
            for key, found in nv.statistics(model, [(x, np.zeros(size_of(x)))], progress=False).items()
        },
    }


def broken_by_order(model: Any, x: Any, has_places: bool) -> dict[str, str]:
    """What breaks the first law, or refuses to be asked, and how; empty for all that keeps it."""
    count = size_of(x)
    order = np.roll(np.arange(count), 1)
    moved = taken(x, order)
    found = {}
    here, there = per_sample(model, x, has_places), per_sample(model, moved, has_places)
    for name in here:
        found[name] = _compared(here[name], there[name], partial(_in_order, order=order))
    here, there = over_samples(model, x), over_samples(model, moved)
    for name in here:
        found[name] = _compared(here[name], there[name], lambda values: values)
    return {name: said for name, said in found.items() if said}


def _in_order(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Results in another order of samples; each may have several, one behind the other."""
    if len(values) % len(order):
        return values[order]  # which fails, as it should: these are not the samples
    by_sample = values.reshape(len(order), len(values) // len(order), *values.shape[1:])
    return by_sample[order].reshape(values.shape)


def broken_by_repetition(model: Any, x: Any, has_places: bool) -> dict[str, str]:
    """What breaks the second law, or refuses to be asked, and how."""
    asked = {**per_sample(model, x, has_places), **over_samples(model, x)}
    found = {name: _compared(ask, ask, lambda values: values, tolerance=0.0) for name, ask in asked.items()}
    return {name: said for name, said in found.items() if said}


def _compared(first: Any, second: Any, expected: Any, tolerance: float = TOLERANCE) -> str:
    try:
        a = first()
    except nv.NetvizError as error:
        return f"refused: {error}"
    try:
        b = second()
    except nv.NetvizError as error:
        return f"broken: the second time refused: {error}"
    if a.keys() != b.keys():
        return f"broken: other keys, {sorted(a.keys() ^ b.keys())[:3]}"
    for key in a:
        want, got = expected(np.asarray(a[key])), np.asarray(b[key])
        if want.shape != got.shape:
            return f"broken: {key!r} has the shape {got.shape} instead of {want.shape}"
        if want.dtype.kind in "fc":
            scale = np.nanmax(np.abs(np.where(np.isfinite(want), want, 0)), initial=0.0)
            if not np.allclose(
                got, want, rtol=0, atol=tolerance * scale + 1e-12 * bool(tolerance), equal_nan=True
            ):
                return f"broken: {key!r} differs by {np.nanmax(np.abs(got - want)):.1e} of {scale:.1e}"
        elif not np.array_equal(got, want):
            return f"broken: {key!r} is another"
    return ""


def _by_sample(capture: nv.Capture) -> dict[str, np.ndarray]:
    """All that a capture says to have samples on its first axis; what is the same for all of them has one entry."""
    return {
        key: found.values
        for key, found in capture.items()
        if found.axes[:1] == ("batch",) and len(found.values) > 1
    }


def _attention(model: Any, x: Any) -> dict[str, np.ndarray]:
    """The weights of every attention layer."""
    network = nv.wrap(model)
    recorder = Recorder(network.layers.values())
    network.adapter.attention(network.native, x, recorder)
    return {f"{slot.path}:{slot.call}": slot.get().values for slot in recorder.slots}


def _last_with_places(model: Any, x: Any) -> str:
    capture = nv.capture(model, x)
    keys = [key for key, found in capture.items() if found.axes == ("batch", "channel", "y", "x")]
    if not keys:
        raise nv.InputError("no layer returned maps with places")
    return keys[-1]


def _losses(model: Any, x: Any) -> np.ndarray:
    count = size_of(x)
    found = nv.top_losses(
        model, count, [(x, np.ones(count, int))], "cross_entropy", heatmap=False, progress=False
    )
    losses = np.zeros(count)
    for row in found.rows:
        losses[row.index] = row.loss
    return losses


def _each_sample(x: Any, one: Callable[[int], np.ndarray]) -> np.ndarray:
    return np.stack([one(number) for number in range(size_of(x))])


def size_of(x: Any) -> int:
    """The number of samples of a batch: an array, or a mapping or sequence of them."""
    if isinstance(x, Mapping):
        return size_of(next(iter(x.values())))
    return size_of(x[0]) if isinstance(x, (tuple, list)) else len(x)


def taken(x: Any, order: np.ndarray) -> Any:
    """The samples of a batch in another order."""
    if isinstance(x, Mapping):
        return {name: taken(part, order) for name, part in x.items()}
    return type(x)(taken(part, order) for part in x) if isinstance(x, (tuple, list)) else x[order]

"""The maps themselves: which layer decides, its derivatives, and one map for each class asked about and picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..captures.capture import Capture, capture
from ..captures.recorder import Recorder, Slot
from ..models.network import Network
from ..models.weights import read_each
from ..words.arrays import AxisArray, as_float64
from ..words.errors import AxisError, InputError, NetvizError, UnsupportedError
from .cam_methods import eigen_cam
from .following import Followed, Placed
from .losses import sigmoid, softmax
from .places import Picture
from .questions import Question, require_samples

Array = np.ndarray[Any, Any]

_AT_ONCE = 16
"""Of how many layers at once, from the end on, it is asked whether the score depends on them."""

_PROJECTING = frozenset({"dense", "einsum_dense", "conv1d", "conv2d"})


class Found(NamedTuple):
    """Maps ``(map, [z,] [y,] x)``, and the picture and class of each."""

    placed: Placed
    maps: Array
    pictures: list[Picture]
    targets: list[int]


def by_gradients(
    network: Network,
    x: Any,
    candidates: Iterator[Placed],
    followed: Followed,
    ask: Question,
    combine: Callable[[Array, Array], Array],
    axes: Any,
) -> Found:
    asked: list[list[int]] = []

    def pulled(tried: Sequence[Placed], number: int) -> tuple[Capture, Capture]:
        def seed(parts: Mapping[str, AxisArray]) -> dict[str, Array]:
            leaf, scores = ask.score_of(parts)
            require_samples(scores, followed.sample_of(leaf), followed.samples, leaf)
            asked[:] = ask.targets(scores)
            return {leaf: ask.seed(scores, [wanted[min(number, len(wanted) - 1)] for wanted in asked])}

        return _pull_back(network, x, [placed.path for placed in tried], axes, seed)

    chosen, activations, gradients = _deciding(network, candidates, pulled)
    made = [combine(_value(activations, chosen), _value(gradients, chosen))]
    for number in range(1, max(map(len, asked))):
        activations, gradients = pulled([chosen], number)
        made.append(combine(_value(activations, chosen), _value(gradients, chosen)))
    return _in_order(chosen, made, asked)


def _deciding(
    network: Network,
    candidates: Iterator[Placed],
    pulled: Callable[[Sequence[Placed], int], tuple[Capture, Capture]],
) -> tuple[Placed, Capture, Capture]:
    """The last value on which the score depends, with activations and gradients.

    Where it does not depend on what was returned last, as on tokens beside that of the class, the last value of that
    form which is no projection within a block of several of which this is true, too: the tokens that go into its
    attention, normalised where they are, and not its queries, keys or values.
    """
    tried: list[Placed] = []
    deciding: list[Placed] = []
    idle_blocks: list[str] = []
    form: Any = None
    while some := list(islice(candidates, _AT_ONCE)):
        activations, gradients = pulled(some, 0)
        form = form or _form(gradients, some[0])
        own = [placed for placed in some if _decides(gradients, placed)]
        idle_blocks += [p.path for p in some if p not in own and _is_one_of_several(p.path, network)]
        alike = next(
            (
                placed
                for placed in own
                if _form(gradients, placed) == form
                and not (_is_projection(placed.path, network) and _stands_in(placed.path, idle_blocks))
            ),
            None,
        )
        if alike is not None:
            return alike, activations, gradients
        if deciding:
            break  # none is near
        tried += some
        deciding += own
    if not deciding:
        raise _nothing_decides(tried)
    return deciding[0], *pulled(deciding[:1], 0)


def _is_one_of_several(path: str, network: Network) -> bool:
    """Whether a layer stands beside others of its class, as blocks do."""
    type_name = network.layers[path].type_name
    return any(
        other.type_name == type_name and other.path != path and _above(other.path) == _above(path)
        for other in network.layers.values()
    )


def _is_projection(path: str, network: Network) -> bool:
    """Whether a layer makes something else of its tokens, or may: what its own layers do is not asked."""
    holds_others = any(_stands_in(other, [path]) for other in network.layers)
    return holds_others or network.layers[path].kind in _PROJECTING


def _above(path: str) -> str:
    return re.sub(r"(^|[./])[^./]*$", "", path)


def _stands_in(path: str, blocks: Sequence[str]) -> bool:
    return path.startswith(tuple(f"{block}{mark}" for block in blocks for mark in "./"))


def _form(captured: Capture, placed: Placed) -> tuple[Any, ...]:
    slot = _slot(captured, placed)
    return () if slot is None else tuple(slot.observation.value.shape)


def _in_order(placed: Placed, made: Sequence[Array], asked: Sequence[Sequence[int]]) -> Found:
    """The maps that were asked for, sample by sample: one for each target and each picture of the sample."""
    pictures = placed.places.pictures
    wanted = [
        (place, number)
        for sample, targets in enumerate(asked)
        for number in range(len(targets))
        for place, picture in enumerate(pictures)
        if picture.sample == sample
    ]
    return Found(
        placed,
        np.stack([made[min(number, len(made) - 1)][place] for place, number in wanted]),
        [pictures[place] for place, _ in wanted],
        [asked[pictures[place].sample][number] for place, number in wanted],
    )


def _pull_back(
    network: Network, x: Any, paths: Sequence[str], axes: Any, seed: Any
) -> tuple[Capture, Capture]:
    layers = network.select(list(paths))
    axes = _axes_for(axes, paths)
    activations, gradients = Recorder(layers, axes), Recorder(layers, axes)
    network.adapter.gradients(network.native, x, seed, activations, gradients)  # type: ignore[attr-defined]
    return Capture(network.backend, activations), Capture(network.backend, gradients)


def _decides(gradients: Capture, placed: Placed) -> bool:
    """Whether the score depends on what a layer returned at the places of a picture."""
    slot = _slot(gradients, placed)
    return slot is not None and bool(placed.places.folded(slot.get()).any())


def _nothing_decides(tried: Sequence[Placed]) -> NetvizError:
    if not tried:
        return AxisError(
            "nothing that a layer returned has places on a picture that could be followed from the input; "
            "choose a layer and name the axes of its output, such as axes=('batch', 'y', 'x', 'channel')"
        )
    if len(tried) == 1:
        named = f"layer {tried[0].path!r}"
        advice = "choose an earlier layer (of a vision transformer the norm before the last attention)"
    else:
        named = f"any layer from {tried[-1].path!r} to {tried[0].path!r}"
        advice = "it may be the same for all images, as where the last weights are all zero"
    return InputError(
        f"the score does not depend on what {named} returned at the places of the image, so that there is no map; "
        f"{advice}"
    )


def _slot(captured: Capture, placed: Placed) -> Slot | None:
    return next(
        (
            slot
            for slot in captured.slots().values()
            if (slot.path, slot.call, slot.observation.leaf) == (placed.path, placed.call, placed.leaf)
        ),
        None,
    )


def _value(captured: Capture, placed: Placed) -> Array:
    """What a layer returned, or its derivative, at its places."""
    slot = _slot(captured, placed)
    if slot is None:
        raise InputError(
            f"layer {placed.path!r} cannot be looked at: {captured.coverage[placed.path].reason}"
        )
    return as_float64(placed.places.folded(slot.get()))


def without_gradients(
    network: Network,
    x: Any,
    candidates: Iterator[Placed],
    followed: Followed,
    ask: Question,
    method: str,
    axes: Any,
) -> Found:
    placed = next(candidates, None)
    if placed is None:
        raise _nothing_decides([])
    dense = [layer.path for layer in network.select() if layer.kind == "dense"] if method == "cam" else []
    captured = capture(network, x, ["", placed.path, *dense], axes=_axes_for(axes, [placed.path]))
    activations = _value(captured, placed)
    parts = {captured[key].leaf: captured[key] for key in _parts_of(captured, "")}
    leaf, scores = ask.score_of(parts)
    require_samples(scores, followed.sample_of(leaf), followed.samples, leaf)
    scores = _as_scores(network, x, placed.path, leaf, scores)
    asked = ask.targets(scores)
    if method == "eigen-cam":
        if not np.isfinite(activations).all():
            raise InputError(
                f"layer {placed.path!r} returned NaN or infinite values, which have no singular vectors; "
                f"nv.histogram(nv.capture(model, x), {placed.path!r}) counts them"
            )
        return _in_order(placed, [eigen_cam(activations)], asked)
    kernel = ask.of_each_class(_pooled_head(network, captured, placed.path, activations, dense), scores)
    if max(map(max, asked)) >= len(kernel):
        raise UnsupportedError(
            f"the model gives more scores than its last dense layer, which has {len(kernel)}"
        )
    most = max(map(len, asked))
    classes = np.array([[wanted[min(number, len(wanted) - 1)] for wanted in asked] for number in range(most)])
    samples = [picture.sample for picture in placed.places.pictures]
    made = [np.einsum("pc,pc...->p...", kernel[chosen[samples]], activations) for chosen in classes]
    return _in_order(placed, made, asked)


def _parts_of(captured: Capture, path: str) -> list[str]:
    return [key for key, slot in captured.slots().items() if slot.path == path]


def _as_scores(network: Network, x: Any, path: str, leaf: str, given: AxisArray) -> AxisArray:
    """A single number as what a sigmoid made it of, which only a pass for gradients tells; others as they are."""
    if (given.values.ndim > 1 and given.sizes.get("channel", 0) != 1) or not hasattr(
        network.adapter, "gradients"
    ):
        return given
    found: dict[str, AxisArray] = {}

    def seed(parts: Mapping[str, AxisArray]) -> dict[str, Array]:
        found.update(parts)
        return {leaf: np.zeros(parts[leaf].shape, np.float32)}

    _pull_back(network, x, [path], None, seed)
    return found.get(leaf, given)


def _axes_for(axes: Any, paths: Sequence[str]) -> Any:
    return (
        {path: names for path, names in axes.items() if path in paths} if isinstance(axes, Mapping) else axes
    )


def _pooled_head(
    network: Network, captured: Capture, path: str, activations: Array, dense: Sequence[str]
) -> Array:
    """The kernel of the dense layer that is given the averages of the maps: checked with its output."""
    averages = activations.mean(axis=tuple(range(2, activations.ndim)))
    for candidate in reversed(dense):
        weights, unreadable = read_each(network[candidate].weights)
        if unreadable or "kernel" not in weights or weights["kernel"].shape[1] != averages.shape[1]:
            continue
        kernel = weights["kernel"].astype(np.float64)
        scores = averages @ kernel.T + weights.get("bias", np.float32(0))
        for key in _parts_of(captured, candidate):
            returned = captured[key].values
            readings = (np.asarray, softmax, sigmoid)
            if returned.shape == scores.shape and any(
                np.allclose(returned, read(scores), rtol=1e-3, atol=1e-4) for read in readings
            ):
                return kernel
    raise UnsupportedError(
        f"method='cam' needs a global average pool and one dense layer behind layer {path!r}, and no dense layer "
        f"returned what it would make of the averages of its {averages.shape[1]} maps; use method='grad-cam'"
    )

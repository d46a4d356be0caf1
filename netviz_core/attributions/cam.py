"""Class activation maps: which places of an image speak for a class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..captures.capture import Capture, capture
from ..captures.recorder import Recorder, Slot
from ..models.network import Network, wrap
from ..models.weights import read_each
from ..views.overlays import Overlays, displayed, resized, scaled_to_unit
from ..words.arguments import require_path
from ..words.arrays import AxisArray
from ..words.errors import AxisError, InputError, NetvizError, UnsupportedError
from .cam_methods import TITLES, WITH_GRADIENTS, eigen_cam, require_method
from .following import Followed, Placed, declared_range
from .losses import sigmoid, softmax
from .places import Picture
from .questions import Question, leaf_called, require_samples

Array = np.ndarray[Any, Any]

_AT_ONCE = 16
"""Of how many layers at once, from the end on, it is asked whether the score depends on them."""


@dataclass(frozen=True, eq=False, repr=False)
class CamOverlay(Overlays):
    """Class activation maps over the images that they belong to; made by `cam`.

    Parameters
    ----------
    title, images, heat, captions, value_label
        As for `Overlays`; `heat` is ``(batch, y, x)``, each map enlarged to the image linearly and
        stretched by itself from its lowest to its highest value to [0, 1].
    maps : numpy.ndarray
        ``(batch, y, x)``, the maps as their definition gives them: of the layer's own size and in
        the score's own units, float32.
    target : tuple of int
        The class of each map.
    layer : str
        The path of the layer looked at.
    method : str
    """

    heat: Array
    maps: Array
    target: tuple[int, ...]
    layer: str
    method: str


def cam(
    model: Any,
    x: Any = None,
    layer: str | None = None,
    target: int | str | Sequence[Any] | None = None,
    method: str = "grad-cam",
    *,
    mask: Any = None,
    output: str | None = None,
    axes: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
) -> CamOverlay:
    """Show which places of an image speak for a class.

    Parameters
    ----------
    model : native model, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The model's input, a batch; by default that of the model's own data, where it comes with some.
    layer : str, optional
        The path of a layer with spatial axes, or with tokens that are patches of the image; by default
        the last that has more than one place and on which the score depends. Of a layer that runs several
        times, the last call is looked at.
    target : int, str, or sequence of them, optional
        The class asked about, by index or, where the model knows names, by name: one for all samples,
        or one for each; several for each as a sequence of sequences, or for a single sample as
        a sequence. By default the class with the highest score of each sample: of scores for each pixel
        that of most pixels, or with `mask` that with the highest score there.
    method : {"grad-cam", "grad-cam++", "layer-cam", "eigen-cam", "cam"}
        ``cam`` needs a global average pool and one dense layer behind `layer`. ``eigen-cam``
        looks at no class and needs no gradients.
    mask : array_like, optional
        For a model that gives scores for each pixel: which pixels are asked about, ``(y, x)`` or
        ``(batch, y, x)`` in the size of the output. By default those where the target scores highest.
    output : str, optional
        Which part of a structured output has the scores, such as ``"logits"``.
    axes : sequence of str, or mapping from path to sequence of str, optional
        Names for the axes of layers' outputs where netviz cannot know them, as for `netviz_core.capture`.

    Returns
    -------
    CamOverlay

    Raises
    ------
    InputError
        If the target does not exist, or the score does not depend on the layer.
    AxisError
        If the layer has no places on an image.
    UnsupportedError
        If the model has no gradients, or not the form that ``cam`` needs.
    LayerNotFoundError
        If there is no such layer.

    Notes
    -----
    With activations :math:`A_c`, score :math:`s` and :math:`g_c = ∂s/∂A_c`, negative values of each
    map set to zero:

    - ``cam``: :math:`Σ_c w_c A_c` with the weights of the class (Zhou et al., CVPR 2016, arXiv:1512.04150).
    - ``grad-cam``: :math:`Σ_c \\bar g_c A_c`, the average over places (Selvaraju et al., ICCV 2017,
      arXiv:1610.02391).
    - ``grad-cam++``: weights :math:`Σ α_c\\,relu(g_c)`, :math:`α_c = g_c^2 / (2g_c^2 + g_c^3 ΣA_c)`
      (Chattopadhay et al., WACV 2018, arXiv:1710.11063).
    - ``layer-cam``: :math:`Σ_c relu(g_c) A_c` (Jiang et al., TIP 2021, doi:10.1109/TIP.2021.3089943).
    - ``eigen-cam``: the projection of :math:`A` on its first right singular vector (Muhammad and Yeasin,
      IJCNN 2020, arXiv:2008.00299), with the sign that makes its sum positive.

    The score is what goes into a softmax or sigmoid at the model's end, where there is one that
    the backend can see. Costs one pass to find the layer and one forward and backward pass for each target of a sample.

    Why the arguments come in this order: see `netviz_core.attributions`.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> view = cam(example_model(), np.ones((2, 1, 8, 8), "float32"), target=3)
    >>> view.heat.shape, view.maps.shape, view.layer, view.target
    ((2, 8, 8), (2, 6, 6), 'conv1', (3, 3))
    """
    if layer is not None:
        require_path("cam", {"model": model, "x": x, "layer": layer})
    network = wrap(model)
    reads = partial(own_reading, network)
    ask = Question(target, mask, leaf_called(network, output), class_names(network), reads)
    return activation_map(network, network.input_or_example(x), layer, ask, method, axes)


def activation_map(
    network: Network, x: Any, layer: str | None, ask: Question, method: str, axes: Any = None
) -> CamOverlay:
    """What `cam` returns, for a question."""
    require_method(method)
    if method in WITH_GRADIENTS and not hasattr(network.adapter, "gradients"):
        raise UnsupportedError(
            f"the {network.backend} backend has no gradients; method='eigen-cam' and 'cam' need none"
        )
    followed = Followed(network, x, axes)
    candidates = iter([followed.find(layer)]) if layer is not None else followed.last(ask.output)
    if method in WITH_GRADIENTS:
        found = _by_gradients(network, x, candidates, followed, ask, WITH_GRADIENTS[method], axes)
    else:
        found = _without_gradients(network, x, candidates, followed, ask, method, axes)
    maps = np.maximum(found.maps, 0).astype(np.float32)
    scaled = scaled_to_unit(maps.reshape(len(maps), -1, maps.shape[-1])).reshape(maps.shape)
    slices = maps.shape[1] if maps.ndim == 4 else 1
    pictures = [picture for picture in found.pictures for _ in range(slices)]
    targets = [target for target in found.targets for _ in range(slices)]
    flat = len(pictures), *_flat(maps.shape)
    maps, scaled = np.reshape(maps, flat), np.reshape(scaled, flat)
    images = followed.images(pictures)
    size = images.shape[1:3] if images is not None else maps.shape[1:]
    parts = _parts_in_words(pictures, slices)
    return CamOverlay(
        title=f"{TITLES[method]} · {found.placed.path or 'output'}",
        images=images,
        heat=resized(scaled, *size)
        if scaled.shape[1:] == tuple(size)
        else scaled_to_unit(resized(maps, *size)),
        captions=tuple(ask.named(target) + part for target, part in zip(targets, parts, strict=True)),
        value_label=TITLES[method],
        maps=maps,
        target=tuple(targets),
        layer=found.placed.path,
        method=method,
    )


def _flat(shape: Sequence[int]) -> tuple[int, int]:
    """The height and width of a map of a signal, a picture or a slice."""
    return (shape[-2] if len(shape) > 2 else 1), shape[-1]


def _parts_in_words(pictures: Sequence[Picture], slices: int) -> list[str]:
    """What tells the maps of one sample apart."""
    found = []
    for place, picture in enumerate(pictures):
        words = [str(number) for number in picture.part] + [f"z {place % slices}"] * (slices > 1)
        found.append("".join(f" · {word}" for word in words))
    return found


def class_names(network: Network) -> Sequence[str] | None:
    """The names of the classes, where the model knows them."""
    if not hasattr(network.adapter, "class_names"):
        return None
    names: Sequence[str] | None = network.adapter.class_names(network.native)
    return names


def own_reading(network: Network, leaf: str) -> str:
    """How the loss that a model carries reads a part of its output; empty where it carries none."""
    if not hasattr(network.adapter, "own_reading"):
        return ""
    reads: str = network.adapter.own_reading(network.native, leaf)
    return reads


def input_images(network: Network, x: Any) -> Array | None:
    """The images of an input as they are to be shown, ``(batch, y, x, 3)`` in [0, 1]; None if there are none."""
    images = x if isinstance(x, AxisArray) else None
    if hasattr(network.adapter, "images"):
        images = network.adapter.images(network.native, x)
    if images is None or not {"y", "x"} <= set(images.axes) <= {"batch", "channel", "y", "x"}:
        return None
    return displayed(images, declared_range(network, x))


class _Found(NamedTuple):
    """Maps ``(map, [z,] [y,] x)``, and the picture and class of each."""

    placed: Placed
    maps: Array
    pictures: list[Picture]
    targets: list[int]


def _by_gradients(
    network: Network,
    x: Any,
    candidates: Iterator[Placed],
    followed: Followed,
    ask: Question,
    combine: Callable[[Array, Array], Array],
    axes: Any,
) -> _Found:
    asked: list[list[int]] = []

    def pulled(tried: Sequence[Placed], number: int) -> tuple[Capture, Capture]:
        def seed(parts: Mapping[str, AxisArray]) -> dict[str, Array]:
            leaf, scores = ask.score_of(parts)
            require_samples(scores, followed.sample_of(leaf), followed.samples, leaf)
            asked[:] = ask.targets(scores)
            return {leaf: ask.seed(scores, [wanted[min(number, len(wanted) - 1)] for wanted in asked])}

        return _pull_back(network, x, [placed.path for placed in tried], axes, seed)

    tried: list[Placed] = []
    chosen = None
    while chosen is None:
        some = list(islice(candidates, _AT_ONCE))
        if not some:
            raise _nothing_decides(tried)
        activations, gradients = pulled(some, 0)
        tried += some
        chosen = next((placed for placed in some if _decides(gradients, placed)), None)
    made = [combine(_value(activations, chosen), _value(gradients, chosen))]
    for number in range(1, max(map(len, asked))):
        activations, gradients = pulled([chosen], number)
        made.append(combine(_value(activations, chosen), _value(gradients, chosen)))
    return _in_order(chosen, made, asked)


def _in_order(placed: Placed, made: Sequence[Array], asked: Sequence[Sequence[int]]) -> _Found:
    """The maps that were asked for, sample by sample: one for each target and each picture of the sample."""
    pictures = placed.places.pictures
    wanted = [
        (place, number)
        for sample, targets in enumerate(asked)
        for number in range(len(targets))
        for place, picture in enumerate(pictures)
        if picture.sample == sample
    ]
    return _Found(
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
    named = (
        f"layer {tried[0].path!r}"
        if len(tried) == 1
        else f"any layer from {tried[-1].path!r} to {tried[0].path!r}"
    )
    return InputError(
        f"the score does not depend on what {named} returned at the places of the image, so that there is no map; "
        f"choose an earlier layer (of a vision transformer the norm before the last attention)"
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
    return placed.places.folded(slot.get()).astype(np.float64)


def _without_gradients(
    network: Network,
    x: Any,
    candidates: Iterator[Placed],
    followed: Followed,
    ask: Question,
    method: str,
    axes: Any,
) -> _Found:
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

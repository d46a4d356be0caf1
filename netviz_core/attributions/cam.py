"""Class activation maps: which places of an image speak for a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..captures.capture import Capture, capture
from ..captures.forms import forms
from ..captures.recorder import Recorder
from ..models.network import Network, wrap
from ..views.overlays import Overlays, displayed, named_class, resized, scaled_to_unit
from ..words.arguments import require_path
from ..words.arrays import AxisArray
from ..words.errors import AxisError, InputError, UnsupportedError
from .cam_methods import TITLES, WITH_GRADIENTS, eigen_cam, require_method
from .losses import sigmoid, softmax
from .places import Places
from .questions import Question

Array = np.ndarray[Any, Any]


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
    ask = Question(target, mask, output, class_names(network))
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
    places = Places(forms(network, x, axes).returned, axes)
    paths = [network[layer].path] if layer is not None else places.last()
    if method in WITH_GRADIENTS:
        found = _by_gradients(network, x, paths, places, ask, WITH_GRADIENTS[method], layer is not None)
    else:
        found = _without_gradients(network, x, paths[-1], places, ask, method)
    maps = np.maximum(found.maps, 0).astype(np.float32)
    images = input_images(network, x)
    size = images.shape[1:3] if images is not None else maps.shape[1:]
    names = class_names(network)
    return CamOverlay(
        title=f"{TITLES[method]} · {found.path or 'output'}",
        images=images[found.samples] if images is not None else None,
        heat=scaled_to_unit(resized(maps, *size)),
        captions=tuple(named_class(index, names) for index in found.targets),
        value_label=TITLES[method],
        maps=maps,
        target=tuple(found.targets),
        layer=found.path,
        method=method,
    )


def class_names(network: Network) -> Sequence[str] | None:
    """The names of the classes, where the model knows them."""
    if not hasattr(network.adapter, "class_names"):
        return None
    names: Sequence[str] | None = network.adapter.class_names(network.native)
    return names


def input_images(network: Network, x: Any) -> Array | None:
    """The images of an input as they are to be shown, ``(batch, y, x, 3)`` in [0, 1]; None if there are none."""
    images = x if isinstance(x, AxisArray) else None
    if hasattr(network.adapter, "images"):
        images = network.adapter.images(network.native, x)
    if images is None or not {"y", "x"} <= set(images.axes) <= {"batch", "channel", "y", "x"}:
        return None
    return displayed(images)


class _Found(NamedTuple):
    """Maps ``(map, y, x)``, and the sample and class of each."""

    path: str
    maps: Array
    samples: list[int]
    targets: list[int]


def _by_gradients(
    network: Network,
    x: Any,
    paths: Sequence[str],
    places: Places,
    ask: Question,
    combine: Callable[[Array, Array], Array],
    is_given: bool,
) -> _Found:
    maps: list[Array] = []
    samples: list[int] = []
    targets: list[int] = []
    path, round_, rounds = "", 0, 1
    while round_ < rounds:
        asked: list[list[int]] = []

        def seed(
            parts: Mapping[str, AxisArray], number: int = round_, asked: Any = asked
        ) -> dict[str, Array]:
            leaf, scores = ask.score_of(parts)
            asked.extend(ask.targets(scores))
            return {leaf: ask.seed(scores, [wanted[min(number, len(wanted) - 1)] for wanted in asked])}

        activations, gradients = _pull_back(network, x, paths, places.axes, seed)
        if not round_:
            path = _deciding(paths, gradients, places, is_given)
            rounds = max(map(len, asked))
        here = combine(_one(activations, path, places), _one(gradients, path, places))
        for sample, wanted in enumerate(asked):
            if round_ < len(wanted):
                maps.append(here[sample])
                samples.append(sample)
                targets.append(wanted[round_])
        paths, round_ = [path], round_ + 1
    order = sorted(range(len(samples)), key=samples.__getitem__)
    return _Found(
        path, np.stack([maps[i] for i in order]), [samples[i] for i in order], [targets[i] for i in order]
    )


def _pull_back(
    network: Network, x: Any, paths: Sequence[str], axes: Any, seed: Any
) -> tuple[Capture, Capture]:
    layers = network.select(list(paths))
    axes = _axes_for(axes, paths)
    activations, gradients = Recorder(layers, axes), Recorder(layers, axes)
    network.adapter.gradients(network.native, x, seed, activations, gradients)  # type: ignore[attr-defined]
    return Capture(network.backend, activations), Capture(network.backend, gradients)


def _deciding(paths: Sequence[str], gradients: Capture, places: Places, is_given: bool) -> str:
    """The last layer on whose places the score depends."""
    for path in reversed(paths):
        if not _parts_of(gradients, path):
            continue
        if _one(gradients, path, places).any():
            return path
    named = f"layer {paths[-1]!r}" if is_given else f"any of the layers {paths[0]!r} … {paths[-1]!r}"
    reasons = {entry.reason for path, entry in gradients.coverage.items() if path in paths and entry.reason}
    raise InputError(
        f"the score does not depend on what {named} returned at the places of the image, so that there is no map"
        f"{': ' + '; '.join(sorted(reasons)) if reasons else ''}; choose an earlier layer (of a vision transformer "
        f"the norm before the last attention)"
    )


def _parts_of(captured: Capture, path: str) -> list[str]:
    return [key for key, slot in captured.slots().items() if slot.path == path]


def _one(captured: Capture, path: str, places: Places) -> Array:
    """The one value of a layer, folded; of several calls the last, of several parts the first that has places."""
    keys = _parts_of(captured, path)
    if not keys:
        raise InputError(f"layer {path!r} cannot be looked at: {captured.coverage[path].reason}")
    last_call = max(captured[key].call for key in keys)
    found = [captured[key] for key in keys if captured[key].call == last_call]
    error: AxisError | None = None
    for activation in found:
        try:
            return places.fold(activation, path)
        except AxisError as refused:
            error = error or refused
    assert error is not None
    raise error


def _without_gradients(
    network: Network, x: Any, path: str, places: Places, ask: Question, method: str
) -> _Found:
    dense = [layer.path for layer in network.select() if layer.kind == "dense"] if method == "cam" else []
    captured = capture(network, x, ["", path, *dense], axes=_axes_for(places.axes, [path]))
    activations = _one(captured, path, places)
    parts = {captured[key].leaf: captured[key] for key in _parts_of(captured, "")}
    asked = ask.targets(ask.score_of(parts)[1])
    samples = [sample for sample, wanted in enumerate(asked) for _ in wanted]
    targets = [index for wanted in asked for index in wanted]
    if method == "eigen-cam":
        if not np.isfinite(activations).all():
            raise InputError(
                f"layer {path!r} returned NaN or infinite values, which have no singular vectors; "
                f"nv.histogram(nv.capture(model, x), {path!r}) counts them"
            )
        return _Found(path, eigen_cam(activations)[samples], samples, targets)
    kernel = _pooled_head(network, captured, path, activations, dense)
    if max(targets) >= len(kernel):
        raise UnsupportedError(
            f"the model gives more scores than its last dense layer, which has {len(kernel)}"
        )
    maps = np.einsum("mc,mcyx->myx", kernel[targets], activations[samples])
    return _Found(path, maps, samples, targets)


def _axes_for(axes: Any, paths: Sequence[str]) -> Any:
    return (
        {path: names for path, names in axes.items() if path in paths} if isinstance(axes, Mapping) else axes
    )


def _pooled_head(
    network: Network, captured: Capture, path: str, activations: Array, dense: Sequence[str]
) -> Array:
    """The kernel of the dense layer that is given the averages of the maps: checked with its output."""
    averages = activations.mean(axis=(2, 3))
    for candidate in reversed(dense):
        weights = network[candidate].weights
        if "kernel" not in weights or weights["kernel"].shape[1] != averages.shape[1]:
            continue
        kernel = weights["kernel"].numpy().astype(np.float64)
        scores = averages @ kernel.T + (weights["bias"].numpy() if "bias" in weights else 0)
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

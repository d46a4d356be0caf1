"""Class activation maps: which places of an image speak for a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..models.network import Network, wrap
from ..views.base import of_source
from ..views.overlays import Overlays, resized, scaled_to_unit, told_of_flat, without_contrast
from ..words.arguments import require_path
from ..words.errors import UnsupportedError
from .cam_methods import TITLES, WITH_GRADIENTS, require_method
from .class_maps import by_gradients, without_gradients
from .following import Followed
from .places import Picture
from .questions import Question, class_names, leaf_called, own_reading

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
    shares : tuple of float or None
        The probability that the model gives each class; None where it is not known to give any.
    """

    heat: Array
    maps: Array
    target: tuple[int, ...]
    layer: str
    method: str
    shares: tuple[float | None, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Each caption, with the probability of the class where one is known."""
        return tuple(map(_with_share, self.captions, self.shares or (None,) * len(self.captions)))


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
    names: Sequence[str] | None = None,
) -> CamOverlay:
    """Show which places of an image speak for a class.

    Parameters
    ----------
    model : native model, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The model's input, a batch; by default that of the model's own data, where it comes with some.
    layer : str, optional
        The path of a layer with spatial axes, or with tokens that are patches of the image; by default
        the last that has more than one place and on which the score depends; where that is not the last with
        places, as in a transformer that reads its class token alone, what the last attention is given: the norm
        before it, else the block before. Of a layer that runs several times, the last call is looked at.
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
    names : sequence of str, optional
        Of the classes; by default those that the model knows.

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
    ask = Question(target, mask, leaf_called(network, output), class_names(network), reads, names)
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
        found = by_gradients(network, x, candidates, followed, ask, WITH_GRADIENTS[method], axes)
    else:
        found = without_gradients(network, x, candidates, followed, ask, method, axes)
    maps = np.maximum(found.maps, 0).astype(np.float32)
    scaled = scaled_to_unit(maps.reshape(len(maps), -1, maps.shape[-1])).reshape(maps.shape)
    slices = maps.shape[1] if maps.ndim == 4 else 1
    pictures = [picture for picture in found.pictures for _ in range(slices)]
    targets = [target for target in found.targets for _ in range(slices)]
    shares = [ask.share(picture.sample, target) for picture, target in zip(pictures, targets, strict=True)]
    named, told = list(map(ask.named, targets)), np.repeat(without_contrast(maps), slices).tolist()
    flat = len(pictures), *_flat(maps.shape)
    maps, scaled = np.reshape(maps, flat), np.reshape(scaled, flat)
    images = followed.images(pictures)
    size = images.shape[1:3] if images is not None else maps.shape[1:]
    label = TITLES[method]
    if method in WITH_GRADIENTS and ask.is_of_probability:
        label += " of the probability, which all classes decide"
    remarks = told_of_flat(told, named if method != "eigen-cam" else ()), followed.why_bare(images)
    made = CamOverlay(
        title=" · ".join(filter(None, (label, found.placed.path or "output", *remarks))),
        images=images,
        heat=resized(scaled, *size)
        if scaled.shape[1:] == tuple(size)
        else scaled_to_unit(resized(maps, *size)),
        captions=tuple(map(_caption, named, _parts_in_words(pictures, slices), told)),
        value_label=label,
        maps=maps,
        target=tuple(targets),
        layer=found.placed.path,
        method=method,
        shares=tuple(shares),
    )
    return of_source(network.backend, made)


def _caption(name: str, part: str, remark: str) -> str:
    return f"{name}{part}" + f"\n{remark}" * bool(remark)


def _with_share(caption: str, share: float | None) -> str:
    first, mark, rest = caption.partition("\n")
    return caption if share is None else f"{first} / {share:.2f}{mark}{rest}"


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

"""Where attention layers look: from each query to each key, head by head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..captures.capture import Capture
from ..captures.recorder import Recorder
from ..models.network import Network, wrap
from ..views.base import of_source
from ..views.overlays import Overlays, resized, told_of_flat, without_contrast
from ..views.scales import value_limits
from ..views.tiles import TileGrid, told_sample
from ..words.arguments import require_path
from ..words.arrays import Activation, count_nonfinite
from ..words.cards import Told, details, pairs
from ..words.errors import (
    AmbiguousKeyError,
    InputError,
    LayerNotFoundError,
    UnsupportedError,
    as_integer,
    nearest,
)
from .following import Followed, images_among, input_images
from .places import Grid, Picture
from .rollout import by_sample, rolled_out, rollout_title

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class AttentionMaps(TileGrid):
    """The weights of one attention layer, drawn head by head for one sample; made by `attention`.

    Parameters
    ----------
    title, tiles, limits, value_label, tile_label, nan_count, inf_count
        As for `TileGrid`; `tiles` are ``(head, query, key)`` of the sample shown.
    weights : numpy.ndarray
        ``(batch, head, query, key)``: what multiplies the values, so that each row of keys sums to one only where
        the layer makes it so.
    layer : str
        The path of the layer.
    sample : int
        Which sample of the batch is shown.
    grid : Grid or None
        How keys and queries lie on the image, for a vision model.
    images : numpy.ndarray or None
        ``(batch, y, x, 3)`` in [0, 1], the images looked at.
    left_out : mapping of str to str
        Layers that attend too and could not be read, and why.
    without_image : str
        Why there is no image, where there is more to say than that keys have no known places.
    """

    weights: Array
    layer: str
    sample: int
    grid: Grid | None = None
    images: Array | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    without_image: str = ""

    def _told(self) -> Told:
        told = super()._told()
        unread = details("attend, too, and could not be read", pairs(self.left_out), is_open=True)
        return replace(told, verdict=f"{self.title}: {told.verdict}", parts=[unread])

    def mean(self) -> AttentionMaps:
        """The average over heads, as one head."""
        mean = self.weights.mean(axis=1, keepdims=True)
        title = f"{self.title} · mean of heads"
        return of_source(self.source, _shown(replace(self, weights=mean, title=title), "mean of heads"))

    def over_image(self, query: int | None = None) -> Overlays:
        """What each head looks at, over the image.

        Parameters
        ----------
        query : int, optional
            The token that looks. By default the first, where it has no place on the image (a class
            token), else the average over all.

        Returns
        -------
        Overlays
            One picture for each head; its heat is that head's attention as a share of its largest, from zero on, so
            that one which is nearly even looks even. The captions say how large that is.

        Raises
        ------
        UnsupportedError
            If keys have no known places on an image.
        InputError
            If there is no such query.
        """
        if self.without_image:
            raise UnsupportedError(self.without_image)
        if self.grid is None:
            raise UnsupportedError(
                f"the {self.weights.shape[-1]} keys of layer {self.layer!r} have no known places on an image; "
                f"only layers whose tokens are the patches of a convolution, or places of a map, have"
            )
        tiles = self.weights[self.sample]
        if query is None:
            rows = tiles.mean(axis=1) if 0 in self.grid.index else tiles[:, 0]
        else:
            if not 0 <= as_integer(query, "query") < tiles.shape[1]:
                raise InputError(f"query={query} does not exist; there are {tiles.shape[1]}, counted from 0")
            rows = tiles[:, query]
        maps = rows[:, self.grid.index]
        images = None if self.images is None else np.repeat(self.images[[self.sample]], len(maps), axis=0)
        size = maps.shape[1:] if images is None else images.shape[1:3]
        heads = [f"head {index}" if len(maps) > 1 else "" for index in range(len(maps))]
        flat = without_contrast(maps)
        remark = told_of_flat(flat)
        told = [
            same or f"largest {largest:.2g}"
            for same, largest in zip(flat, maps.max(axis=(1, 2)), strict=True)
        ]
        return Overlays(
            title=" · ".join(filter(None, (self.title, told_sample(self.sample, len(self.weights)), remark))),
            images=images,
            heat=_beside_the_largest(resized(maps, *size)),
            captions=tuple("\n".join(filter(None, lines)) for lines in zip(heads, told, strict=True)),
            value_label="attention, share of each map's largest",
        )


def attention(
    model: Any,
    layer: str | None = None,
    x: Any = None,
    *,
    sample: int = 0,
    window: int | None = None,
    rollout: bool = False,
) -> AttentionMaps:
    """Show where an attention layer looks: the weights from each query to each key, head by head.

    Parameters
    ----------
    model : native model, path, or Network
    layer : str, optional
        The path of an attention layer, or of a layer around one; with a number behind a colon
        where it ran several times (``"attn:1"``). By default the only one that there is; with `rollout` all.
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        The model's input, a batch; by default one of the model's own data, where it comes with some.
    sample : int
        Which sample is drawn.
    window : int, optional
        Which window is drawn, where a layer looks within parts of the input that do not see each other: the
        windows of a Swin transformer, the rows of axial attention, the frames of a video. By default the first.
    rollout : bool
        Follow attention through all layers chosen, from the last to the input: the product of
        their weights, averaged over heads, each with half of it on the token itself for the
        residual connection (Abnar and Zuidema, ACL 2020, arXiv:2005.00928).

    Returns
    -------
    AttentionMaps

    Raises
    ------
    LayerNotFoundError
        If there is no such layer, or none with attention.
    AmbiguousKeyError
        If several attention layers ran, naming them.
    UnsupportedError
        If the backend or the layer does not let its weights be seen, or if it is not known which of them belong to
        which sample.
    InputError
        If there is no such sample or window, or rollout is asked of layers that look at other tokens than their own.

    Notes
    -----
    What is shown is what multiplies the values: after masks, sinks and whatever else comes behind a softmax.
    The places of keys on an image are those of what the layer is given, followed from the image through all that
    the model does to it. Costs three passes.
    Why the arguments come in this order: see `netviz_core.attributions`.
    """
    if layer is not None:
        require_path("attention", {"model": model, "layer": layer, "x": x})
    network = wrap(model)
    if not hasattr(network.adapter, "attention"):
        raise UnsupportedError(f"the {network.backend} backend does not see attention weights")
    x = network.input_or_example(x)
    captured = _captured(network, x)
    keys = _below(network, captured, layer)
    if not rollout and len(keys) > 1:
        raise AmbiguousKeyError(
            f"{len(keys)} attention layers ran{f' in {layer!r}' if layer else ''}; choose one of "
            f"{', '.join(map(repr, keys))}, or rollout=True for all",
            keys,
        )
    left_out = _unread(captured, network, layer) if rollout else {}
    by_layer = [by_sample(captured[key], window, rollout) for key in keys]
    weights = rolled_out(by_layer) if rollout else by_layer[0]
    last = captured[keys[-1]]
    grid, images, without_image = _over_images(network, x, keys[-1], last, weights)
    made = AttentionMaps(
        title=rollout_title(len(keys), left_out) if rollout else _title(keys[-1], last, window),
        tiles=weights[:0, 0],
        limits=(0.0, 1.0),
        value_label="attention",
        tile_label="head",
        nan_count=0,
        inf_count=0,
        weights=weights,
        layer=last.path,
        sample=_existing(sample, len(weights)),
        grid=grid,
        images=images,
        left_out=left_out,
        without_image=without_image,
    )
    return of_source(network.backend, _shown(made, "rollout" if rollout else "head"))


class _AttentionRecorder(Recorder):
    """Is told of attention alone, so that nothing is known of layers of which it is told nothing."""

    absence = ""


def _captured(network: Network, x: Any) -> Capture:
    recorder = _AttentionRecorder(network.select())
    network.adapter.attention(network.native, x, recorder)  # type: ignore[attr-defined]
    return Capture(network.backend, recorder)


def _below(network: Network, captured: Capture, layer: str | None) -> list[str]:
    """The keys of the attention of a layer and of those within it."""
    slots = captured.slots()
    if layer is not None and layer in captured:
        return [key for key, slot in slots.items() if slot.get() is captured[layer]]
    keys = [key for key, slot in slots.items() if _is_within(network, slot.path, layer)]
    if not keys:
        unread = _unread(captured, network, layer)
        if unread:
            raise UnsupportedError(f"attention weights cannot be seen: {_reasons(unread)}")
        where = f"in layer {layer!r}" if layer is not None else "in the model"
        seen = sorted({slot.path for slot in slots.values()})
        asked = captured.coverage.get(layer or "")
        reason = f"; {asked.reason}" if asked is not None and asked.reason else ""
        others = (
            f"; {nearest(layer or '', seen)}" if seen else ", nor in any other" if layer is not None else ""
        )
        raise LayerNotFoundError(f"no attention was seen {where}{others}{reason}")
    return keys


def _is_within(network: Network, path: str, layer: str | None) -> bool:
    if layer is None:
        return True
    around = network[layer].path
    return path == around or path.startswith(
        tuple(around + separator for separator in network.path_separators)
    )


def _unread(captured: Capture, network: Network, layer: str | None) -> dict[str, str]:
    """The layers that attend and whose weights could not be read, and why; all of them, or those within one."""
    return {
        path: entry.reason
        for path, entry in captured.coverage.items()
        if entry.reason and entry.status != "not_observed" and _is_within(network, path, layer)
    }


def _reasons(unread: Mapping[str, str]) -> str:
    """Each reason once, with the layers that it is of."""
    paths: dict[str, list[str]] = {}
    for path, reason in unread.items():
        paths.setdefault(reason, []).append(repr(path) if path else "the model")
    return "; ".join(f"{', '.join(of)}: {reason}" for reason, of in paths.items())


def _title(key: str, activation: Activation, window: int | None) -> str:
    title = f"attention · {key or 'output'}"
    if "window" in activation.axes:
        title += f" · window {window or 0} of {activation.sizes['window']}"
    return title


def _over_images(
    network: Network, x: Any, key: str, activation: Activation, weights: Array
) -> tuple[Grid | None, Array | None, str]:
    """How the keys of a call lie on images, these images, or why there are none to show."""
    where = f"attention {key!r}"
    if "window" in activation.axes:
        reason = f"{where} looks within windows, and it is not known where on the image each of them lies"
        return None, None, reason
    among = images_among(network, x)
    images = input_images(network, x) if len(among) < 2 else None
    if images is None and len(among) < 2:
        return None, None, ""
    followed = Followed(network, x)
    grid, pictures = _places_of_keys(followed, activation, weights)
    if len(among) > 1:
        images = followed.images(pictures) if pictures else None
        if images is None:
            reason = f"it is not known which of the {len(among)} pictures among the inputs {where} looks at"
            return None, None, reason
    if images is not None and len(images) != len(weights):
        reason = f"{where} has weights for {len(weights)} samples, and there are {len(images)} images"
        return None, None, reason
    return grid, images, ""


def _places_of_keys(
    followed: Followed, activation: Activation, weights: Array
) -> tuple[Grid | None, list[Picture]]:
    """The places of the keys and the picture of each entry: those of what the layer was given.

    Where that is as many tokens for each sample, and all that it was given lies at the same places.
    """
    keys, found = weights.shape[-1], []
    for told, places in followed.given_to(activation.path, activation.call):
        count = int(np.prod([told.shape[told.axes.index(axis)] for axis in places.axes]))
        samples = len(weights) if count == len(weights) * keys else 1
        if count != samples * keys or len(places.grid) != 2:
            continue
        entries, index = places.index.reshape(len(places.index), -1)[:, 0] // keys, places.index % keys
        if len(index) == samples and (index == index[0]).all():
            found.append((index[0], [places.pictures[place] for place in np.argsort(entries)]))
    if not found or any(not np.array_equal(index, found[0][0]) for index, _ in found):
        return None, []
    is_one = all(pictures == found[0][1] for _, pictures in found)
    return Grid(found[0][0]), found[0][1] if is_one else []


def _beside_the_largest(maps: Array) -> Array:
    """Each map as shares of its largest value: one that is nearly even stays so, and zero stays zero."""
    largest = maps.max(axis=(1, 2), keepdims=True)
    shares: Array = np.divide(maps, largest, out=np.zeros_like(maps), where=~(largest <= 0))
    return shares


def _existing(sample: int, count: int) -> int:
    if not -count <= as_integer(sample, "sample") < count:
        raise InputError(f"sample {sample} lies outside the batch, which has {count} entries")
    return sample % count


def _shown(view: AttentionMaps, tile_label: str) -> AttentionMaps:
    """The same with its tiles, limits and counts made from its weights."""
    tiles = view.weights[view.sample]
    return replace(
        view,
        tiles=tiles,
        limits=value_limits(tiles),
        tile_label=tile_label,
        **count_nonfinite(tiles)._asdict(),
    )

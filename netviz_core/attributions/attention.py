"""Where attention layers look: from each query to each key, head by head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..captures.capture import Capture
from ..captures.forms import forms
from ..captures.recorder import Recorder
from ..models.network import Network, wrap
from ..views.overlays import Overlays, resized, scaled_to_unit
from ..views.scales import value_limits
from ..views.tiles import TileGrid
from ..words.arguments import require_path
from ..words.arrays import Activation, count_nonfinite
from ..words.errors import (
    AmbiguousKeyError,
    InputError,
    LayerNotFoundError,
    UnsupportedError,
    as_integer,
    nearest,
)
from .cam import input_images
from .places import Grid, grid_for

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class AttentionMaps(TileGrid):
    """The weights of one attention layer, drawn head by head for one sample; made by `attention`.

    Parameters
    ----------
    title, tiles, limits, value_label, tile_label, nan_count, inf_count
        As for `TileGrid`; `tiles` are ``(head, query, key)`` of the sample shown.
    weights : numpy.ndarray
        ``(batch, head, query, key)``, float32; each row of keys sums to one.
    layer : str
        The path of the layer.
    sample : int
        Which sample of the batch is shown.
    grid : Grid or None
        How keys and queries lie on the image, for a vision model.
    images : numpy.ndarray or None
        ``(batch, y, x, 3)`` in [0, 1], the images looked at.
    """

    weights: Array
    layer: str
    sample: int
    grid: Grid | None = None
    images: Array | None = None

    def mean(self) -> AttentionMaps:
        """The average over heads, as one head."""
        mean = self.weights.mean(axis=1, keepdims=True)
        return _shown(replace(self, weights=mean, title=f"{self.title} · mean of heads"), "mean of heads")

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
            One picture for each head.

        Raises
        ------
        UnsupportedError
            If keys have no known places on an image.
        InputError
            If there is no such query.
        """
        if self.grid is None:
            raise UnsupportedError(
                f"the {self.weights.shape[-1]} keys of layer {self.layer!r} have no known places on an image; "
                f"only layers whose tokens are the patches of a convolution, or places of a map, have"
            )
        tiles = self.weights[self.sample]
        if query is None:
            rows = tiles[:, 0] if self.grid.prefix else tiles.mean(axis=1)
        else:
            if not 0 <= as_integer(query, "query") < tiles.shape[1]:
                raise InputError(f"query={query} does not exist; there are {tiles.shape[1]}, counted from 0")
            rows = tiles[:, query]
        maps = rows[:, self.grid.prefix :].reshape(-1, self.grid.rows, self.grid.columns)
        images = None if self.images is None else np.repeat(self.images[[self.sample]], len(maps), axis=0)
        size = maps.shape[1:] if images is None else images.shape[1:3]
        return Overlays(
            title=f"attention · {self.layer or 'output'}",
            images=images,
            heat=scaled_to_unit(resized(maps, *size)),
            captions=tuple(f"head {index}" for index in range(len(maps))) if len(maps) > 1 else ("",),
            value_label="attention",
        )


def attention(
    model: Any, layer: str | None = None, x: Any = None, *, sample: int = 0, rollout: bool = False
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
        If the backend or the layer does not let its weights be seen.
    InputError
        If there is no such sample, or rollout is asked of layers that look at other tokens than their own.

    Notes
    -----
    The places of keys on an image are those of the last map that was returned before and has as
    many of them, up to eight class and register tokens left out. Layers that look within windows have
    more entries along ``batch`` than there are samples: then `sample` counts windows. Costs two passes.
    Why the arguments come in this order: see `netviz_core.attributions`.
    """
    if layer is not None:
        require_path("attention", {"model": model, "layer": layer, "x": x})
    network = wrap(model)
    if not hasattr(network.adapter, "attention"):
        raise UnsupportedError(f"the {network.backend} backend does not see attention weights")
    x = network.input_or_example(x)
    captured = _captured(network, x)
    chosen = [captured[key] for key in _below(network, captured, layer)]
    if not rollout and len(chosen) > 1:
        raise AmbiguousKeyError(
            f"{len(chosen)} attention layers ran{f' in {layer!r}' if layer else ''}; choose one of "
            f"{', '.join(map(repr, _below(network, captured, layer)))}, or rollout=True for all"
        )
    weights = rolled_out([part.values for part in chosen]) if rollout else chosen[0].values
    last = chosen[-1]
    images = input_images(network, x)
    if images is not None and len(images) != len(weights):
        images = None
    grid = _grid(forms(network, x).returned, last, weights) if images is not None else None
    made = AttentionMaps(
        title=f"attention rollout · {len(chosen)} layers"
        if rollout
        else f"attention · {last.path or 'output'}",
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
    )
    return _shown(made, "rollout" if rollout else "head")


def _captured(network: Network, x: Any) -> Capture:
    recorder = Recorder(network.select())
    network.adapter.attention(network.native, x, recorder)  # type: ignore[attr-defined]
    return Capture(network.backend, recorder)


def _below(network: Network, captured: Capture, layer: str | None) -> list[str]:
    """The keys of the attention of a layer and of those within it."""
    slots = captured.slots()
    if layer is None:
        keys = list(slots)
    elif layer in captured:
        keys = [key for key, slot in slots.items() if slot.get() is captured[layer]]
    else:
        path = network[layer].path
        inside = tuple(path + separator for separator in network.path_separators)
        keys = [key for key, slot in slots.items() if slot.path == path or slot.path.startswith(inside)]
    if not keys:
        seen = sorted({slot.path for slot in slots.values()})
        reasons = {entry.reason for entry in captured.coverage.values() if entry.status == "unsupported"}
        if reasons:
            raise UnsupportedError(f"attention weights cannot be seen: {'; '.join(sorted(reasons))}")
        where = f"in layer {layer!r}" if layer is not None else "in the model"
        raise LayerNotFoundError(
            f"no attention was computed {where}; {nearest(layer or '', seen) or 'no layer of this model did'}"
        )
    return keys


def rolled_out(layers: list[Array]) -> Array:
    """Attention followed through layers: ``(batch, 1, query, key)`` from weights ``(batch, head, query, key)``.

    Raises
    ------
    InputError
        If the layers do not look at their own tokens, or not all at the same.
    """
    shapes = {(part.shape[0], *part.shape[2:]) for part in layers}
    if len(shapes) > 1 or any(part.shape[2] != part.shape[3] for part in layers):
        raise InputError(
            f"rollout needs layers that all look at the same tokens; these have (batch, query, key) of "
            f"{', '.join(map(str, sorted(shapes)))}; choose those that belong together with layer="
        )
    followed = np.eye(layers[0].shape[-1])
    for part in layers:
        mixed = 0.5 * part.mean(axis=1, dtype=np.float64) + 0.5 * np.eye(part.shape[-1])
        followed = mixed / mixed.sum(axis=-1, keepdims=True) @ followed
    return followed[:, np.newaxis].astype(np.float32)


def _grid(seen: Sequence[Activation], activation: Activation, weights: Array) -> Grid | None:
    """The places of the keys: the layer's own, if it returns a map, else those of the map before it."""
    positions = [position for position, entry in enumerate(seen) if entry.path == activation.path]
    return grid_for(weights.shape[-1], seen[: positions[-1] + 1] if positions else seen)


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

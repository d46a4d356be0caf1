"""Follows the input of a model to what its layers are given and return, and says where that lies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from ..captures.capture import capture
from ..captures.forms import forms
from ..captures.samples import count_of, samples_along
from ..models.network import Network
from ..views.overlays import displayed
from ..words.arrays import Activation, AxisArray
from ..words.errors import AxisError, InputError, LayerNotFoundError
from ..words.given import is_array
from ..words.structure import leaves
from ..words.supports_flow import OriginOf, Source
from .places import Picture, Places, by_names, places_of
from .questions import score_of

Array = np.ndarray[Any, Any]


class Placed(NamedTuple):
    """One value that a layer returned, and its places."""

    path: str
    call: int
    leaf: str
    places: Places


class Followed:
    """What is known of the places of all that the layers of a model are given and return; made by one pass.

    Parameters
    ----------
    network : Network
    x : object
        The model's input.
    axes : sequence of str, or mapping, optional
        The user's own names for the axes of layers' outputs, which are believed.
    """

    def __init__(self, network: Network, x: Any, axes: Any = None) -> None:
        self._network, self._x, self._axes = network, x, axes
        self._inputs = dict(leaves(x, is_array))
        self._told: list[OriginOf] = []
        self._sources: Mapping[str, Source] = {}
        self._named: dict[tuple[str, int, str], OriginOf] = {}
        if self.is_seen:
            network.prepare(x)
            self._sources = network.adapter.origins(network.native, x, self._told.append)  # type: ignore[attr-defined]
            self._sources = {name: self._as_image(name, source) for name, source in self._sources.items()}
        if not self.is_seen or axes is not None:
            self._note_names()

    @property
    def is_seen(self) -> bool:
        """Whether the backend follows the input at all."""
        return hasattr(self._network.adapter, "origins")

    @property
    def samples(self) -> int:
        """How many samples the input has."""
        return count_of(self._x, self._sources)

    def given_to(self, path: str, call: int) -> Iterator[tuple[OriginOf, Places]]:
        """The tensors with places that a layer was given in one of its calls."""
        for told in self._told:
            if told.is_given and (told.path, told.call) == (path, call):
                places = self._places(told)
                if not isinstance(places, str):
                    yield told, places

    def find(self, layer: str) -> Placed:
        """The value of a layer that has places: of the last call that has, or of the one that its key names.

        Raises
        ------
        LayerNotFoundError, AxisError
        """
        path, call, leaf = self._parsed(layer)
        returned = [told for told in self._returned() if told.path == path]
        chosen = [told for told in returned if call in (None, told.call) and leaf in (None, told.leaf)]
        if not returned:
            reason = capture(self._network, self._x, path, reduce=lambda _: 0.0).coverage[path].reason
            raise InputError(
                f"layer {path!r} cannot be looked at: {reason or 'it returned nothing to follow'}"
            )
        if not chosen:
            keys = [f"{path}:{told.call}" + f"#{told.leaf}" * bool(told.leaf) for told in returned]
            raise LayerNotFoundError(
                f"layer {path!r} returned no {layer!r}; it returned {', '.join(map(repr, keys))}"
            )
        reasons = []
        for told in sorted(chosen, key=lambda told: -told.call):
            places = self._places(told)
            if not isinstance(places, str):
                return Placed(told.path, told.call, told.leaf, places)
            reasons.append((told, places))
        told, reason = reasons[0]
        raise AxisError(
            f"the output of layer {path!r}, of shape {told.shape}, {reason}; choose a layer before it{_advice(told)}"
        )

    def last(self, output: str | None = None) -> Iterator[Placed]:
        """The values with more than one place on a picture, the last that was returned first.

        Those that have the form of the scores, and may be these, come behind all others.

        Parameters
        ----------
        output : str, optional
            The part of the model's output that has the scores.

        Raises
        ------
        AmbiguousKeyError, InputError
            If there is no such part, or it is not known which one it is.
        """
        parts = {told.leaf: told for told in self._returned() if not told.path}
        scores = score_of(parts, output)[1] if parts else None
        returned = [told for told in self._returned() if told.path]
        returned.reverse()
        returned.sort(key=lambda told: scores is not None and _form(told) == _form(scores))
        seen = set()
        for told in returned:
            if told.path in seen:
                continue
            places = self._places(told)
            if not isinstance(places, str) and places.count > 1:
                seen.add(told.path)
                yield Placed(told.path, told.call, told.leaf, places)

    def sample_of(self, leaf: str) -> list[int | None]:
        """The sample of each entry of a part of the model's output; None where it is not known."""
        for told in self._told:
            if not (told.path or told.is_given) and told.leaf == leaf and told.shape:
                return samples_along(told, self._sources)
        return []

    def images(self, pictures: Sequence[Picture]) -> Array | None:
        """The images of pictures, ``(picture, y, x, 3)`` in [0, 1]; None where there are none for all of them."""
        known: dict[str, Array | None] = {}
        found = []
        for picture in pictures:
            name = picture.source
            if name is not None and name not in known:
                known[name] = self._image(name)
            images = known[name] if name is not None else None
            if images is None or picture.sample >= len(images):
                return None
            found.append(images[picture.sample])
        return np.stack(found) if len({image.shape for image in found}) == 1 else None

    def why_bare(self, images: Array | None) -> str:
        """Why there are no images below maps, where the model has several inputs; empty where there are."""
        count = len(self._inputs)
        return f"laid over none of the {count} inputs" if images is None and count > 1 else ""

    def _returned(self) -> Iterator[OriginOf]:
        if not self._told:
            yield from self._named.values()
        yield from (told for told in self._told if not told.is_given)

    def _places(self, told: OriginOf) -> Places | str:
        key = told.path, told.call, told.leaf
        if key in self._named and not told.is_given:
            images = images_among(self._network, self._x)
            places = by_names(self._named[key], self.samples, images[0] if len(images) == 1 else None)
            if not isinstance(places, str) or not self.is_seen:
                return places
        return places_of(told, self._sources)

    def _note_names(self) -> None:
        """Note the forms of those outputs whose axes the user names; of all where nothing else tells their places."""
        for activation in forms(self._network, self._x, self._axes).returned:
            if not self.is_seen or self._is_named(activation):
                key = activation.path, activation.call, activation.leaf
                self._named[key] = OriginOf(*key, activation.axes, activation.shape, {})

    def _is_named(self, activation: Activation) -> bool:
        if isinstance(self._axes, Mapping):
            return any(fnmatchcase(activation.path, pattern) for pattern in self._axes)
        return self._axes is not None and set(activation.axes) == set(self._axes)

    def _parsed(self, layer: str) -> tuple[str, int | None, str | None]:
        """The path, the call and the part that a key names."""
        key = (
            re.fullmatch(r"(.*?)(?::(\d+))?(?:#(.*))?", layer, re.DOTALL) if isinstance(layer, str) else None
        )
        if key is None or layer in self._network or key[1] not in self._network:
            return self._network[layer].path, None, None
        return key[1], None if key[2] is None else int(key[2]), key[3]

    def _as_image(self, name: str, source: Source) -> Source:
        """What nothing told of an input's axes, by the order that the backend's images have."""
        if {"y", "x"} & set(source.axes) or (self._inputs and name not in self._inputs):
            return source
        image = _image_of(self._network, self._x, self._inputs, name)
        return (
            source
            if image is None or len(image.axes) != len(source.axes)
            else source._replace(axes=image.axes)
        )

    def _image(self, name: str) -> Array | None:
        image = _image_of(self._network, self._x, self._inputs, name)
        return None if image is None else displayed(image, declared_range(self._network, self._x))


def images_among(network: Network, x: Any) -> list[str]:
    """The names of those inputs that are images."""
    inputs = dict(leaves(x, is_array))
    return [name for name in inputs if _image_of(network, x, inputs, name) is not None]


def input_images(network: Network, x: Any) -> Array | None:
    """The images of an input as they are to be shown, ``(batch, y, x, 3)`` in [0, 1]; None if there are none."""
    images = x if isinstance(x, AxisArray) else None
    if hasattr(network.adapter, "images"):
        images = network.adapter.images(network.native, x)
    if images is None or not {"y", "x"} <= set(images.axes) <= {"batch", "channel", "y", "x"}:
        return None
    return displayed(images, declared_range(network, x))


def declared_range(network: Network, x: Any) -> tuple[float, float] | None:
    """From black to white of the images that the model takes, where it brings them to its own scale itself."""
    if not hasattr(network.adapter, "image_range"):
        return None
    limits: tuple[float, float] | None = network.adapter.image_range(network.native, x)
    return limits


def _image_of(network: Network, x: Any, inputs: Mapping[str, Any], name: str) -> AxisArray | None:
    """One of the inputs as images, as the backend knows them; None if it is none."""
    if inputs and name not in inputs:
        return None
    given = x if len(inputs) < 2 else inputs[name]  # what is no array, such as a path, the backend opens
    images = given if isinstance(given, AxisArray) else None
    if hasattr(network.adapter, "images"):
        images = network.adapter.images(network.native, given)
    is_image = images is not None and {"y", "x"} <= set(images.axes) <= {"batch", "channel", "y", "x"}
    return images if is_image else None


def _form(told: OriginOf) -> tuple[Any, ...]:
    return told.axes, told.shape


def _advice(told: OriginOf) -> str:
    """How to name the axes of an output of so many axes."""
    names = {3: ("batch", "x", "channel"), 4: ("batch", "y", "x", "channel")}.get(len(told.shape))
    return (
        "" if names is None else f", or, where you know them, name its axes: axes={{{told.path!r}: {names}}}"
    )

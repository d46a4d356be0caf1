"""A model of any framework, seen as its layers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from ..plugins import backend_for, tensor_to_numpy
from ..words.addresses import download_first
from ..words.arrays import AxisArray, require_known_axes
from ..words.cards import Telling, Told, soft
from ..words.errors import FileFormatError, InputError, LayerNotFoundError, UnsupportedError, nearest
from ..words.given import shown
from ..words.inputs import require_input
from ..words.protocols import Backend, Layer, LayerSelection, WeightTensor
from ..words.selection import selected
from ..words.text_tables import counted
from ..words.whole_files import replace_file
from .shown import Layers, kinds_of, table_of_layers

if TYPE_CHECKING:
    from pathlib import Path


class Network(Telling):
    """A native model and the adapter that knows its framework.

    Made by `wrap`. It holds the model itself, never a copy, and reads its layers anew each
    time: what is changed on the model is seen.

    Attributes
    ----------
    adapter : Backend
        Knows the model's framework; `backend` is its name.
    native : object
        The model itself.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> network = wrap(example_model())
    >>> list(network.layers)
    ['', 'conv1', 'dense1']
    >>> network["conv1"].weights["kernel"].axes
    ('out', 'in', 'y', 'x')
    """

    def __init__(self, adapter: Backend, native: Any) -> None:
        self.adapter = adapter
        self.native = native

    @property
    def backend(self) -> str:
        """The name of the backend, such as ``"torch"``, as on a `Capture`; the object is `adapter`."""
        return self.adapter.name

    @property
    def layers(self) -> Layers[Layer]:
        """Every layer by path, in the model's order; the outermost model is ``""``."""
        return Layers((layer.path, layer) for layer in self.adapter.layers(self.native))

    def __getitem__(self, path: str) -> Layer:
        """The layer at `path`; a glob does where it fits exactly one.

        Raises
        ------
        LayerNotFoundError
            If there is none, naming the nearest, or if a glob fits several.
        """
        if not isinstance(path, str):
            raise InputError(
                f"layers are named by their path, a string such as '0' or 'conv1'; {shown(path)} was given"
            )
        matches = self.select(path)
        if len(matches) > 1:
            raise LayerNotFoundError(
                f"{path!r} fits {len(matches)} layers, of which one is needed: {_some(matches)}"
            )
        return matches[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __contains__(self, path: object) -> bool:
        return path in self.layers

    def select(self, layers: LayerSelection = "*", *, kind: str | None = None) -> list[Layer]:
        """Choose layers, in the model's order.

        Parameters
        ----------
        layers : str, list of str, or callable
            A path, a glob (``*`` crosses separators), a list of them, or a function of a `Layer`.
        kind : str, optional
            Keep only this kind; a glob too (``"conv*"``).

        Returns
        -------
        list of Layer

        Raises
        ------
        LayerNotFoundError
            If nothing is left: each path or glob must match something.
        """
        known = self.layers
        chosen = [known[path] for path in selected(layers, known, partial(_absent, known))]
        if kind is not None and not isinstance(kind, str):
            raise InputError(f"kind={shown(kind)} is not a string such as 'conv2d'")
        if kind is not None:
            kinds = {layer.kind for layer in chosen}
            chosen = [layer for layer in chosen if fnmatchcase(layer.kind, kind)]
            if not chosen:
                raise LayerNotFoundError(
                    f"no layer chosen is of kind {kind!r}; {nearest(kind, sorted(kinds))}"
                )
        return chosen

    @property
    def path_separators(self) -> str:
        """The characters that part a layer's path from that of a layer within it."""
        return getattr(self.adapter, "path_separator", "./")

    @property
    def parents(self) -> dict[str, str]:
        """The path of the innermost layer in which each stands; the model itself stands in none."""
        paths = list(self.layers)
        known, separators = set(paths), self.path_separators
        found = {}
        for path in paths[1:]:
            ends = (end for end in range(len(path) - 1, 0, -1) if path[end] in separators)
            found[path] = next((path[:end] for end in ends if path[:end] in known), paths[0])
        return found

    def prepare(self, x: Any) -> None:
        """Make sure, before a pass, that the model is built and that the input says how it is laid out.

        Raises
        ------
        AxisError
            If an axis of an `AxisArray` has a name that tells no backend anything.
        InputError
            If it is no input, see `netviz_core.words.inputs.require_input`.
        """
        self._require_input(x)
        for part in x.values() if isinstance(x, Mapping) else x if isinstance(x, (tuple, list)) else (x,):
            if isinstance(part, AxisArray):
                require_known_axes(part.axes)
        if hasattr(self.adapter, "build"):
            self.adapter.build(self.native, x)

    def _require_input(self, x: Any) -> None:
        if not getattr(self.adapter, "takes_items", False):
            require_input(x)

    def input_or_example(self, x: Any) -> Any:
        """The input given, or, if it is None, one of the model's own data.

        Raises
        ------
        InputError
            If there is neither.
        """
        if x is not None:
            self._require_input(x)
            return x
        if not hasattr(self.adapter, "example"):
            raise InputError(
                "no input was given, and the model comes with no data of its own; give x, a batch"
            )
        return self.adapter.example(self.native)

    def own_examples(self) -> Iterable[tuple[Any, Any]]:
        """The model's own validation data, as pairs of inputs and targets.

        Raises
        ------
        InputError
            If it comes with none.
        """
        if not hasattr(self.adapter, "examples"):
            raise InputError("the model comes with no data of its own; give some")
        examples: Iterable[tuple[Any, Any]] = self.adapter.examples(self.native)
        return examples

    @property
    def weight_suffixes(self) -> tuple[str, ...]:
        """The ends of the names of files that `save_weights` writes.

        Raises
        ------
        UnsupportedError
            If the backend writes no files.
        """
        if not hasattr(self.adapter, "save_weights"):
            raise UnsupportedError(f"the {self.backend} backend writes no files of weights")
        adapter: Any = self.adapter
        return tuple(adapter.weight_suffixes)

    def save_weights(self, path: str | Path) -> None:
        """Write the weights as the model's own framework reads them; a file that exists is replaced.

        Parameters
        ----------
        path : str or path
            Whose suffix says in which form, see `weight_suffixes`.

        Raises
        ------
        UnsupportedError
            If the backend writes no files.
        FileFormatError
            If it writes none of this suffix.
        OSError
            If the file cannot be written.
        """
        name = os.fspath(path)
        fitting = [suffix for suffix in self.weight_suffixes if name.lower().endswith(suffix)]
        if not fitting:
            raise FileFormatError(
                f"cannot tell from {name!r} how to write the weights of a {self.backend} model; "
                f"use one of {', '.join(self.weight_suffixes)}"
            )
        adapter: Any = self.adapter
        replace_file(name, lambda unfinished: adapter.save_weights(self.native, unfinished, fitting[0]))

    def __repr__(self) -> str:
        return f"<Network {type(self.native).__name__}, {self.backend} backend>"

    def _told(self) -> Told:
        layers = self.layers
        count = getattr(self.adapter, "parameter_count", None)
        parameters = f", {count(self.native):,} parameters" if count is not None else ""
        return Told(
            f"{type(self.native).__name__}, {self.backend} backend: {counted(len(layers), 'layer')}{parameters}",
            [soft(kinds_of(layers.values())), table_of_layers(layers)],
        )


def wrap(model: Any, *, trust: bool = False) -> Network:
    """See a model as its layers, whatever framework it was written in.

    Parameters
    ----------
    model : native model, state dict, path, or Network
        A path is that of a saved model or of weights alone, a file or a folder, in a format that an
        installed backend reads; of a checkpoint for training, the models' weights are taken. A `Network` is
        returned as it is.
    trust : bool
        Allow a file to run code while it is loaded, as unpickling does. Only for files that
        you made yourself.

    Returns
    -------
    Network

    Raises
    ------
    UnknownModelError
        If no backend knows the object.
    BackendLoadError, BackendConflictError
        If its backend cannot be had.
    FileFormatError
        If a file is damaged, is nothing that can be opened, or would have to be trusted.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> wrap(example_model())
    <Network Model, netviz_core backend>
    """
    if isinstance(model, Network):
        return model
    if isinstance(model, (str, os.PathLike)):
        if told := download_first(os.fspath(model)):
            raise InputError(told)
        from pathlib import Path

        from .formats import load

        model = load(Path(model), trust)
    # Here, as what opens files is, since most models are none, and the import of netviz is to stay quick.
    from .checkpoint import Checkpoint, CheckpointBackend
    from .states import from_mapping

    if isinstance(model, Mapping):
        model = from_mapping(model, tensor_to_numpy) or model
    if isinstance(model, Checkpoint):
        return Network(CheckpointBackend(), model)
    return Network(backend_for(model), model)


def _absent(layers: Mapping[str, Layer], name: str) -> str:
    path = name.rpartition("." if "." in name else "/")[0]
    weight = _weight_called(layers[path], name[len(path) + 1 :]) if path in layers else None
    if weight is not None:
        return (
            f"there is no layer {name!r}: it is a weight; give the layer, {path!r}, and where one of its weights is "
            f"asked for weight={weight.name!r}"
        )
    known = nearest(name, filter(None, layers)) or "the model has none, or is not built yet"
    return f"there is no layer {name!r}; {known}"


def _weight_called(layer: Layer, name: str) -> WeightTensor | None:
    """The weight of this name, netviz' or the framework's own."""
    return next((w for w in layer.weights.values() if name in (w.name, w.native_name)), None)


def _some(layers: Sequence[Layer], limit: int = 4) -> str:
    named = ", ".join(repr(layer.path) for layer in layers[:limit])
    return named + (", …" if len(layers) > limit else "")


def weight_of(network: Network, path: str, name: str) -> tuple[Layer, WeightTensor]:
    """One weight of one layer.

    Raises
    ------
    LayerNotFoundError
        If there is no such layer.
    UnsupportedError
        If the layer has no such weight: says which it has, or which layers have one.
    """
    if not isinstance(name, str):
        raise InputError(f"weight={shown(name)} is not a string such as 'kernel'")
    layer = network[path]
    weights = layer.weights
    weight = _weight_called(layer, name)
    if weight is not None:
        return layer, weight
    described = f"layer {layer.path!r} ({layer.kind}) has no weight {name!r}"
    if layer.config.get("built") is False:
        raise UnsupportedError(
            f"{described}: it is not built yet; run the model once, which gives it its shapes"
        )
    if weights:
        raise UnsupportedError(f"{described}; it has {', '.join(map(repr, weights))}")
    owners = [other for other in network.layers.values() if name in other.weights]
    advice = f"layers that have one: {_some(owners)}" if owners else "no layer of this model has one"
    raise UnsupportedError(f"{described}; {advice}")


def layer_at_fault(networks: Sequence[Network], error: BaseException) -> str:
    """The path of the deepest layer whose own method was running when an error was raised; empty if none is known."""
    paths = {id(layer.native): path for network in networks for path, layer in network.layers.items()}
    found, trace = "", error.__traceback__
    while trace is not None:
        found = paths.get(id(trace.tb_frame.f_locals.get("self")), found)
        trace = trace.tb_next
    if not found and error.__cause__ is not None:  # an error of ours stands for one of the framework's
        return layer_at_fault(networks, error.__cause__)
    return found

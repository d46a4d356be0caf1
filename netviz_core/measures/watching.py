"""Looks at a network's layers while it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..captures.capture import Capture, recording
from ..models.network import wrap
from ..models.weights import read_each
from ..words.arrays import Activation
from ..words.errors import InputError, UnsupportedError, as_integer
from ..words.protocols import Layer, LayerSelection
from .layer_statistics import LayerStatistics
from .training import HISTORY_DETAIL, TrainingHistory

Array = np.ndarray[Any, Any]


class TrainingWatch:
    """Fills a `TrainingHistory`; what a framework's own callback is made of.

    Parameters
    ----------
    model : native model, or Network
    every : int
        Look at every so many steps, the first included.
    layers : str, list of str, or callable
        Which layers; ``"*"`` means all but containers, whose outputs are those of layers within.

    Notes
    -----
    A callback calls `before_pass` and `after_backward` around each step of training, or, where
    it makes passes of its own, `add`.
    """

    def __init__(self, model: Any, every: int = 50, layers: LayerSelection = "*") -> None:
        if as_integer(every, "every") < 1:
            raise InputError(f"every={every} is no number of steps; give a positive one")
        self._network = wrap(model)
        self._every = every
        chosen = self._network.select(_is_no_container if layers == "*" else layers)
        self.paths = [layer.path for layer in chosen]
        """The layers watched."""
        self.history = TrainingHistory(self.paths)
        self._step = 0
        self._seen: Capture | None = None
        self._listening = ExitStack()

    @property
    def is_due(self) -> bool:
        """Whether the step to come is to be looked at."""
        return self._step % self._every == 0

    def reduce(self, activation: Activation) -> Array:
        """To be given to a recording as ``reduce=``: statistics in the place of values."""
        return _looked_at(activation.values).pack()

    def before_pass(self) -> None:
        """Start to listen, if the step to come is due; more passes may follow before the step."""
        if self.is_due and self._seen is None:
            self._seen = self._listening.enter_context(
                recording(self._network, self.paths, reduce=self.reduce)
            )

    def after_backward(self) -> None:
        """Note what was heard, the weights and their gradients, before the optimizer changes them."""
        seen, self._seen = self._seen, None
        self._listening.close()
        if seen is not None:
            self.add(self._step, seen, self._own_gradients())
        self._step += 1

    def skip(self) -> None:
        """Count a step that was not looked at."""
        self._step += 1

    def add(
        self,
        step: int,
        activations: Capture,
        gradients: Iterable[tuple[str, str, Array]] = (),
        *,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        """Note what one step showed.

        Parameters
        ----------
        step : int
        activations : Capture
            Made with `reduce`.
        gradients : iterable of (path, weight name, numpy.ndarray)
        missing : mapping from str to str, optional
            Quantities of which nothing can be seen, and why.
        """
        moments: dict[tuple[str, str, str], LayerStatistics] = {}
        for activation in activations.values():
            key = ("activation", activation.path, "")
            here = LayerStatistics.unpack(activation.values)
            moments[key] = moments[key].merge(here) if key in moments else here
        watched = set(self.paths)
        for layer in self._network.select(self.paths):
            values, reasons = read_each(layer.weights)
            moments |= {("weight", layer.path, name): _looked_at(held) for name, held in values.items()}
            self.history.unreadable |= {(layer.path, name): why for name, why in reasons.items()}
        for path, name, gradient in gradients:
            if path in watched:
                moments["gradient", path, name] = _looked_at(gradient)
        self.history.add(step, moments, missing)

    def close(self) -> None:
        """Stop listening; a step that was begun is forgotten."""
        self._seen = None
        self._listening.close()

    def _own_gradients(self) -> Iterable[tuple[str, str, Array]]:
        adapter = self._network.adapter
        if not hasattr(adapter, "weight_gradients"):
            raise UnsupportedError(
                f"the {self._network.backend} backend has no gradients to read after a backward pass; "
                f"use its own callback"
            )
        gradients: Iterable[tuple[str, str, Array]] = adapter.weight_gradients(self._network.native)
        return gradients


def _looked_at(values: Array) -> LayerStatistics:
    """Of all values as one channel; precisely, for a mean of gradients may be small beside what is averaged."""
    return LayerStatistics.of(values, detail=HISTORY_DETAIL, precise=True)


def _is_no_container(layer: Layer) -> bool:
    return layer.kind != "container"

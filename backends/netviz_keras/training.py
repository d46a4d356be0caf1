"""Statistics of layers, weights and gradients while ``fit`` trains a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import keras
import numpy as np

from netviz_core.backend_api import (
    AxisBook,
    Capture,
    LayerSelection,
    Recorder,
    RecorderLike,
    TrainingHistory,
    TrainingWatch,
    widened,
)

from .engines import ENGINE
from .inputs import prepare
from .layers import walk
from .listening import Listener, explain, listening, unheard
from .passes import build, unchanged
from .tensors import as_numpy, is_differentiable

if ENGINE.name == "torch":
    import torch
elif ENGINE.name == "jax":
    import jax
elif ENGINE.name == "tensorflow":
    import tensorflow as tf


_NO_LOSS = (
    "the model takes its loss within its own train_step, and was compiled without one that could be taken outside of "
    "it; give compile() a loss, or add it with add_loss"
)
_NO_CALL = (
    "the model has no call of its own, so no pass can be made; watch a model within it, or give it a call"
)


class NetvizCallback(keras.callbacks.Callback):
    """Notes every so many steps what the layers return, what their weights are, and their gradients.

    Keras compiles its training step and shows no tensors to callbacks. So a pass of its own is made
    over one and the same batch, with ``training=True``, forward and backward from the loss that the model was
    compiled with. Nothing of the model changes by it: no weight, no running statistic, no state of the
    optimizer, no metric and no random number. It costs such a pass, not compiled, every `every` steps;
    on JAX, which makes one for the values and one for the gradients, two. For a small convolutional model on
    two CPU cores a look took as long as ten compiled steps on TensorFlow and JAX, and as two on torch.

    Parameters
    ----------
    x, y : array, native tensor, or a structure of them
        The batch to look at, as ``train_on_batch`` takes it. The same at each look, so that what
        changes is the model.
    every : int
        Look before every so many steps, the first included.
    layers : str, list of str, or callable
        Which layers; ``"*"`` means all but containers.
    sample_weight : array, optional
        As for ``train_on_batch``.

    Examples
    --------
    >>> x, y = np.zeros((8, 3), "float32"), np.zeros((8, 1), "float32")
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="dense")])
    >>> model.compile("sgd", "mse")
    >>> watching = NetvizCallback(x, y, every=2)
    >>> _ = model.fit(x, y, batch_size=2, verbose=0, callbacks=[watching])
    >>> watching.history.steps
    [0, 2]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        every: int = 50,
        layers: LayerSelection = "*",
        sample_weight: Any = None,
    ) -> None:
        super().__init__()
        self._batch = (x, y, sample_weight)
        self._every = every
        self._layers = layers
        self._watch: TrainingWatch | None = None
        self._watched: Any = None
        self._missing: dict[str, str] = {}
        self._before_epoch = self._in_epoch = self._next_look = 0
        self.history = TrainingHistory([])
        """What was seen, a `netviz_core.backend_api.TrainingHistory`; it goes on if ``fit`` is called again."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Get to know the layers, which are built now if Keras has not done so."""
        if self._watch is None or self._watched is not self._model:
            self._watched = self._model
            self._missing = self._build()
            self._watch = TrainingWatch(self.model, every=self._every, layers=self._layers)
            self.history = self._watch.history
            self._before_epoch = self._in_epoch = self._next_look = 0

    def _build(self) -> dict[str, str]:
        """Have the model make its weights; of which quantity nothing can be seen, and why."""
        try:
            with ENGINE.own_randomness():
                build(self.model, prepare(self.model, self._batch[0], AxisBook()))
        except NotImplementedError:
            return dict.fromkeys(("activation", "gradient"), _NO_CALL)
        return {}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Look, if it is time; Keras may have taken several steps since the last call."""
        step = self._before_epoch + batch
        if step >= self._next_look:
            self._next_look = (step // self._every + 1) * self._every
            self._look(step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the steps of this epoch."""
        self._in_epoch = batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count those of all epochs."""
        self._before_epoch += self._in_epoch
        self._in_epoch = 0

    def _look(self, step: int) -> None:
        assert self._watch is not None
        if self._missing:
            self._watch.add(step, Capture("keras", Recorder(())), missing=self._missing)
            return
        look = _Look(self.model, *self._batch)
        layers = [layer for layer in look.layers if layer.path in self._watch.paths]
        recorder = Recorder(layers, reduce=self._watch.reduce)
        with ENGINE.own_randomness(), unchanged(look.model, ((), {})), unheard():
            gradients = _ENGINES.get(ENGINE.name, _without_gradients)(look, recorder)
        explain(look.layers, recorder)
        self._watch.add(step, Capture("keras", recorder), look.by_weight(gradients), missing=look.missing)


class _Look:
    """Passes over one batch, in training mode, that change nothing."""

    def __init__(self, model: Any, x: Any, y: Any, sample_weight: Any) -> None:
        self.model = model
        self._book = AxisBook()
        self._inputs = x
        self._arguments = prepare(model, x, self._book)
        self.layers = list(walk(model))
        self.variables = list(model.trainable_variables)
        self.missing: dict[str, str] = {}
        """Of which quantity nothing can be seen, and why."""
        self._y, self._sample_weight = (
            keras.tree.map_structure(_as_fit_gives_it, part) for part in (y, sample_weight)
        )

    def heard_by(self, recorder: RecorderLike) -> AbstractContextManager[None]:
        return listening(Listener(self.layers, recorder, self._book))

    def values(self) -> list[Any]:
        """Those of the trainable variables, as tensors."""
        return [keras.ops.convert_to_tensor(variable.value) for variable in self.variables]

    def loss(self, values: Sequence[Any]) -> Any:
        """The compiled loss and all losses that layers add, with these values for the trainable variables.

        None where there is no loss: a model may take its own within its ``train_step``.
        """
        args, kwargs = self._arguments
        # Keras' regularizers read the variables from the scope only, so that all have to be named here.
        mapping = zip(self.variables, values, strict=True)
        with keras.StatelessScope(mapping, collect_losses=True):
            predicted = self.model(*args, **kwargs, training=True)
            # Without any, Keras raises on some engines, and returns zero on others.
            is_own = type(self.model).compute_loss is not keras.Model.compute_loss
            if self.model._compile_loss is None and not self.model.losses and not is_own:
                self.missing["gradient"] = _NO_LOSS
                return None
            return self.model._compute_loss(
                x=self._inputs,
                y=self._y,
                y_pred=predicted,
                sample_weight=self._sample_weight,
                training=True,
            )

    def by_weight(self, gradients: Iterable[Any]) -> Iterator[tuple[str, str, np.ndarray[Any, Any]]]:
        """Path, weight name and gradient in canonical layout, under every layer that shows the weight."""
        pairs = zip(self.variables, gradients, strict=True)
        found = {id(variable): gradient for variable, gradient in pairs if gradient is not None}
        for layer in self.layers:
            for name, weight in layer.weights.items():
                variable, _ = cast(tuple[int, str], weight.identity)  # see weights.py
                if variable in found:
                    yield layer.path, name, widened(weight.layout.to_canonical(as_numpy(found[variable])))


def _on_tensorflow(look: _Look, recorder: RecorderLike) -> Sequence[Any]:
    values = look.values()
    with tf.GradientTape() as tape, look.heard_by(recorder):
        tape.watch(values)
        loss = look.loss(values)
    if loss is None:
        return [None] * len(values)
    found = tape.gradient(loss, values)
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]


def _on_torch(look: _Look, recorder: RecorderLike) -> Sequence[Any]:
    values = look.values()
    with torch.enable_grad(), look.heard_by(recorder):
        loss = look.loss(values)
        if loss is None or not values:
            return [None] * len(values)
        return torch.autograd.grad(loss, values, allow_unused=True)


def _on_jax(look: _Look, recorder: RecorderLike) -> Sequence[Any]:
    values = look.values()
    with look.heard_by(recorder):
        if look.loss(values) is None:
            return [None] * len(values)
    gradients: Sequence[Any] = jax.grad(look.loss)(values)
    return gradients


def _without_gradients(look: _Look, recorder: RecorderLike) -> Sequence[Any]:
    with look.heard_by(recorder):
        look.loss(look.values())
    look.missing["gradient"] = f"it is not known how Keras' engine {ENGINE.name!r} computes gradients"
    return [None] * len(look.variables)


_ENGINES = {"tensorflow": _on_tensorflow, "torch": _on_torch, "jax": _on_jax}


def _as_fit_gives_it(value: Any) -> Any:
    """As a tensor, floats in the precision that Keras is configured for."""
    if value is None:
        return None
    tensor = keras.ops.convert_to_tensor(value)
    return keras.ops.cast(tensor, keras.config.floatx()) if is_differentiable(tensor) else tensor

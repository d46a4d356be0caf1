"""A pass of netviz' own leaves a model as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import filterfalse
from types import FunctionType
from typing import Any

import keras

from netviz_core.backend_api import Keeper

from .engines import ENGINE
from .inputs import Arguments, explain_ids
from .kinds import is_of_keras
from .layers import walk
from .tensors import as_numpy


@contextmanager
def unchanged(model: Any, arguments: Arguments) -> Iterator[None]:
    """Put back what a pass changes that is no variable of Keras': those keep their values in a stateless scope.

    Raises
    ------
    InputError
        If the pass fails for ids among the arguments that an embedding does not have.
    """
    layers = [layer.native for layer in walk(model) if isinstance(layer.native, keras.Layer)]
    keeper = KerasKeeper()
    keeper.keep(*map(_Whole, filterfalse(is_of_keras, layers)), *_held(layers), arguments)
    before = [(layer, list(layer._losses)) for layer in layers]
    try:
        yield
    except Exception as error:
        to_blame = explain_ids(error, model, arguments)
        if to_blame is not None:
            raise to_blame from error
        raise
    finally:
        keeper.put_back()
        for layer, losses in before:
            layer._losses.clear()
            layer._losses.extend(losses)


def build(model: Any, arguments: Arguments) -> None:
    """Run the model once if it, or a layer of it, is not built, and change nothing else."""
    if all(getattr(layer.native, "built", True) for layer in walk(model)):
        return
    args, kwargs = arguments
    keeper = KerasKeeper()
    keeper.keep(*_held([layer.native for layer in walk(model)]), arguments)
    try:
        with keras.StatelessScope(), ENGINE.no_gradients():
            model(*args, **kwargs, training=False)
    except ValueError as error:
        if "stateless scope" not in str(error):
            raise
        # A layer makes a variable of a ready value, for which Keras has to run in earnest.
        before = [(variable, as_numpy(variable.value).copy()) for variable in model.non_trainable_variables]
        with ENGINE.no_gradients():
            model(*args, **kwargs, training=False)
        for variable, value in before:
            variable.assign(value)
        model._clear_losses()
    finally:
        keeper.put_back()


_KERAS_OWN = frozenset(vars(keras.Layer(name="none")))  # with a name, so that no counter of names goes on


class _Whole:
    """Stands for the attributes of a layer, which are put back too."""

    def __init__(self, layer: keras.Layer) -> None:
        self.layer = layer


class KerasKeeper(Keeper):
    """Looks after variables that are the engine's own, and what is none of Keras' in layers."""

    tools = Keeper.tools | {"keras", "tensorflow", "jax", "jaxlib", "torch", "numpy", "netviz_keras"}

    def keep_native(self, value: Any) -> bool:
        """Look after a variable or the attributes of a layer; leave alone what belongs to Keras."""
        if isinstance(value, _Whole):
            self.keep_dict(vars(value.layer), _KERAS_OWN)
            self.keep_class(type(value.layer))
            return True
        if ENGINE.is_variable(value):
            before = as_numpy(value).copy()
            self.undo(lambda: None if (as_numpy(value) == before).all() else _assign(value, before))
            return True
        return isinstance(value, (keras.Layer, keras.Variable, keras.KerasTensor))


def _held(layers: list[Any]) -> list[Any]:
    """What the layers hold beside what Keras has made for itself."""
    found: list[Any] = []
    for layer in layers:
        own = vars(layer).items()
        if not is_of_keras(layer):
            found += [part for name, part in own if name not in _KERAS_OWN]
            found.append(type(layer))
        else:
            found += [part for _, part in own if isinstance(part, FunctionType)]
    return found


def _assign(variable: Any, before: Any) -> None:
    if hasattr(variable, "assign"):
        variable.assign(before)
    else:
        variable.copy_(variable.new_tensor(before))

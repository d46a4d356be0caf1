"""Runs a functional model, compiled by its engine as soon as inputs of a form come again.

What was compiled holds for the layers as they were: it is given up when one of their settings, their dtype policy or
one of their variables is another than before. Values of variables are none of that; they are read in every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from .engines import ENGINE
from .kinds import is_of_keras
from .tensors import dtype_name

Form = tuple[tuple[int, ...], str]


class Runner:
    """Runs one functional model of Keras' own layers, none of which has to be seen, in evaluation mode.

    Parameters
    ----------
    model : keras.Model
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._settings: list[Any] = []
        self._seen: set[tuple[Form, ...]] = set()
        self._is_compilable = False
        self._compiled: Callable[[list[Any]], Any] | None = None

    def __call__(self, flat: Sequence[Any]) -> Any:
        """What the model returns for its inputs, in their order."""
        self._forget_what_changed()
        form = tuple((tuple(tensor.shape), dtype_name(tensor)) for tensor in flat)
        if form in self._seen and self._is_compilable:
            try:
                if self._compiled is None:
                    self._compiled = ENGINE.compiled(self._model)
                return self._compiled(list(flat))
            except Exception:  # whatever a compiler makes of a model that runs without it
                self._is_compilable = False
        output = self._model(flat, training=False)
        self._seen.add(form)
        return output

    def _forget_what_changed(self) -> None:
        settings = list(_settings(self._model))
        is_as_before = len(settings) == len(self._settings) and all(
            now is before for now, before in zip(settings, self._settings, strict=True)
        )
        if not is_as_before:
            self._settings, self._compiled = settings, None
            self._seen.clear()
            self._is_compilable = not _runs_code_of_others(settings)


def _settings(model: keras.Model) -> Iterator[Any]:
    """All that decides how the layers of a model compute, apart from the values of variables."""
    yield from (keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format())
    for operation in model.operations:
        yield type(operation).call
        yield getattr(operation, "dtype_policy", None)
        yield from (value for name, value in vars(operation).items() if not name.startswith("_"))
        yield from getattr(operation, "variables", ())


def _runs_code_of_others(settings: Sequence[Any]) -> bool:
    """Whether there is a function among the settings that Keras does not define, which may do anything."""
    return any(callable(value) and not is_of_keras(value) for value in settings)

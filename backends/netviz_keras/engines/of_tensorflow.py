"""TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from .engine import Engine, Note


class _TensorFlow(Engine):
    keeps_tensors = has_strings = True
    help_for_traced = (
        "run it eagerly (compile the model with run_eagerly=True, jit_compile=False; functions of your own under "
        "tf.function with tf.config.run_functions_eagerly(True)) to see them"
    )

    def is_variable(self, value: Any) -> bool:
        return isinstance(value, tf.Variable)

    def is_symbolic(self, tensor: Any) -> bool:
        return bool(tf.is_symbolic_tensor(tensor))

    def compiled(self, model: keras.Model) -> Callable[[list[Any]], Any]:
        def function(inputs: list[Any]) -> Any:
            with keras.StatelessScope():  # of its own, for what is written while it is traced has no values
                return model(inputs, training=False)

        # For batches of all sizes; functions that are traced by calls are warned of where there are many models.
        forms = [tf.TensorSpec(declared.shape, declared.dtype) for declared in model.inputs]
        concrete: Callable[[list[Any]], Any] = tf.function(function).get_concrete_function(forms)
        return concrete

    @contextmanager
    def hearing(self, note: Note) -> Iterator[None]:
        def told(
            name: str, given: Any, attributes: Any, returned: Any, op_name: Any = None, graph: Any = None
        ) -> None:
            if graph is None:
                note(name.lower(), given, returned)

        op_callbacks.add_op_callback(told)
        try:
            yield
        finally:
            op_callbacks.remove_op_callback(told)


ENGINE = _TensorFlow("tensorflow")

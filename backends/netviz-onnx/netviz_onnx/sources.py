"""Where the numbers of a weight lie: in a stored tensor, in a part of one, or in what is computed from some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, numpy_helper

from netviz_core.backend_api import Layout, Weight, by_name, positional_layout

from .held import Held


class Quantised(NamedTuple):
    """Integers that stand for floats.

    Parameters
    ----------
    scales : tuple of str
        The constants that multiply them.
    zero : str
        The constant that is taken away before; empty if that is nothing.
    axis : int
        The axis of the stored tensor along which these go, where they are more than one number.
    """

    scales: tuple[str, ...]
    zero: str = ""
    axis: int = 0

    def floats(self, held: Held, values: np.ndarray) -> np.ndarray:
        """What takes effect."""

        def along(name: str) -> np.ndarray:
            numbers, ones = held.value(name).astype(np.float32), [1] * values.ndim
            ones[self.axis] = -1
            return numbers.reshape(ones)

        found = values.astype(np.float32) - (along(self.zero) if self.zero else 0)
        for name in self.scales:
            found = found * along(name)
        return np.asarray(found)


class Rule(NamedTuple):
    """One weight of a node.

    Parameters
    ----------
    name : str
        The canonical one.
    tensor : str
        The constant in which it lies.
    layout : Layout
    part : tuple
        The index of the part of the constant that it is; empty for all of it.
    factor : float
        What it is multiplied by before it is used.
    stored : Quantised, optional
        How the integers that are stored become what takes effect.
    """

    name: str
    tensor: str
    layout: Layout
    part: tuple[Any, ...] = ()
    factor: float = 1.0
    stored: Quantised | None = None


def weights(held: Held, rules: Iterable[Rule]) -> dict[str, Weight]:
    """The weights that rules tell of, by canonical name."""
    return by_name(_weight(held, rule) for rule in rules)


def _weight(held: Held, rule: Rule) -> Weight:
    shape, dtype = held.constants[rule.tensor]
    if rule.part:
        shape = np.broadcast_to(np.zeros((), np.int8), shape)[rule.part].shape
    layout = rule.layout if rule.layout.native_rank == len(shape) else positional_layout(len(shape))
    stored = held.stored.get(rule.tensor)
    origin = _origin(held, rule.tensor)

    def read() -> np.ndarray:
        value = held.value(rule.tensor)[rule.part] if rule.part else held.value(rule.tensor)
        value = rule.stored.floats(held, value) if rule.stored is not None else value
        return value if rule.factor == 1 else value * value.dtype.type(rule.factor)

    def write(values: np.ndarray) -> None:
        assert stored is not None
        whole = np.array(numpy_helper.to_array(stored))
        whole[rule.part or ...] = values
        stored.CopyFrom(numpy_helper.from_array(whole, stored.name))

    is_stored = stored is not None and rule.factor == 1 and rule.stored is None
    return Weight(
        rule.name,
        origin,
        layout,
        tuple(shape),
        _dtype_name(dtype) if rule.stored is None else "float32",
        False,
        read,
        write if is_stored else None,
        (id(held.native), origin, str(rule.part)),
    )


def _dtype_name(dtype: int) -> str:
    name = str(TensorProto.DataType.Name(dtype)).lower()
    return {"double": "float64", "float": "float32"}.get(name, name)


def _origin(held: Held, name: str) -> str:
    """The stored tensor that a constant is made of, where it is one alone; else the constant itself."""
    while name not in held.stored and name in held.maker:
        made_of = [one for one in held.maker[name].inputs if one in held.constants]
        large = [one for one in made_of if np.prod(held.constants[one][0]) > 1] or made_of
        if len(large) != 1:
            break
        name = large[0]
    return name


def native_rule(held: Held, tensor: str) -> Rule:
    """A constant that no rule tells of: under the last part of its own name, its axes by their places."""
    name = _origin(held, tensor)
    shown = name.rpartition("/")[2].rpartition(".")[2].rpartition(":")[2] or name
    return Rule(shown, tensor, positional_layout(len(held.constants[tensor][0])))

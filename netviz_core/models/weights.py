"""Weights in canonical layout, read from the framework only when somebody wants the numbers.

What backends build their `WeightTensor` from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..words.arrays import AxisArray, count_nonfinite
from ..words.cards import Telling, Told, details, pairs
from ..words.errors import InputError, LayerNotFoundError, NetvizError, UnsupportedError, nearest
from ..words.given import entries_of, shown
from ..words.protocols import WeightTensor
from ..words.ranges import range_told
from ..words.text_tables import counted, named, printable
from .shown import form_of_weight, table_of_weights

_MOST_READ = 2**20
"""Of a weight with more values none is read to tell what it is."""


@dataclass(frozen=True)
class Layout:
    """How a framework's array becomes a canonical one, and back.

    Parameters
    ----------
    axes : tuple of str
        The canonical axes.
    pattern : str
        An einops pattern from the native to the canonical order; empty if they are the same.
    sizes : mapping, optional
        Lengths that `pattern` needs to take an axis apart.
    order : tuple of int, optional
        Which entries of the first axis, after `pattern`, come first, second, …: the gates.
    part : int or slice, optional
        The weight is only this part of the native array's first axis.

    Examples
    --------
    >>> keras_conv = Layout(("out", "in", "y", "x"), "y x i o -> o i y x")
    >>> keras_conv.shape((3, 3, 1, 32))
    (32, 1, 3, 3)
    """

    axes: tuple[str, ...]
    pattern: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    order: tuple[int, ...] = ()
    part: int | slice | None = None

    def to_canonical(self, native: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Rearrange a native array; a view where NumPy can make one."""
        arranged = self._arranged(native)
        return arranged[list(self.order)] if self.order else arranged

    def to_native(self, values: np.ndarray[Any, Any], native: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Undo `to_canonical`.

        Parameters
        ----------
        values : numpy.ndarray
            In canonical layout.
        native : numpy.ndarray
            The native array as it is now, for its shape, and for what `values` says nothing of.
        """
        if self.order:
            values = values[np.argsort(self.order)]
        if self.pattern:
            from einops import rearrange  # here, as few weights need it

            before, _, after = self.pattern.partition("->")
            values = rearrange(values, f"{after} -> {before}", **self._lengths(self._cut(native).shape))
        if self.part is None:
            return values
        whole = native.copy()
        whole[self.part] = values
        return whole

    @property
    def native_rank(self) -> int:
        """How many axes a native array has."""
        native_side = self.pattern.partition("->")[0]
        rank = len(re.findall(r"\([^)]*\)|\S+", native_side)) if self.pattern else len(self.axes)
        return rank + isinstance(self.part, int)

    def shape(self, native_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The canonical shape of a native array of `native_shape`, which need not exist."""
        # One number stretched to any shape takes no memory, so nothing is copied here.
        stand_in = np.broadcast_to(np.zeros((), np.int8), native_shape)
        return tuple(self._arranged(stand_in).shape)

    def _arranged(self, native: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        cut = self._cut(native)
        if not self.pattern:
            return cut
        from einops import rearrange  # here, as few weights need it

        rearranged: np.ndarray[Any, Any] = rearrange(cut, self.pattern, **self.sizes)
        return rearranged

    def _cut(self, native: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return native if self.part is None else native[self.part]

    def _lengths(self, native_shape: tuple[int, ...]) -> dict[str, int]:
        """The length of every axis that `pattern` names alone on the native side, and of those given."""
        native_side = self.pattern.partition("->")[0]
        if "(" in native_side:
            return dict(self.sizes)
        named = dict(zip(native_side.split(), native_shape, strict=True))
        return {**self.sizes, **{name: length for name, length in named.items() if name != "1"}}


class Weights(Telling, dict[str, "Weight"]):
    """A layer's weights by their names; of one that is not there it is told which are."""

    def __missing__(self, name: object) -> Weight:
        has = nearest(str(name), self) or "the layer has none of its own"
        raise LayerNotFoundError(f"there is no weight {shown(name)}; {has}")

    def __repr__(self) -> str:
        return f"<{self._in_short}>"

    @property
    def _in_short(self) -> str:
        forms = (f"{name} {form_of_weight(weight)}" for name, weight in self.items())
        return f"{counted(len(self), 'weight')}: {printable(named(list(forms)))}"

    def _told(self) -> Told:
        return Told(self._in_short, [table_of_weights(self)])


def by_name(weights: Iterable[Weight]) -> Weights:
    """Weights by their names; a name that comes again is told apart by a number, so that none is lost."""
    found = Weights()
    for weight in weights:
        name, number = weight.name, 0
        while name in found:
            number += 1
            name = f"{weight.name}_{number}"
        found[name] = weight if name == weight.name else replace(weight, name=name)
    return found


def positional_layout(rank: int) -> Layout:
    """The layout of a weight of which nothing is known: ``axis0, axis1, …``."""
    return Layout(tuple(f"axis{i}" for i in range(rank)))


@dataclass(frozen=True, repr=False)
class Weight(Telling):
    """A `WeightTensor` made of a layout and functions that read and write the framework's tensor.

    Parameters
    ----------
    name, native_name : str
        The canonical and the framework's own name.
    layout : Layout
    native_shape : tuple of int
    dtype : str
        The native dtype's name.
    trainable : bool
    read : callable
        Returns the values as a NumPy array in native layout; it may share the framework's memory.
    write : callable, optional
        Takes an array in native layout into the framework's tensor. Without it the weight is read-only.
    identity : hashable, optional
        Equal for weights that are one and the same in the framework: tied ones, or a child's that its
        parent shows too. Without it the weight is like no other.
    """

    name: str
    native_name: str
    layout: Layout
    native_shape: tuple[int, ...]
    dtype: str
    trainable: bool
    read: Callable[[], np.ndarray[Any, Any]]
    write: Callable[[np.ndarray[Any, Any]], None] | None = None
    identity: Hashable = field(default_factory=object)

    @classmethod
    def of(
        cls, array: np.ndarray[Any, Any], name: str, native_name: str, layout: Layout, trainable: bool = True
    ) -> Weight:
        """Of a NumPy array in which the framework itself keeps the weight: it is read and written where it lies."""
        form = (layout, array.shape, str(array.dtype), trainable)
        return cls(name, native_name, *form, lambda: array, lambda new: np.copyto(array, new), id(array))

    @property
    def axes(self) -> tuple[str, ...]:
        """Canonical axis names."""
        return self.layout.axes

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each of `axes`."""
        return self.layout.shape(self.native_shape)

    def __repr__(self) -> str:
        return f"<Weight {self._in_short}>"

    @property
    def _in_short(self) -> str:
        return printable(f"{self.name!r} {form_of_weight(self)} {self.dtype}")

    def _told(self) -> Told:
        known = {
            "called by the framework": self.native_name,
            "trainable": self.trainable,
            "can be written": self.write is not None,
        }
        return Told(f"{self._in_short}{self._range()}", [details("data", pairs(known))])

    def _range(self) -> str:
        """From where to where its values go, where reading them takes no time."""
        count = math.prod(self.shape)
        if count > _MOST_READ:
            return f"; its {count:,} values were not read"
        try:
            return f", {range_told(self.peek())}"
        except (NetvizError, OSError) as error:
            return f"; its values cannot be read: {error}"

    def peek(self) -> np.ndarray[Any, Any]:
        """The weight as it is now, in canonical layout, to be read at once: it may share the model's memory."""
        return widened(self.layout.to_canonical(self.read()))

    def numpy(self) -> np.ndarray[Any, Any]:
        """Copy the weight as it is now, in canonical layout."""
        return np.array(self.peek(), order="C", copy=True)

    def assign(self, values: Any, *, allow_nonfinite: bool = False) -> None:
        """Give the weight new values, in place.

        Parameters
        ----------
        values : array_like or AxisArray
            In canonical layout; an `AxisArray` with these axes may have them in any order. The
            numbers are rounded to the native dtype.
        allow_nonfinite : bool
            Take NaN and infinities too.

        Raises
        ------
        InputError
            If the shape or the dtype does not fit, or a value is not finite; the weight is unchanged.
        UnsupportedError
            If the weight is computed from others, so that it cannot be written.
        """
        checked = self.check(values, allow_nonfinite=allow_nonfinite)
        assert self.write is not None
        self.write(self.layout.to_native(checked, self.read()))

    def check(self, values: Any, *, allow_nonfinite: bool = False) -> np.ndarray[Any, Any]:
        """What `assign` would write, after all its checks; changes nothing."""
        if self.write is None:
            raise UnsupportedError(
                f"weight {self.name!r} ({self.native_name}) is read-only: it is computed from other weights "
                f"(remove the parametrization, or assign to what it is computed from), is kept quantized, packed or "
                f"in parts, or stands in a checkpoint"
            )
        if isinstance(values, AxisArray):
            values = values.transpose(*self.axes).values
        array = self._as_array(values)
        if array.shape != self.shape:
            raise InputError(
                f"weight {self.name!r} was given the shape {array.shape}; it has {self.shape} for the axes "
                f"{', '.join(self.axes)}"
            )
        if array.dtype.kind not in "fiub" and not array.dtype.name.startswith(("bfloat", "float8")):
            raise InputError(
                f"weight {self.name!r} ({self.dtype}) was given an array of {entries_of(array.dtype)}"
            )
        nonfinite = 0 if allow_nonfinite else sum(count_nonfinite(widened(array)))
        if nonfinite:
            raise InputError(
                f"weight {self.name!r} was given {nonfinite} values that are NaN or infinite; "
                f"if that is meant, say allow_nonfinite=True"
            )
        if _overflows(array, self.dtype):
            raise InputError(f"weight {self.name!r} was given numbers that are too large for {self.dtype}")
        if "int" in self.dtype and not np.array_equal(array, np.rint(array)):
            raise InputError(f"weight {self.name!r} holds {self.dtype} and was given fractions")
        return array

    def _as_array(self, values: Any) -> np.ndarray[Any, Any]:
        try:
            array = np.asarray(values)
        except Exception as error:
            raise InputError(
                f"weight {self.name!r} was given a {type(values).__name__} that NumPy cannot read ({error}); "
                f"give an array"
            ) from error
        if array.dtype == object:
            raise InputError(
                f"weight {self.name!r} was given a {type(values).__name__}, which is no array of numbers; "
                f"of another weight give its numpy()"
            )
        return array


def read_each(
    weights: Mapping[str, WeightTensor], copy: bool = False
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """The values of all weights that can be read, and why the others cannot, by name.

    Without a copy they are only to be looked at.
    """
    values, reasons = {}, {}
    for name, weight in weights.items():
        try:
            values[name] = weight.numpy() if copy else weight.peek()
        except UnsupportedError as error:
            reasons[name] = str(error)
    return values, reasons


def _overflows(array: np.ndarray[Any, Any], dtype: str) -> bool:
    """Whether finite numbers would become infinite in a narrower `dtype`."""
    if dtype not in ("float16", "float32") or array.dtype.itemsize <= np.dtype(dtype).itemsize:
        return False
    with np.errstate(over="ignore"):
        return bool((np.isinf(array.astype(dtype)) & np.isfinite(array)).any())


def widened(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values as float32 where they are of a narrower float; else as they are.

    Examples
    --------
    >>> widened(np.ones(2, np.float16)).dtype, widened(np.ones(2)).dtype
    (dtype('float32'), dtype('float64'))
    """
    narrow = values.dtype == np.float16 or values.dtype.name.startswith(("bfloat", "float8", "float4"))
    return values.astype(np.float32) if narrow else values

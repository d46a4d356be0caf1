"""Weights in canonical layout, read from the framework only when somebody wants the numbers.

What backends build their `WeightTensor` from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Layout:
    """How a framework's array becomes a canonical one.

    Parameters
    ----------
    axes : tuple of str
        The canonical axes.
    pattern : str
        An einops pattern from the native to the canonical order; empty if they are the same.
    sizes : mapping, optional
        Lengths that `pattern` needs to take an axis apart.

    Examples
    --------
    >>> keras_conv = Layout(("out", "in", "y", "x"), "y x i o -> o i y x")
    >>> keras_conv.shape((3, 3, 1, 32))
    (32, 1, 3, 3)
    """

    axes: tuple[str, ...]
    pattern: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)

    def to_canonical(self, native: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Rearrange a native array; a view where NumPy can make one."""
        if not self.pattern:
            return native
        from einops import rearrange

        rearranged: np.ndarray[Any, Any] = rearrange(native, self.pattern, **self.sizes)
        return rearranged

    def shape(self, native_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The canonical shape of a native array of `native_shape`, which need not exist."""
        # One number stretched to any shape takes no memory, so nothing is copied here.
        stand_in = np.broadcast_to(np.zeros((), np.int8), native_shape)
        return tuple(self.to_canonical(stand_in).shape)


def positional_layout(rank: int) -> Layout:
    """The layout of a weight of which nothing is known: ``axis0, axis1, …``."""
    return Layout(tuple(f"axis{i}" for i in range(rank)))


@dataclass(frozen=True)
class Weight:
    """A `WeightTensor` made of a layout and a function that reads the framework's tensor.

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
    """

    name: str
    native_name: str
    layout: Layout
    native_shape: tuple[int, ...]
    dtype: str
    trainable: bool
    read: Callable[[], np.ndarray[Any, Any]] = field(repr=False)

    @property
    def axes(self) -> tuple[str, ...]:
        """Canonical axis names."""
        return self.layout.axes

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each of `axes`."""
        return self.layout.shape(self.native_shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        """Copy the weight as it is now, in canonical layout."""
        return np.array(widened(self.layout.to_canonical(self.read())), order="C", copy=True)


def widened(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values as float32 where they are of a narrower float; else as they are.

    Examples
    --------
    >>> widened(np.ones(2, np.float16)).dtype, widened(np.ones(2)).dtype
    (dtype('float32'), dtype('float64'))
    """
    narrow = values.dtype == np.float16 or values.dtype.name.startswith(("bfloat", "float8", "float4"))
    return values.astype(np.float32) if narrow else values

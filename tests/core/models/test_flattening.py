"""Flattened features from one order to another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netviz_core as nv
from netviz_core.models.flattening import reordered


def layer(flattened: Any = (), kind: str = "dense", key: str = "flattened") -> Any:
    return SimpleNamespace(path=kind, kind=kind, config={} if flattened == () else {key: flattened})


def test_a_kernel_sees_the_same_features_in_another_order():
    image = np.random.default_rng(0).normal(size=(2, 3, 4))  # y, x, channel
    kernel = np.random.default_rng(1).normal(size=(5, 24))
    moved, note = reordered(kernel, ("out", "in"), layer(({"y": 2, "x": 3, "channel": 4},)), layer())
    np.testing.assert_allclose(moved @ image.transpose(2, 0, 1).ravel(), kernel @ image.ravel())
    assert note == "flattened features brought from (y 2, x 3, channel 4) to (channel 4, y 2, x 3)"


parts = st.permutations(["y", "x", "channel"]).flatmap(
    lambda axes: st.tuples(*[st.integers(1, 4)] * 3).map(lambda sizes: dict(zip(axes, sizes, strict=True)))
)


@given(st.lists(parts, min_size=1, max_size=3))
def test_there_and_back_again(order):
    size = sum(int(np.prod(list(part.values()))) for part in order)
    bias = np.arange(size)
    there, _ = reordered(bias, ("out",), layer(order, key="unflattened"), layer())
    back, _ = reordered(there, ("out",), layer(), layer(order, key="unflattened"))
    np.testing.assert_array_equal(back, bias)
    same, note = reordered(bias, ("out",), layer(order, key="unflattened"), layer(order, key="unflattened"))
    np.testing.assert_array_equal(same, bias)
    assert not note


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "text"),
    [
        (({"y": 2, "x": 2, "channel": 2},), None, "dense", "the order cannot be known on one side"),
        (({"y": 2, "x": 2, "channel": 2},), ({"y": 4, "x": 1, "channel": 2},), "dense", "8 of them are"),
        (({"y": 2, "x": 2, "channel": 3},), (), "dense", "8 of them are"),
        (({"y": 2, "x": 2, "channel": 2},), (), "group_norm", "different features into one group"),
    ],
)
def test_what_cannot_be_brought_together_is_refused(ours, theirs, kind, text):
    axis = "channel" if kind == "group_norm" else "in"
    with pytest.raises(nv.InputError, match=text):
        reordered(np.zeros(8), (axis,), layer(ours, kind), layer(theirs, kind))


def test_axes_without_names_stay_as_they_are_and_the_note_says_so():
    kernel = np.arange(6).reshape(1, 6)
    moved, note = reordered(kernel, ("out", "in"), layer(({"axis1": 2, "axis2": 3},)), layer())
    np.testing.assert_array_equal(moved, kernel)
    assert note == "flattened features taken to be (axis1 2, axis2 3) on both sides"

"""Named axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netviz_core as nv
from netviz_core.words.arrays import canonical_axes, positional_axes


def array() -> nv.AxisArray:
    return nv.AxisArray(np.arange(24).reshape(2, 3, 4), ("batch", "y", "x"))


def test_transpose_moves_values_and_names_together():
    turned = array().transpose("x", "batch", "y")
    assert turned.axes == ("x", "batch", "y")
    assert turned.values[3, 1, 2] == array().values[1, 2, 3]
    assert np.shares_memory(turned.values, turned.transpose("batch", "y", "x").values)


def test_select_drops_an_axis_for_a_number_and_keeps_it_for_a_slice():
    picked = array().select(batch=1, x=slice(0, 2))
    assert picked.axes == ("y", "x")
    np.testing.assert_array_equal(picked.values, array().values[1, :, :2])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nv.AxisArray(np.zeros((2, 3)), ("a",)),
            nv.AxisError,
            "one name for each of its 2 dimensions",
        ),
        (lambda: nv.AxisArray(np.zeros((2, 3)), ("a", "a")), nv.AxisError, "not distinct"),
        (lambda: array().transpose("x", "y"), nv.AxisError, "name each of them once"),
        (lambda: array().select(why=0), nv.AxisError, "no axis 'why'"),
        (lambda: array().select(x=4), nv.InputError, "which has 4 entries"),
        (
            lambda: nv.images(np.zeros((2, 2))),
            nv.AxisError,
            r"shape \(2, 2\) has not the axes batch, y, x, channel",
        ),
        (lambda: nv.images("digit.png"), nv.AxisError, "'digit.png' is no array"),
        (lambda: nv.images(None), nv.AxisError, "None is no array"),
    ],
)
def test_what_does_not_fit_is_said(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_numpy_takes_it_as_an_array():
    assert np.asarray(array()).shape == (2, 3, 4)
    assert np.asarray(array(), dtype=float).dtype == float
    assert np.array(array(), copy=True).flags.owndata


def test_a_single_image_is_a_batch_of_one():
    assert nv.images(np.zeros((5, 6, 3))).sizes == {"batch": 1, "y": 5, "x": 6, "channel": 3}


@given(st.permutations(["batch", "channel", "z", "y", "x"]))
def test_canonical_order_does_not_depend_on_the_order_given(axes):
    assert canonical_axes(axes) == ("batch", "channel", "z", "y", "x")


def test_axes_of_the_users_own_stay_where_they_are():
    assert canonical_axes(("batch", "head", "channel")) == ("batch", "head", "channel")


def test_positional_axes():
    assert positional_axes(3) == ("batch", "axis1", "axis2")
    assert positional_axes(0) == ()

"""Which axis an array of images lacks is told by its channels."""

import numpy as np
import pytest

import netviz_core as nv

FIRST = ("batch", "channel", "y", "x")


@pytest.mark.parametrize(
    ("shape", "axes", "sizes"),
    [
        ((1797, 8, 8), None, (1797, 8, 8, 1)),
        ((3, 8, 8), None, (3, 8, 8, 1)),
        ((28, 28, 1), None, (1, 28, 28, 1)),
        ((28, 28, 3), None, (1, 28, 28, 3)),
        ((28, 28, 4), None, (1, 28, 28, 4)),
        ((3, 28, 28), FIRST, (1, 3, 28, 28)),
        ((60, 28, 28), FIRST, (60, 1, 28, 28)),
    ],
)
def test_three_axes(shape, axes, sizes):
    found = nv.images(np.zeros(shape)) if axes is None else nv.images(np.zeros(shape), axes)
    assert found.shape == sizes


def test_two_axes_are_refused():
    with pytest.raises(nv.AxisError):
        nv.images(np.zeros((28, 28)))

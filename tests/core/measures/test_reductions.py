"""Each channel reduced block by block: the same as NumPy over the whole in float64, however it lies in memory."""

from __future__ import annotations

import numpy as np
import pytest

from netviz_core.measures.reductions import by_channel

RNG = np.random.default_rng(0)

LAID_OUT = {
    "long rows": ((3, 5, 4), (70, 60)),
    "rows longer than a block": ((1, 2), (70_001,)),
    "one row that is cut": ((1, 1), (70, 701)),
    "one row of whole pieces": ((1, 1), (3, 4096)),
    "short rows": ((70, 5), (7, 3)),
    "channels last": ((9, 50, 24), ()),
    "few channels last, of an odd number of places": ((4097, 3), ()),
    "few values": ((4, 3), (5,)),
}


def as_laid_out(name: str) -> tuple[np.ndarray, tuple[str, ...], int]:
    before, after = LAID_OUT[name]
    names = ("batch", "x", "channel") if len(before) == 3 else ("batch", "channel")
    values = RNG.normal(size=before + after).astype("float32")
    return values, names + ("z", "y")[: len(after)], len(before) - 1


def assert_right(values: np.ndarray, axes: tuple[str, ...], channel: int) -> None:
    found = by_channel(values, axes)
    rows = np.moveaxis(values, channel, 0).reshape(values.shape[channel], -1).astype("float64")
    finite = np.isfinite(rows)
    known = np.where(finite, rows, np.nan)
    np.testing.assert_array_equal(found.count, finite.sum(axis=1))
    np.testing.assert_array_equal(found.zero_count, (rows == 0).sum(axis=1))
    np.testing.assert_array_equal(found.nonfinite_count, (~finite).sum(axis=1))
    np.testing.assert_array_equal(found.nan_count, np.isnan(rows).sum(axis=1))
    np.testing.assert_array_equal(found.minimum, np.nanmin(known, axis=1))
    np.testing.assert_array_equal(found.maximum, np.nanmax(known, axis=1))
    size = np.sqrt(np.nanmean(known**2, axis=1))
    np.testing.assert_allclose(found.mean / size, np.nanmean(known, axis=1) / size, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.variance, np.nanvar(known, axis=1), rtol=1e-6)


@pytest.mark.parametrize("name", LAID_OUT)
@pytest.mark.parametrize("offset", [0.0, 1.5, -3.0, 1e3])
def test_every_layout_gives_the_same(name, offset):
    values, axes, channel = as_laid_out(name)
    assert_right(values + np.float32(offset), axes, channel)


@pytest.mark.parametrize("name", LAID_OUT)
def test_zeros_are_counted_and_what_is_not_finite_is_told_apart(name):
    values, axes, channel = as_laid_out(name)
    values = np.maximum(values, 0)
    one = np.moveaxis(values, channel, 0)[0]
    one[tuple(np.array(one.shape) - 1)] = np.nan
    one[(0,) * one.ndim] = -np.inf
    assert_right(values, axes, channel)


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e25])
def test_numbers_that_float32_cannot_square(scale):
    values, axes, channel = as_laid_out("short rows")
    assert_right(values * np.float32(scale), axes, channel)


def test_the_mean_of_the_largest_numbers_is_finite():
    found = by_channel(
        np.full((300, 2), 1.7e308) * np.linspace(0.9, 1, 300)[:, np.newaxis], ("batch", "channel")
    )
    np.testing.assert_allclose(found.mean, 1.615e308)


def test_the_first_values_need_not_be_like_the_others():
    values = RNG.normal(size=(64, 3, 40)).astype("float32")
    values[1:] += 500
    values[::4, 2, ::10] = -1e4
    assert_right(values, ("batch", "channel", "x"), 1)


def test_constant_channels_have_no_variance_and_views_are_read_as_they_are():
    values = np.full((3, 700, 8), 0.1, "float32")
    found = by_channel(values.transpose(0, 2, 1)[:, ::2], ("batch", "channel", "x"))
    assert found.variance.tolist() == [0.0] * 4
    assert found.mean.tolist() == [float(np.float32(0.1))] * 4
    assert_right(RNG.normal(size=(500, 4, 6))[:, :, ::2], ("batch", "channel", "x"), 1)


def test_a_mean_that_is_small_beside_the_values_is_precise_where_it_has_to_be():
    values = RNG.normal(size=300_000).astype("float32")
    values -= np.float32(values.mean(dtype="float64"))
    found = by_channel(values, (), precise=True)
    np.testing.assert_allclose(found.mean, values.mean(dtype="float64"), rtol=1e-5)
    np.testing.assert_allclose(found.variance, values.var(dtype="float64"), rtol=1e-12)

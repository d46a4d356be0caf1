"""Named arrays go to xarray with their names."""

from __future__ import annotations

import numpy as np

import netviz_core as nv


def test_axes_become_dimensions_and_memory_is_shared():
    array = nv.AxisArray(np.arange(6.0).reshape(2, 3), ("batch", "channel"))
    converted = array.to_xarray()
    assert converted.dims == ("batch", "channel")
    assert np.shares_memory(converted.values, array.values)
    assert float(converted.sel(batch=1, channel=2)) == 5

"""Statistics of tensors that are reduced where they lie are those that NumPy finds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import netviz_core as nv
import netviz_torch.watch
from netviz_core.backend_api import Binning
from netviz_core.measures.bins import leading_bits
from netviz_core.measures.layer_statistics import LayerStatistics
from netviz_torch.reductions import Reductions, Shown, can_be_reduced
from netviz_torch.tensors import to_numpy

AXES = ("batch", "channel", "y", "x")


@pytest.fixture
def there(monkeypatch):
    """As on a GPU: what can be is reduced by PyTorch."""
    monkeypatch.setattr(netviz_torch.watch, "is_better_there", can_be_reduced)


def both(tensor, axes, most=None):
    assert can_be_reduced(tensor)
    begun = LayerStatistics.begun(Shown(tensor, Reductions()), axes, most=most)
    return begun(), LayerStatistics.of(np.asarray(to_numpy(tensor)), axes, most=most)


def require_same(ours, numpys):
    np.testing.assert_array_equal(ours.histogram, numpys.histogram)
    for name in ("count", "zero_count", "nonfinite_count", "nan_count", "minimum", "maximum"):
        mine, theirs = (getattr(one.channels, name) for one in (ours, numpys))
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
        assert mine.dtype == theirs.dtype
    spread = np.sqrt(numpys.channels.variance)
    distance = np.abs(ours.channels.mean - numpys.channels.mean)
    assert np.array_equal(np.isnan(ours.channels.mean), np.isnan(numpys.channels.mean))
    assert not (distance > 1e-6 * (spread + np.abs(numpys.channels.mean)))[~np.isnan(distance)].any()
    np.testing.assert_allclose(ours.channels.variance, numpys.channels.variance, rtol=2e-6)


FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("axes", [AXES, ("batch", "axis1", "y", "x"), ("batch", "y", "x", "channel")])
def test_floats_of_any_width(dtype, axes):
    values = torch.randn(5, 6, 7, 8) * 4
    values[:, 1], values[0, 2, 0, :4] = 2.5, torch.tensor([0.0, -0.0, 1e-3, -3.0])
    for most in (None, 100):
        require_same(*both(values.to(dtype), axes, most))


@pytest.mark.parametrize("dtype", WHOLE, ids=str)
def test_whole_numbers(dtype):
    require_same(*both(torch.randint(0, 2 if dtype == torch.bool else 100, (5, 6, 7)).to(dtype), AXES[:3]))


@pytest.mark.parametrize(
    "values",
    [
        torch.full((2, 3, 4), torch.nan),
        torch.tensor([[torch.inf, 1.0], [-torch.inf, torch.nan], [3.0, 4.0]]),
        torch.tensor([0x7F800001, 0x3F800000], dtype=torch.int32).view(torch.float32),
        torch.tensor([1e-45, -1e-40, 3e38, -3e38, 2e-10]),
        torch.randn(64, 3, 40) + 1e5,
        torch.full((100, 2), 1e30),
        torch.tensor([[1e300, 1e308], [-1e308, 1.7e308]], dtype=torch.float64),
        torch.tensor([1e300, -1e39, 5.0], dtype=torch.float64),
        torch.tensor(3.0),
    ],
    ids=["nan", "inf", "signalling", "tiny", "far", "constant", "largest", "beyond float32", "scalar"],
)
def test_odd_values(values):
    for axes in (AXES[: values.ndim], tuple(f"axis{place}" for place in range(values.ndim))):
        require_same(*both(values, axes))
    if values.ndim == 1:
        require_same(*both(values, ("channel",)))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.transpose(1, 3),
        lambda t: t[:, ::2],
        lambda t: t[..., 1:-1],
        lambda t: t.to(memory_format=torch.channels_last),
        lambda t: t.permute(3, 2, 1, 0),
    ],
)
def test_tensors_of_any_layout(change):
    for most in (None, 50):
        require_same(*both(change(torch.randn(4, 6, 8, 10)), AXES, most))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=60),
    st.sampled_from([torch.float32, torch.float16, torch.float64]),
)
def test_any_values(values, dtype):
    require_same(*both(torch.tensor(values, dtype=torch.float64).to(dtype)[:, None], ("batch", "channel")))


def test_what_is_not_plain_is_left_to_numpy():
    assert not can_be_reduced(torch.zeros(2, dtype=torch.complex64))
    assert not can_be_reduced(torch.zeros(0, 3))
    assert not can_be_reduced(torch.zeros(1, 3).expand(4, 3))


class Copies(TorchDispatchMode):
    """Counts what is brought to another device, and what waits for one."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func.overloadpacket).removeprefix("aten."))
        return func(*args, **(kwargs or {}))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2)
    ).eval()


def test_statistics_of_a_network(there, monkeypatch):
    model, x = network(), torch.randn(8, 3, 8, 8)
    read = []
    monkeypatch.setattr(Shown, "numpy", lambda self: read.append(self))
    ours = nv.statistics(model, x)
    monkeypatch.undo()
    numpys = nv.statistics(model, x)
    assert not read
    assert list(ours) == list(numpys)
    for key, layer in numpys.items():
        require_same(ours[key], layer)


def test_nothing_waits_before_the_last_layer_has_run(there, monkeypatch):
    model, order = network(), []
    model[4].register_forward_hook(lambda *_: order.append("last layer"))
    read = Reductions.read
    monkeypatch.setattr(Reductions, "read", lambda self: order.append("read") or read(self))
    nv.statistics(model, [torch.randn(8, 3, 8, 8)], progress=False)
    assert order == ["last layer", "read"]


def test_no_operation_waits_for_the_device():
    with Copies() as copies:
        Reductions().add(torch.randn(2, 3, 4), 1, Binning(1, *leading_bits(4)))
    waiting = {"_local_scalar_dense", "item", "nonzero", "bincount", "unique", "masked_select"}
    assert not waiting & set(copies.seen)


def test_what_comes_later_does_not_change_what_was_seen(there):
    class Writing(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            made = self.linear(x)
            made.numpy()[:] = 7.0
            return made.zero_()

    model, x = Writing(), torch.randn(50, 3)
    found = nv.statistics(model, [x], progress=False)
    with torch.no_grad():
        np.testing.assert_allclose(
            found["linear"].channels.mean, model.linear(x).mean(0), rtol=1e-5, atol=1e-6
        )
    assert found[""].zero_count == 150

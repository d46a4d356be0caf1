"""A capture holds what was asked for, and not a byte twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

import netviz_core as nv

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Noting(nn.Module):
    """A linear layer that notes where its outputs lie, and whether they still do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        y = self.layer(x)
        with torch._C.DisableTorchFunction():  # or netviz would take care, for a pointer can be written to
            seen.append(y.data_ptr())
            alive.append(StorageWeakRef(y.untyped_storage()))
        return y


seen: list[int] = []
alive: list[StorageWeakRef] = []


@pytest.fixture(autouse=True)
def _nothing_seen():
    seen.clear()
    alive.clear()


def address(values: np.ndarray) -> int:
    return values.__array_interface__["data"][0]


def test_a_value_that_nobody_else_holds_is_not_copied():
    captured = nv.capture(nn.Sequential(Noting(), nn.Linear(4, 4)), X, "0")
    assert address(captured["0"].values) == seen[0]


def test_of_two_that_share_memory_one_is_copied():
    captured = nv.capture(nn.Sequential(Noting(), nn.Linear(4, 4)), X)
    addresses = {address(captured[path].values) for path in ("0.layer", "0")}
    assert len(addresses) == 2
    assert seen[0] in addresses


def test_a_value_that_is_overwritten_has_been_copied():
    captured = nv.capture(nn.Sequential(Noting(), nn.ReLU(inplace=True), nn.Linear(4, 4)), X, ["0", "1"])
    assert address(captured["0"].values) != seen[0]
    assert address(captured["1"].values) == seen[0]


def test_a_value_that_somebody_keeps_has_been_copied():
    kept = []
    model = nn.Sequential(Noting())
    model.register_forward_hook(lambda module, args, output: kept.append(output))
    captured = nv.capture(model, X, "0")
    assert address(captured["0"].values) != kept[0].data_ptr()


def test_layers_that_were_not_asked_for_are_freed_at_once():
    freed = []

    class Looks(nn.Module):
        def forward(self, x):
            freed.append([reference.expired() for reference in alive])
            return x

    model = nn.Sequential(Noting(), nn.Linear(4, 4), Noting(), nn.Linear(4, 4), Looks())
    nv.capture(model, X, ["1", "3"])
    assert freed == [[True, True]]


def test_nothing_of_the_pass_outlives_a_capture_of_one_layer():
    captured = nv.capture(nn.Sequential(Noting(), nn.Linear(4, 4)), X, "1")
    assert [reference.expired() for reference in alive] == [True]
    assert list(captured) == ["1"]


def test_a_capture_that_is_thrown_away_frees_its_values():
    captured = nv.capture(nn.Sequential(Noting(), nn.Linear(4, 4)), X)
    assert not alive[0].expired()
    del captured
    assert alive[0].expired()


def test_max_bytes_refuses_before_anything_is_copied():
    copies = []

    class Counts(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is torch.Tensor.clone:
                copies.append(args[0].shape)
            return func(*args, **(kwargs or {}))

    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1000))
    with Counts(), pytest.raises(nv.CaptureTooLargeError, match=r"layer '1' .*max_bytes=100"):
        nv.capture(model, X, max_bytes=100)
    assert (3, 1000) not in copies
    assert not any(module._forward_hooks for module in model.modules())
    assert list(nv.capture(model, X, "0", max_bytes=48)) == ["0"]


def test_narrow_floats_count_as_what_they_become():
    model = nn.Linear(4, 4).half()
    with pytest.raises(nv.CaptureTooLargeError):
        nv.capture(model, X.half(), max_bytes=47)
    assert nv.capture(model, X.half(), max_bytes=48)[""].values.nbytes == 48


@pytest.mark.parametrize(
    "reduce",
    [lambda activation: activation.values.mean(), {"0*": lambda activation: activation.values.mean()}],
)
def test_reductions_are_kept_in_place_of_the_tensor(reduce):
    freed = []

    class Looks(nn.Module):
        def forward(self, x):
            freed.append(alive[0].expired())
            return x

    model = nn.Sequential(Noting(), nn.Linear(4, 4), Looks())
    seen_by_reduction = []

    def look(activation):
        seen_by_reduction.append((activation.path, activation.call, activation.axes, activation.dtype))
        return activation.select(batch=0)

    with torch.no_grad():
        expected = model[0].layer(X).numpy()
        alive.clear()
    captured = nv.capture(model, X, ["0", "1"], reduce=reduce)
    assert captured["0"].values == pytest.approx(expected.mean())
    assert captured["1"].values.shape == (() if callable(reduce) else (3, 4))
    assert freed == [True]
    first = nv.capture(model, X, "0", reduce=look, max_bytes=16)["0"]
    np.testing.assert_array_equal(first.values, expected[0])
    assert first.axes == ("channel",)
    assert seen_by_reduction == [("0", 0, ("batch", "channel"), "float32")]

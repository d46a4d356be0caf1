"""Layers of which it is known what they do go past the watch, and nothing is lost by that."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import netviz_core as nv
import netviz_torch.watch


@pytest.fixture
def seen(monkeypatch):
    """The operations that the watch saw."""
    names = []
    run = netviz_torch.watch.Watch.run

    def noting(self, func, args, kwargs):
        names.append(str(func.overloadpacket).removeprefix("aten."))
        return run(self, func, args, kwargs)

    monkeypatch.setattr(netviz_torch.watch.Watch, "run", noting)
    return names


def network():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()  # fmt: skip


def by_hand(model, x):
    kept = {}
    handles = [
        module.register_forward_hook(
            lambda module, args, output, path=path: kept.update({path: output.clone()})
        )
        for path, module in model.named_modules()
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return {path: value.numpy() for path, value in kept.items()}


def test_only_what_lies_between_them_is_watched(seen):
    model, x = network(), torch.randn(2, 3, 8, 8)
    captured = nv.capture(model, x)
    assert set(seen) == {"view"}
    expected = by_hand(model, x)
    assert captured.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(captured[path].values, value)
    assert captured["0"].axes == captured["2"].axes == ("batch", "channel", "y", "x")
    assert captured["5"].axes == ("batch", "channel")


def test_a_layer_that_keeps_statistics_is_watched(seen):
    model = network()
    with nv.recording(model) as captured:
        model.train()(torch.randn(4, 3, 8, 8))
    assert "native_batch_norm" in seen
    assert captured["1"].axes == ("batch", "channel", "y", "x")


@pytest.mark.parametrize("kind", [TorchFunctionMode, TorchDispatchMode])
def test_a_mode_of_the_users_sees_all(kind, seen):
    heard = []
    dunder = "__torch_function__" if kind is TorchFunctionMode else "__torch_dispatch__"

    def hear(self, func, types, args=(), kwargs=None):
        heard.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))

    with type("Mode", (kind,), {dunder: hear})():
        nv.capture(network(), torch.randn(2, 3, 8, 8))
    assert any("conv" in name for name in heard)


def test_a_hook_that_comes_with_the_pass_is_seen_to_write():
    class Hooking(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.linear = nn.ReLU(), nn.Linear(3, 3)

        def forward(self, x):
            made = self.linear(x)
            self.linear.register_forward_hook(lambda module, args, output: output.zero_())
            return made + self.linear(self.relu(x))

    model, x = Hooking(), torch.randn(2, 3)
    captured = nv.capture(model, x)
    with torch.no_grad():
        expected = nn.functional.linear(x.relu(), model.linear.weight, model.linear.bias)
    assert not model.linear._forward_hooks
    np.testing.assert_allclose(captured["linear:1"].values, expected, rtol=1e-6)


def test_an_error_that_the_model_catches_leaves_the_watch_awake():
    class Trying(nn.Module):
        def __init__(self):
            super().__init__()
            self.wrong, self.linear = nn.Linear(5, 3), nn.Linear(3, 3)

        def forward(self, x):
            with contextlib.suppress(RuntimeError):
                self.wrong(x)
            made = self.linear(x)
            view = made.view(-1)
            view.add_(1.0)
            made.numpy()[:] += 1.0
            return made

    model, x = Trying(), torch.randn(2, 3)
    captured = nv.capture(model, x)
    with torch.no_grad():
        expected = model.linear(x)
    np.testing.assert_allclose(captured["linear"].values, expected, rtol=1e-6)
    np.testing.assert_allclose(captured[""].values, expected + 2.0, rtol=1e-6)
    assert captured.coverage["wrong"].status == "not_observed"
    assert torch._C._len_torch_dispatch_stack() == torch._C._len_torch_function_stack() == 0
    with nv.recording(model) as after:
        pass
    assert not after


def test_an_error_in_a_known_layer_passes_through_and_all_is_as_before():
    model = network()
    with pytest.raises(ValueError, match="expected 4D input"), nv.recording(model):
        model[1](torch.randn(4, 4))
    heard = []

    class Hearing(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            heard.append(func)
            return func(*args, **(kwargs or {}))

    with Hearing():
        torch.ones(2) + 1
    assert heard
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_shared_weights_of_a_layer_that_went_past_count_as_used():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight, self.second.bias = self.first.weight, self.first.bias

        def forward(self, x):
            return self.first(x)

    assert "'first' has too" in nv.capture(Shared(), torch.randn(2, 3)).coverage["second"].reason


def test_another_thread_goes_past_nothing():
    model, x = network(), torch.randn(2, 3, 8, 8)
    with nv.recording(model) as captured:
        thread = threading.Thread(target=lambda: model(x))
        thread.start()
        thread.join()
    assert not captured
    assert "another thread" in captured.coverage["0"].reason

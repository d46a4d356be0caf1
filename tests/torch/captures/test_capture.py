"""A captured value is what the layer returned, and the model stays as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv

from ..small import X, small_cnn


def test_values_are_those_that_layers_returned():
    """The in-place ReLU overwrites what the norm returned; the capture must not show that."""
    model = small_cnn().eval()
    captured = nv.capture(model, X)
    value = X
    with torch.no_grad():
        for name, layer in model.named_children():
            value = copy.deepcopy(layer)(value.clone())
            np.testing.assert_array_equal(captured[name].values, value.numpy())
    assert captured["1"].values.min() < 0
    assert captured["2"].values.min() == 0
    assert all(entry.status == "captured" for entry in captured.coverage.values())


def test_axes_are_known_from_the_layers():
    captured = nv.capture(small_cnn(), X)
    assert captured["0"].axes == captured["3"].axes == ("batch", "channel", "y", "x")
    assert captured["5"].axes == captured["6"].axes == ("batch", "channel")


def test_an_axis_array_becomes_channels_first():
    pictures = nv.images(X.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(
        nv.capture(small_cnn(), pictures, "6")["6"].values, nv.capture(small_cnn(), X, "6")["6"].values
    )


def test_the_model_stays_as_it_was():
    model = small_cnn()
    model[1].eval()
    model.train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    rng = torch.get_rng_state()
    nv.capture(model, X)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_the_model_raises_passes_through_and_nothing_is_left_behind():
    class Boom(nn.Module):
        def forward(self, x):
            raise KeyboardInterrupt

    model = nn.Sequential(nn.Conv2d(1, 1, 1), Boom())
    with pytest.raises(KeyboardInterrupt):
        nv.capture(model, X)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_recording_keeps_the_users_gradients():
    model, twin = small_cnn(), small_cnn()
    torch.manual_seed(1)
    with nv.recording(model) as captured:
        model(X.clone()).sum().backward()
    torch.manual_seed(1)
    twin(X.clone()).sum().backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
    assert captured["1"].values.min() < 0


def test_an_input_that_does_not_fit_says_what_would():
    with pytest.raises(
        nv.InputError, match=r"\(2, 8, 8, 1\).*layer '0' \(conv2d\) takes \(batch, channel=1, y, x\)"
    ):
        nv.capture(small_cnn(), X.permute(0, 2, 3, 1))
    with pytest.raises(RuntimeError) as caught:
        nv.capture(small_cnn(), torch.zeros(1, 1, 9, 20))
    assert "layer '6' (dense)" in caught.value.__notes__[0]


def test_doubles_are_brought_to_the_models_dtype_and_the_array_stays():
    pictures = X.numpy().astype(np.float64)
    before = pictures.copy()
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 1))
    assert nv.capture(model, pictures)["1"].values.dtype == np.float32
    np.testing.assert_array_equal(pictures, before)


def test_several_inputs_are_a_tuple_or_a_dict():
    class Add(nn.Module):
        def forward(self, left, right):
            return left + 2 * right

    expected = X.numpy() * 3
    np.testing.assert_allclose(nv.capture(Add(), (X, X))[""].values, expected)
    np.testing.assert_allclose(nv.capture(Add(), {"right": X, "left": X.numpy()})[""].values, expected)


@pytest.mark.parametrize("given", ["text", 3, None, (X, X), np.array(["a"]), np.zeros(3, [("a", "f4")])])
def test_what_is_no_input_is_refused(given):
    with pytest.raises(nv.InputError, match="given"):
        nv.capture(small_cnn(), given)


def test_arrays_of_any_layout_and_rank_are_taken_as_they_are():
    assert nv.capture(nn.ReLU(), np.array(-3.0))[""].shape == ()
    pictures = X.numpy()
    expected = nv.capture(small_cnn(), pictures, "6")["6"].values
    for same in (pictures.astype(">f4"), np.asfortranarray(pictures)):
        np.testing.assert_array_equal(nv.capture(small_cnn(), same, "6")["6"].values, expected)


def test_an_image_that_is_too_small_is_told_why():
    with pytest.raises(nv.InputError, match=r"takes \(batch, channel=1, y, x\) float32: .*[Kk]ernel size"):
        nv.capture(small_cnn(), torch.zeros(1, 1, 2, 2))

"""A Learner is its model: its layers, passes and captures are those of the torch backend."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from fastai.layers import ConvLayer, SelfAttention
from fastai.learner import Learner

import netviz_core as nv
from netviz_core.plugins import backend_for, tensor_to_numpy

from .state import quietly


def _named(network: nv.Network, x: Any) -> dict[str, tuple[str, ...]]:
    return {key: activation.axes for key, activation in nv.capture(network, x).items()}


def test_a_learner_is_fastais(learner: Learner) -> None:
    network = nv.wrap(learner)
    assert network.backend == "fastai"
    assert repr(network) == f"<Network {type(learner).__name__}, fastai backend>"
    assert list(network.layers) == [path for path, _ in learner.model.named_modules()]


def test_a_module_that_fastai_defines_is_torchs() -> None:
    for module in (ConvLayer(3, 4), SelfAttention(16)):
        assert type(module).__module__.startswith("fastai.")
        assert backend_for(module).name == "torch"


def test_whatever_else_fastai_defines_is_no_model(digits: Learner) -> None:
    with pytest.raises(
        nv.UnknownModelError, match="stems from fastai, but is no model to the fastai backend"
    ):
        nv.wrap(digits.dls)


def test_a_tensor_of_fastais_becomes_an_array(digits: Learner) -> None:
    tensor = nv.get_backend("fastai").example(digits)
    assert type(tensor).__module__ == "fastai.torch_core"
    array = tensor_to_numpy(tensor)
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, tensor.as_subclass(torch.Tensor).numpy())


def test_a_pass_gives_what_the_learner_itself_predicts(learner: Learner) -> None:
    adapter = nv.wrap(learner).adapter
    # The first batch: a language model's next would start from the hidden state that this one left.
    ours = adapter.run(learner, adapter.example(learner))
    batch = learner.dls.valid.one_batch()
    theirs, _ = quietly(learner, "get_preds", dl=[batch], act=lambda scores: scores, reorder=False)
    assert type(ours) is torch.Tensor
    torch.testing.assert_close(ours, theirs.as_subclass(torch.Tensor), rtol=0, atol=0)


def test_every_layer_is_captured_or_says_why_not(learner: Learner) -> None:
    network = nv.wrap(learner)
    captured = nv.capture(network, network.adapter.example(learner))
    assert captured.backend == "fastai"
    assert captured.versions["fastai"]
    for activation in captured.values():
        assert type(activation.values) is np.ndarray
    missed = {path: entry.reason for path, entry in captured.coverage.items() if entry.status != "captured"}
    assert all(missed.values())
    # The decoder's weight is the encoder's, too: which of the two used it without a call, nobody can tell.
    known = ("only holds", "not run", "without a call", "'1.decoder' has too")
    assert all(any(words in why for words in known) for why in missed.values()), missed


def test_axes_have_names_although_fastai_has_types_of_its_own(digits: Learner) -> None:
    network = nv.wrap(digits)
    axes = _named(network, network.adapter.example(digits))
    assert axes["0.0"] == ("batch", "channel", "y", "x")
    assert not any(name.startswith("axis") for names in axes.values() for name in names)


def test_a_unet_with_self_attention_is_captured_whole(photographs: Learner) -> None:
    network = nv.wrap(photographs)
    x = network.adapter.example(photographs)
    attending = [path for path, layer in network.layers.items() if layer.type_name == "SelfAttention"]
    assert len(attending) == 1
    captured = nv.capture(network, x)
    missed = [path for path, entry in captured.coverage.items() if entry.status != "captured"]
    assert missed == ["layers"]  # a list of the others
    assert captured[attending[0]].axes[:2] == ("batch", "channel")
    # The last layer gives its output a type of fastai's own.
    assert captured[""].axes == ("batch", "channel", "y", "x")
    # What the model's own hooks hand across is what the layers of the encoder returned.
    blocks = [path for path, layer in network.layers.items() if layer.type_name == "UnetBlock"]
    assert captured[f"{blocks[-1]}.bn"].values.shape[2:] == (32, 32)
    again = nv.capture(network, x)
    for key, activation in captured.items():
        np.testing.assert_array_equal(activation.values, again[key].values, err_msg=key)


def test_a_recording_follows_the_learners_own_predictions(digits: Learner) -> None:
    with nv.recording(digits, "0.0") as captured:
        quietly(digits, "get_preds")
    assert [activation.values.shape[0] for activation in captured.values()] == [8, 8, 4]


def test_importing_the_package_does_not_import_all_of_fastai() -> None:
    script = (
        "import sys, warnings; warnings.simplefilter('ignore'); import netviz_fastai; "
        "print(sorted({'fastai.vision', 'fastai.text', 'fastai.tabular', 'fastai.collab', 'netviz_torch'} "
        "& sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

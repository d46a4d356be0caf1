"""Exported programs."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import netviz_core as nv

from .small import X, small_cnn


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.pt2"
    model = small_cnn().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own deprecations while it exports
        torch.export.save(torch.export.export(model, (X,)), path)
    return model, path


def test_an_exported_program_has_the_layers_of_its_model(exported):
    model, path = exported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = nv.wrap(path, trust=True)
    assert list(network.layers) == list(nv.wrap(model).layers)
    assert [layer.kind for layer in network.layers.values()][1:] == [
        layer.kind for layer in nv.wrap(model).layers.values()
    ][1:]
    ours, theirs = nv.kernels(network, "0"), nv.kernels(model, "0")
    assert ours.title == theirs.title
    np.testing.assert_array_equal(ours.tiles, theirs.tiles)
    np.testing.assert_allclose(
        nv.capture(network, X, "3")["3"].values, nv.capture(model, X, "3")["3"].values, atol=1e-6
    )


def test_nothing_is_unpickled_without_trust(exported):
    with pytest.raises(nv.FileFormatError, match="--trust"):
        nv.wrap(exported[1])


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04truncated"])
def test_a_corrupt_file_is_refused(tmp_path, content):
    path = tmp_path / "broken.pt2"
    path.write_bytes(content)
    with pytest.raises(nv.FileFormatError, match="not an exported PyTorch program"):
        nv.wrap(path, trust=True)


def test_a_truncated_program_is_refused(exported, tmp_path):
    path = tmp_path / "cut.pt2"
    path.write_bytes(exported[1].read_bytes()[:-2000])
    with pytest.raises(nv.FileFormatError):
        nv.wrap(path, trust=True)
    with pytest.raises(FileNotFoundError):
        nv.wrap(tmp_path / "missing.pt2")


def test_a_state_dict_is_mapped_into_memory(tmp_path):
    model = small_cnn()
    torch.save({"epoch": 3, "model": model.state_dict()}, tmp_path / "state.pt")
    network = nv.wrap(tmp_path / "state.pt")
    assert network["model.0"].kind == "conv2d"
    np.testing.assert_array_equal(
        network["model.0"].weights["kernel"].numpy(), model[0].weight.detach().numpy()
    )
    half = nv.wrap(model.to(torch.bfloat16).state_dict())["6"].weights["kernel"]
    assert (half.dtype, half.numpy().dtype) == ("bfloat16", np.float32)


def test_a_pickled_model_needs_trust(tmp_path):
    torch.save(small_cnn(), tmp_path / "model.pth")
    with pytest.raises(nv.FileFormatError, match="--trust"):
        nv.wrap(tmp_path / "model.pth")
    assert nv.wrap(tmp_path / "model.pth", trust=True)["6"].kind == "dense"
    whole = (tmp_path / "model.pth").read_bytes()
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        (tmp_path / "cut.pt").write_bytes(content)
        for trust in (False, True):
            with pytest.raises(nv.FileFormatError):
                nv.wrap(tmp_path / "cut.pt", trust=trust)

"""Exported programs."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

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


class Attending(torch.nn.Module):
    """Kinds that names and shapes do not tell, and a weight that is tied."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.TransformerEncoderLayer(8, 2, 16)
        self.embedding = torch.nn.Embedding(5, 8)
        self.head = torch.nn.Linear(8, 5)
        self.head.weight = self.embedding.weight
        self.norm = torch.nn.BatchNorm1d(8)


@pytest.mark.parametrize("form", ["whole", "checkpoint", "wrapped", "safetensors", "old"])
def test_what_a_model_wrote_is_copied_back(tmp_path, form):
    saved, model = Attending(), Attending()
    state, path = saved.state_dict(), tmp_path / "own.ckpt"
    if form == "safetensors":
        del state["head.weight"]  # tied tensors are stored once
        save_file(state, path)
    else:
        wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
        content = {"checkpoint": {"model": state, "epoch": 3}, "wrapped": wrapped}.get(form, state)
        torch.save(content, path, _use_new_zipfile_serialization=form != "old")
    report = nv.copy_weights(path, model)
    assert not report.skipped
    for want, got in zip(saved.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=0)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", ["part.pt", "part.bin", "part.ckpt"])
def test_a_part_of_a_file(tmp_path, share, old, name):
    path = tmp_path / name
    torch.save(small_cnn().state_dict(), path, _use_new_zipfile_serialization=not old)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(nv.FileFormatError, match=r"(is not a whole .* \(.+\)|is empty); ") as raised:
        nv.wrap(path)
    assert str(path) in str(raised.value)


class Own:
    """Of which there is no telling what making one does."""


@pytest.mark.parametrize("old", [False, True])
def test_what_would_have_to_be_trusted_is_named(tmp_path, old):
    content = {"model": small_cnn().state_dict(), "args": Own()}
    torch.save(content, tmp_path / "own.pth", _use_new_zipfile_serialization=not old)
    with pytest.raises(nv.FileFormatError, match=r"more than tensors \([\w.]*Own\).*trust=True"):
        nv.wrap(tmp_path / "own.pth")


@pytest.mark.parametrize("algorithm", [torch.optim.Adam, torch.optim.SGD, torch.optim.Adagrad])
def test_what_an_optimizer_keeps_is_no_weight(tmp_path, algorithm):
    model = small_cnn()
    optimizer = algorithm(model.parameters(), lr=0.1)
    model(X).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    state = {"net": model.state_dict(), "o": optimizer.state_dict(), "s": scheduler.state_dict()}
    torch.save({**state, "rng": torch.get_rng_state(), "loss": torch.tensor(0.1)}, tmp_path / "last.pt")
    found = nv.summary(tmp_path / "last.pt")
    assert found.total_parameters == nv.summary(model.state_dict()).total_parameters


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"epoch,loss\n1,0.5\n", "neither a zip archive nor a pickle"),
        (pickle.dumps({"epoch": 1}), "a pickle of something else"),
        (pickle.dumps(small_cnn()), "a pickle of something else"),
    ],
)
@pytest.mark.parametrize("trust", [False, True])
def test_what_others_wrote_is_told_from_a_damaged_file(tmp_path, content, what, trust):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(nv.FileFormatError, match=f"not written by torch.save: it is {what}"):
        nv.wrap(tmp_path / "model.pt", trust=trust)

"""Weights without a model: recognised by their names, read lazily, and never run."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

import netviz_core as nv
from netviz_core.models import checkpoint_files

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


STATE = {
    "conv1.weight": normal(8, 3, 5, 5),
    "bn1.weight": normal(8),
    "bn1.bias": normal(8),
    "bn1.running_mean": normal(8),
    "bn1.running_var": normal(8),
    "bn1.num_batches_tracked": np.array(3),
    "up.weight": normal(8, 4, 2, 2),
    "up.bias": normal(4),
    "up2.weight": normal(4, 6, 2, 2),
    "bn2.running_mean": normal(6),
    "deep.0.conv.weight": normal(4, 8, 3),
    "deep.0.conv.bias": normal(4),
    "token_embedding.weight": normal(10, 4),
    "fc.weight": normal(5, 8),
    "fc.bias": normal(5),
    "rnn.weight_ih_l0": normal(12, 3),
    "rnn.weight_hh_l0": normal(12, 4),
    "rnn.weight_ih_l1_reverse": normal(12, 4),
    "scale": normal(7),
}
KINDS = {
    "": "container",
    "conv1": "conv2d",
    "bn1": "batch_norm",
    "up": "conv2d_transpose",
    "up2": "conv2d",
    "bn2": "batch_norm",
    "deep.0.conv": "conv1d",
    "token_embedding": "embedding",
    "fc": "dense",
    "rnn": "gru",
}


@pytest.fixture(params=["mapping", "safetensors", "npz"])
def source(request, tmp_path):
    if request.param == "mapping":
        return STATE
    path = tmp_path / f"state.{request.param}"
    if request.param == "npz":
        np.savez_compressed(path, **STATE)
    else:
        save_file(STATE, path)
    return path


def test_layers_are_recognised_by_names_and_shapes(source):
    network = nv.wrap(source)
    kinds = {path: layer.kind for path, layer in network.layers.items()}
    # Only a norm behind it speaks for a transposed convolution: not enough, for it need not belong to it.
    assert network["up2"].weights["kernel"].axes == ("axis0", "axis1", "y", "x")
    assert kinds == KINDS
    native = {w.native_name for layer in network.layers.values() for w in layer.weights.values()}
    assert native == {name.rpartition(".")[2] for name in STATE}
    for path, layer in network.layers.items():
        for weight in layer.weights.values():
            stored = STATE[f"{path}.{weight.native_name}" if path else weight.native_name]
            assert weight.numpy().size == stored.size
            assert weight.numpy().sum() == pytest.approx(stored.sum(), rel=1e-5)


def test_axes_are_canonical_where_they_are_known(source):
    network = nv.wrap(source)
    assert network["up"].weights["kernel"].axes == ("out", "in", "y", "x")
    np.testing.assert_array_equal(network["up"].weights["kernel"].numpy(), STATE["up.weight"].swapaxes(0, 1))
    assert network["rnn"].weights["input_kernel_l1_reverse"].shape == (3, 4, 4)
    assert network[""].weights["scale"].axes == ("axis0",)


def test_figures_work_and_passes_are_refused(source):
    assert nv.kernels(source, "up").tiles.shape == (32, 2, 2)
    assert nv.kernels(source, "conv1", limit=8).tiles.shape[:3] == (8, 5, 5)
    assert nv.heatmap(source, "fc").values.shape == (5, 8)
    assert nv.histogram(source, "bn1", weight="running_mean").counts.sum() == 8
    assert nv.histogram(source, "fc", weight="weight").counts.sum() == 40
    with pytest.raises(nv.UnsupportedError, match="no computation"):
        nv.capture(source, np.zeros(3))
    with pytest.raises(nv.UnsupportedError, match="read-only"):
        nv.wrap(source)["fc"].weights["kernel"].assign(np.zeros((5, 8)))


def test_half_precision_is_read_without_its_dtype(tmp_path):
    import json
    import struct

    values = np.array([1.5, -2.0, np.inf], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"a.w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    path = tmp_path / "half.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + halves)
    weight = nv.wrap(path)["a"].weights["w"]
    assert weight.dtype == "bfloat16"
    np.testing.assert_array_equal(weight.numpy(), values)


def test_of_a_large_file_only_what_is_drawn_is_read(tmp_path, monkeypatch):
    """The file is sparse: 5 GB long, of which only one small tensor was ever written."""
    import json
    import struct

    length = 5_000_000_000
    header = json.dumps(
        {
            "small.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
            "large.weight": {"dtype": "F32", "shape": [length // 4], "data_offsets": [16, 16 + length]},
        }
    ).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + np.arange(4, dtype="<f4").tobytes())
        file.truncate(8 + len(header) + 16 + length)
    mapped = []
    original = checkpoint_files._mapped
    monkeypatch.setattr(checkpoint_files, "_mapped", lambda *a: mapped.append(a[-1]) or original(*a))
    view = nv.heatmap(path, "small")
    assert mapped == [(2, 2)]
    np.testing.assert_array_equal(view.values, [[0, 1], [2, 3]])
    assert nv.wrap(path)["large"].weights["weight"].shape == (length // 4,)


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04" + b"\0" * 40, b"\xff" * 80])
def test_a_damaged_file_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(content)
    with pytest.raises(nv.FileFormatError, match="bad"):
        nv.wrap(path)


def test_objects_in_an_npz_are_never_unpickled(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return (print, ("a file ran code",))

    with (tmp_path / "evil.npz").open("wb") as file:
        np.savez(file, a=np.array([Evil()], dtype=object))
    with pytest.raises(nv.FileFormatError, match="Python objects"):
        nv.wrap(tmp_path / "evil.npz")
    assert capsys.readouterr().out == ""
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(nv.FileFormatError):
        nv.wrap(tmp_path / "pickle.npz")
    assert capsys.readouterr().out == ""


def test_a_mapping_without_tensors_is_no_checkpoint():
    with pytest.raises(nv.UnknownModelError):
        nv.wrap({"epoch": 3})
    nested = nv.wrap({"epoch": 3, "state_dict": {"fc.weight": normal(2, 2)}})
    assert nested["state_dict.fc"].weights["kernel"].axes == ("axis0", "axis1")


def test_an_unknown_suffix_names_the_known(tmp_path):
    with pytest.raises(nv.FileFormatError, match=r"\.safetensors"):
        nv.wrap(tmp_path / "model.bin")


def test_layers_around_others_come_first_whatever_the_order_of_the_file():
    one = np.ones((3, 2))
    found = nv.summary({"vit.proj.weight": one, "vit.proj.bias": one[:, 0], "vit.tokens": one, "head": one})
    assert [row.path for row in found.rows] == ["", "vit", "vit.proj"]
    assert [row.parameters for row in found.rows] == [21, 15, 9]
    assert nv.wrap({"a/b/kernel": one, "a/gain": one}).parents == {"a": "", "a/b": "a"}

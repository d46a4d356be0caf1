"""What a path is, is told by what it holds; what cannot be opened is named, with the way to open it."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import netviz_core as nv
from netviz_core.models import checkpoint_files

WEIGHTS = {"fc.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "fc.bias": np.zeros(3, np.float32)}


@pytest.mark.parametrize("name", ["model", "model.bin", "model.npz", "model.SAFETENSORS", "model.pt"])
def test_a_name_that_tells_nothing_or_something_else(tmp_path: Path, name: str) -> None:
    save_file(WEIGHTS, tmp_path / name)
    np.testing.assert_array_equal(
        nv.wrap(tmp_path / name)["fc"].weights["kernel"].numpy(), WEIGHTS["fc.weight"]
    )


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **WEIGHTS)


def test_an_archive_of_arrays_under_another_name(tmp_path: Path) -> None:
    _npz(tmp_path / "arrays.zip")
    assert nv.wrap(tmp_path / "arrays.zip")["fc"].kind == "dense"


@pytest.mark.parametrize(
    "name", ["x.npz", "x.safetensors", "x.weights.h5", "x.index.json", "x.weights.json", "x"]
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Not Found</html>", "a web page.*download"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9", "git lfs pull"),
        (b"GGUF" + bytes(40), "llama.cpp"),
        (b"\x1f\x8b" + bytes(40), "unpack"),
        (b"a letter to a friend", "again|cannot tell"),
        (b"{}", "again|cannot tell"),
        (bytes(100), "again|cannot tell"),
    ],
)
def test_what_it_is_not_is_told_in_a_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(nv.FileFormatError, match=said) as raised:
        nv.wrap(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_part_of_a_file(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"part.{suffix}"
    _npz(path) if suffix == "npz" else save_file(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(nv.FileFormatError, match=r"is not a whole .*; save it again"):
        nv.wrap(path)


def test_an_array_that_has_changed_is_found_when_it_is_read(tmp_path: Path) -> None:
    _npz(tmp_path / "a.npz")
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[data.index(WEIGHTS["fc.weight"].tobytes()) + 5] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(nv.FileFormatError, match=r"is not a whole \.npz file"):
        nv.wrap(tmp_path / "a.npz")["fc"].weights["kernel"].numpy()


def test_what_the_system_says_stays(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        nv.wrap(tmp_path / "none.safetensors")
    with pytest.raises(nv.FileFormatError, match=r"there is no file.*\.safetensors"):
        nv.wrap(tmp_path / "none.bin")


def _sharded(folder: Path, tensors: dict[str, tuple[int, ...]], shards: int) -> Path:
    """As transformers writes a model, but with holes for values: each file is long and takes no space."""
    names, weight_map = list(tensors), {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        header, start = {}, 0
        for name in names[number::shards]:
            length = 2 * int(np.prod(tensors[name]))
            header[name] = {"dtype": "BF16", "shape": tensors[name], "data_offsets": [start, start + length]}
            weight_map[name], start = file, start + length
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as opened:
            opened.write(struct.pack("<Q", len(text)) + text)
            opened.truncate(8 + len(text) + start)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    return folder


def test_seventy_billion_parameters_are_listed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (128256, 8192),
        "lm_head.weight": (128256, 8192),
    }
    for layer in range(80):
        attention = {"q": (8192, 8192), "k": (1024, 8192), "v": (1024, 8192), "o": (8192, 8192)}
        ffn = {"gate": (28672, 8192), "up": (28672, 8192), "down": (8192, 28672)}
        tensors |= {f"model.layers.{layer}.self_attn.{n}_proj.weight": s for n, s in attention.items()}
        tensors |= {f"model.layers.{layer}.mlp.{n}_proj.weight": s for n, s in ffn.items()}
        tensors |= {
            f"model.layers.{layer}.{n}_layernorm.weight": (8192,) for n in ("input", "post_attention")
        }
    folder = _sharded(tmp_path, tensors, 30)
    start = time.perf_counter()
    layers = nv.wrap(folder).layers
    assert time.perf_counter() - start < 1
    shapes = [weight.shape for layer in layers.values() for weight in layer.weights.values()]
    assert sum(map(int, map(np.prod, shapes))) > 70e9
    assert layers[""].type_name == "LlamaForCausalLM"
    mapped: list[Any] = []
    original = checkpoint_files._mapped
    monkeypatch.setattr(checkpoint_files, "_mapped", lambda *a: mapped.append(a[-1]) or original(*a))
    kernel = nv.wrap(folder)["model.layers.79.self_attn.k_proj"].weights["kernel"]
    assert (kernel.numpy() == 0).all()
    assert set(mapped) == {(1024, 8192)}


def test_a_shard_that_is_missing_or_elsewhere_is_named(tmp_path: Path) -> None:
    folder = _sharded(tmp_path, {"a.weight": (2, 2), "b.weight": (2, 2)}, 2)
    assert list(nv.wrap(folder / "model.safetensors.index.json"))[1:] == ["a", "b"]
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(nv.FileFormatError, match=r"model-00002-of-00002.safetensors' is not beside it"):
        nv.wrap(folder)
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a.weight": "../secret.safetensors"}}'
    )
    with pytest.raises(nv.FileFormatError, match="no file beside it"):
        nv.wrap(folder)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([".metadata", "__0_0.distcp"], "dcp_to_torch_save"),
        (["model_index.json", "unet/config.json", "vae/config.json"], "diffusers.*unet, vae"),
        (["checkpoint", "ckpt-1.index"], "tf.train.load_checkpoint"),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            "2 files of weights and no index",
        ),
        (["notes.txt", "sub/x.txt"], "no saved model.*folders sub"),
        ([], "no saved model"),
    ],
)
def test_a_folder_that_is_something_else_is_named(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(nv.FileFormatError, match=said):
        nv.wrap(tmp_path)

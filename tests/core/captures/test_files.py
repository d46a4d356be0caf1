"""Captures survive a file, and a file that is none is refused."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import netviz_core as nv
from netviz_core.captures.capture import Capture
from netviz_core.captures.recorder import Recorder
from netviz_core.testing import example_model
from netviz_core.words.observations import Observation, Ready


def capture_of(**values: np.ndarray) -> Capture:
    """A capture with these values, as a backend would report them."""
    network = nv.wrap(example_model())
    recorder = Recorder(network.select(["conv1", "dense1"]))
    for number, (leaf, array) in enumerate(values.items()):
        axes = ("batch", *(f"axis{i}" for i in range(1, array.ndim)))[: array.ndim]
        recorder.add(
            ("conv1", "dense1")[number % 2], [Observation(leaf, Ready(array), axes, "bfloat16", array.nbytes)]
        )
    return Capture("netviz_core", recorder)


def assert_same(left: Capture, right: Capture) -> None:
    assert list(left) == list(right)
    assert left.coverage == right.coverage
    assert (left.backend, left.versions) == (right.backend, right.versions)
    for key, ours in left.items():
        theirs = right[key]
        assert (ours.axes, ours.path, ours.call, ours.leaf, ours.dtype) == (
            theirs.axes, theirs.path, theirs.call, theirs.leaf, theirs.dtype,
        )  # fmt: skip
        assert ours.values.dtype == theirs.values.dtype
        np.testing.assert_array_equal(ours.values, theirs.values)


def test_a_capture_comes_back_whole(tmp_path):
    captured = nv.capture(example_model(), np.random.default_rng(0).normal(size=(2, 1, 8, 8)))
    captured.save(tmp_path / "run.anything")
    assert_same(captured, nv.load_capture(tmp_path / "run.anything"))
    assert [path.name for path in tmp_path.iterdir()] == ["run.anything"]
    assert "" in nv.load_capture(tmp_path / "run.anything")


@given(
    st.dictionaries(
        st.text("ab.01", min_size=1, max_size=4),
        hnp.arrays(
            st.sampled_from(["f4", "f8", "i1", "i8", "u2", "?", "c8", "c16"]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        ),
        max_size=4,
    )
)
def test_any_value_comes_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("capture") / "file"
    turned = {leaf: array.T for leaf, array in values.items()}
    captured = capture_of(**turned)
    captured.save(path)
    assert_same(captured, nv.load_capture(path))


def test_others_can_read_it(tmp_path):
    captured = nv.capture(example_model(), np.ones((2, 1, 8, 8)), "conv1")
    captured.save(tmp_path / "run")
    np.testing.assert_array_equal(load_file(tmp_path / "run")["conv1"], captured["conv1"].values)


def test_it_loads_where_no_framework_is(tmp_path):
    nv.capture(example_model(), np.ones((2, 1, 8, 8))).save(tmp_path / "run")
    code = (
        "import sys, netviz_core as nv; captured = nv.load_capture(sys.argv[1]); print(captured['conv1'].shape);"
        "sys.exit(', '.join({'torch', 'keras', 'tensorflow', 'jax'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "(2, 4, 6, 6)"), done.stderr


def test_a_failed_save_leaves_what_was_there(tmp_path):
    target = tmp_path / "run"
    target.write_bytes(b"precious")

    class Lost:
        def numpy(self):
            raise RuntimeError("gone")

    recorder = Recorder(nv.wrap(example_model()).select("conv1"))
    recorder.add("conv1", [Observation("", Lost(), ("batch",), "float32", 4)])
    with pytest.raises(RuntimeError, match="gone"):
        Capture("netviz_core", recorder).save(target)
    assert target.read_bytes() == b"precious"
    with pytest.raises(OSError, match="nowhere"):
        capture_of().save(tmp_path / "nowhere" / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


class Evil:
    def __reduce__(self):
        return (print, ("a file ran code",))


def header(**changes: object) -> str:
    entry = {
        "key": "a",
        "path": "a",
        "call": 0,
        "leaf": "",
        "axes": ["batch"],
        "dtype": "f",
        "values": "float32",
    }
    whole = {"format": 1, "backend": "x", "versions": {}, "activations": [entry], "coverage": {}}
    return json.dumps(whole | changes)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\x80\x04\x95",
        pickle.dumps(Evil()),
        b"\xff" * 64,
        (2**40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        b"PK\x03\x04" + b"\0" * 100,
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, capsys):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(nv.FileFormatError):
        nv.load_capture(tmp_path / "file")
    assert "ran code" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        "[" * 100_000,
        header(format="new"),
        header(format=99),
        header(activations=3),
        header(activations=[{"key": "missing", "axes": [], "values": "float32"}]),
        header(coverage=[]),
        header(activations=[{"key": "a", "axes": ["x", "y"], "values": "float32"}]),
        header(activations=[{"key": "a", "axes": ["x"], "values": "no dtype"}]),
    ],
)
def test_a_damaged_header_is_refused(tmp_path, text):
    save_file({"a": np.zeros(3, np.float32)}, tmp_path / "file", metadata={"netviz": text})
    with pytest.raises(nv.FileFormatError):
        nv.load_capture(tmp_path / "file")


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("activations", "path", "nowhere", "no such layer"),
        ("given", "path", "nowhere", "no such layer"),
        ("activations", "values", "float16", "F64 in the file"),
        ("activations", "values", "complex128", "shape"),
    ],
)
def test_a_header_that_contradicts_the_file_is_refused(tmp_path, part, key, value, said):
    path = tmp_path / "capture.safetensors"
    nv.capture(example_model(), np.zeros((2, 1, 8, 8), np.float32), complete=True).save(path)
    with safe_open(path, framework="numpy") as opened:
        header = json.loads(opened.metadata()["netviz"])
    tensors = load_file(path)
    header[part][0][key] = value
    save_file(tensors, path, {"netviz": json.dumps(header)})
    with pytest.raises(nv.FileFormatError, match=said):
        nv.load_capture(path)


def test_any_truncation_is_refused(tmp_path):
    nv.capture(example_model(), np.ones((1, 1, 8, 8)), "conv1").save(tmp_path / "run")
    whole = (tmp_path / "run").read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(nv.FileFormatError):
            nv.load_capture(tmp_path / "cut")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        nv.load_capture(tmp_path / "missing")


def test_a_capture_that_does_not_know_its_layers_is_not_compared():
    complete = nv.capture(example_model(), np.ones((1, 1, 8, 8)), complete=True)
    with pytest.raises(nv.InputError, match="capture given as b does not say what its layers are"):
        nv.compare(complete, capture_of(a=np.ones((1, 2), np.float32)))

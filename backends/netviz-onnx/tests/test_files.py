"""Files from a stranger: opened, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small import convolutional, model, plain

import netviz_core as nv

X = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype("float32")


def test_a_file_is_opened_by_its_name(tmp_path: Path) -> None:
    onnx.save(convolutional(), tmp_path / "m.onnx")
    assert nv.wrap(tmp_path / "m.onnx").backend == "onnx"


def test_weights_may_lie_in_a_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(convolutional(), path, save_as_external_data=True, location="m.data", size_threshold=64)
    expected = nv.capture(convolutional(), X)
    for key, value in nv.capture(nv.wrap(path), X).items():
        np.testing.assert_array_equal(value.values, expected[key].values)
    (tmp_path / "m.data").write_bytes((tmp_path / "m.data").read_bytes()[:100])
    with pytest.raises(nv.FileFormatError, match="was cut off"):
        nv.wrap(path)
    (tmp_path / "m.data").unlink()
    with pytest.raises(nv.FileFormatError, match=r"'m\.data', which is not beside it"):
        nv.wrap(path)


def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(10_000))
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "m.onnx"
    onnx.save(convolutional(), path, save_as_external_data=True, location="m.data", size_threshold=64)
    native = onnx.load(path, load_external_data=False)
    for tensor in native.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../secret"
    path.write_bytes(native.SerializeToString())
    with pytest.raises(nv.FileFormatError):
        nv.wrap(path)


def test_a_model_whose_weights_were_not_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(convolutional(), path, save_as_external_data=True, location="m.data", size_threshold=64)
    native = onnx.load(path, load_external_data=False)
    with pytest.raises(nv.UnsupportedError, match="lie in another file"):
        nv.wrap(native)["d"].weights["kernel"].numpy()


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    whole = convolutional().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(nv.FileFormatError, match=r"damaged|holds no graph|cut off"):
        nv.wrap(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"no model at all", bytes(range(256))])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(nv.FileFormatError):
        nv.wrap(tmp_path / "m.onnx")


def test_an_unknown_operator_is_listed_and_its_run_refused() -> None:
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("strange", 1)]
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Swizzle", ["r"], ["y"], domain="strange"),
    ]
    native = model(nodes, {"x": ["n", 4]}, ["y"], {}, opset_imports=imports)
    assert [layer.type_name for layer in nv.wrap(native).select()][1:] == ["Relu", "Swizzle"]
    with pytest.raises(nv.UnsupportedError, match="Swizzle"):
        nv.capture(native, np.ones((2, 4), "float32"))


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (X.astype("float64"), "takes float32 and was given float64"),
        (X[0], r"was given the shape \(3, 8, 8\); the model takes \(n, 3, 8, 8\)"),
        (X[:, :2], "was given the shape"),
        ((X, X), "takes 1 input, 'x' float32"),
        ({"z": X}, "'z' were given"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_what_is_taken(x: Any, told: str) -> None:
    with pytest.raises(nv.InputError, match=told):
        nv.capture(convolutional(), x)


def test_an_input_with_named_axes_is_laid_out() -> None:
    images = nv.images(X.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(
        nv.capture(convolutional(), images)["d"].values, nv.capture(convolutional(), X)["d"].values
    )


@pytest.mark.parametrize("count", [1, 5])
def test_open_lengths_are_taken_as_they_come(count: int) -> None:
    x = np.concatenate([X] * 3)[:count]
    assert nv.capture(convolutional(), x)["d"].shape == (count, 5)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 15, 17, 21, onnx.defs.onnx_opset_version() - 2])
def test_versions_of_operators_from_7_on(opset: int) -> None:
    native = convolutional(opset)
    expected = plain(native, {"x": X}, ["c", "n", "r", "a", "y"])
    captured = nv.capture(native, X)
    for key, name in {"body.c": "c", "body.n": "n", "body.r": "r", "body": "a", "d": "y"}.items():
        found = captured[key] if key in captured else captured[f"{key}#1"]
        np.testing.assert_array_equal(found.values, expected[name])


def test_narrow_floats_are_widened_and_their_dtype_is_told() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype("float16")
    native = model(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])],
        {"x": ["n", 4]}, ["y"], {"w": weight}, dtype=TensorProto.FLOAT16,
    )  # fmt: skip
    captured = nv.capture(native, np.ones((2, 4), "float16"))
    assert captured["MatMul"].dtype == "float16"
    assert captured["MatMul"].values.dtype == np.float32
    assert nv.wrap(native)["MatMul"].weights["kernel"].dtype == "float16"


def test_a_quantised_graph_runs() -> None:
    stored = np.random.default_rng(0).integers(-100, 100, (3, 4)).astype("int8")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"]),
        helper.make_node("Gemm", ["d", "f"], ["y"], transB=1),
    ]
    native = model(nodes, {"x": ["n", 4]}, ["y"], {"w": stored, "s": np.float32(0.02), "z": np.int8(0)})
    captured = nv.capture(native, np.ones((2, 4), "float32"))
    np.testing.assert_allclose(captured["Gemm"].values, np.ones((2, 4)) @ (stored.T * 0.02), rtol=1e-5)
    assert {slot.dtype for slot in captured.values()} == {"int8", "float32"}

"""Quantized and adapted layers: the kernel that takes effect, counted as Keras counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv

from ..conftest import L, array, native

TOKENS = (np.arange(12, dtype="int32") % 9).reshape(3, 4)


def dense() -> tuple[Any, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    return L.Dense(7, use_bias=False, name="layer"), array(5, 16), lambda x, kernel: x @ kernel.T


def einsum() -> tuple[Any, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    layer = L.EinsumDense("abc,cde->abde", (None, 2, 3), name="layer")
    return layer, array(3, 4, 16), lambda x, kernel: np.einsum("abc,cde->abde", x, kernel)


def embedding() -> tuple[Any, np.ndarray, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    return L.Embedding(9, 7, name="layer"), TOKENS, lambda tokens, kernel: kernel[tokens]


def size(variables: list[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


INT8 = keras.quantizers.Int8QuantizationConfig(activation_quantizer=None)
WAYS = {"int8": ("int8", INT8)} | {
    f"int4 {block}": (
        "int4",
        keras.quantizers.Int4QuantizationConfig(activation_quantizer=None, block_size=block),
    )
    for block in (-1, 4)
}


@pytest.mark.parametrize("is_adapted", [False, True], ids=["", "adapted"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [dense, einsum, embedding])
def test_plain_numpy_computes_the_same_with_the_kernel(make, way, is_adapted):
    layer, x, compute = make()
    model = keras.Sequential([keras.Input(x.shape[1:], dtype=str(x.dtype)), layer])
    mode, config = WAYS[way]
    layer.quantize(mode, config=config)
    if is_adapted:
        layer.enable_lora(2)
        for variable in layer.trainable_variables:
            variable.assign(array(*variable.shape))
    weights = nv.wrap(model)["layer"].weights
    assert set(weights) <= {"kernel", "bias"}
    expected = native(model(x))
    np.testing.assert_allclose(compute(x, weights["kernel"].numpy()), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(nv.UnsupportedError, match="read-only"):
        weights["kernel"].assign(weights["kernel"].numpy())
    found = nv.summary(model, x)
    assert found.total_parameters == model.count_params()
    assert found["layer"].parameters == model.count_params()
    assert found["layer"].trainable_parameters == size(model.trainable_variables)


def test_only_the_factors_of_an_adapted_layer_are_trained():
    model = keras.Sequential([keras.Input((12,)), L.Dense(16, name="adapted"), L.Dense(8, name="plain")])
    model.get_layer("adapted").enable_lora(4)
    model.get_layer("plain").trainable = False
    found = nv.summary(model)
    assert found["adapted"].trainable_parameters == size(model.get_layer("adapted").trainable_variables)
    assert found.trainable_parameters == size(model.trainable_variables)
    assert found["plain"].trainable_parameters == 0


def test_layers_of_eight_bit_floats_keep_a_plain_kernel():
    model = keras.Sequential([keras.Input((12,)), L.Dense(4, name="fc")])
    kernel = native(model.layers[0].kernel)
    model.layers[0].quantize("float8")
    np.testing.assert_array_equal(nv.wrap(model)["fc"].weights["kernel"].numpy(), kernel.T)
    assert nv.summary(model).trainable_parameters == size(model.trainable_variables)


def test_packed_projections_of_attention():
    layer = L.MultiHeadAttention(2, 4, use_bias=False)
    x = array(2, 3, 8)
    layer(x, x)
    for name in ("_query_dense", "_key_dense", "_value_dense", "_output_dense"):
        getattr(layer, name).quantize("int4", config=WAYS["int4 4"][1])
    query = nv.wrap(layer)[""].weights["query_kernel"]
    assert query.axes == ("head", "head_dim", "in")
    expected = native(layer._query_dense(x))
    np.testing.assert_allclose(np.einsum("bti,hdi->bthd", x, query.numpy()), expected, atol=1e-4)


def sloped(slope: float, **options: Any) -> Any:
    prelu = L.PReLU(alpha_initializer=keras.initializers.Constant(slope), name="prelu", **options)
    return keras.Sequential([keras.Input((6, 5, 3)), prelu])


@pytest.mark.parametrize(
    ("shared", "axes", "shape"),
    [
        ([1, 2], ("channel",), (3,)),
        ([1, 2, 3], ("channel",), (1,)),
        ([1], ("axis0", "axis1", "axis2"), (1, 5, 3)),
        (None, ("axis0", "axis1", "axis2"), (6, 5, 3)),
    ],
)
def test_slopes_of_a_prelu(shared, axes, shape):
    a, b = sloped(0.1, shared_axes=shared), sloped(0.3, shared_axes=shared)
    slope = nv.wrap(a)["prelu"].weights["slope"]
    assert (slope.axes, slope.shape) == (axes, shape)
    x = array(2, 6, 5, 3)
    assert nv.compare(a, a, x).agrees
    found = nv.compare(a, b, x)
    assert found.first_divergence.path_a == "prelu"
    assert not nv.compare(a, b).agrees
    nv.copy_weights(a, b)
    assert nv.compare(a, b, x).agrees
    slope.assign(np.full(shape, 0.7))
    np.testing.assert_allclose(native(a(x)), np.where(x > 0, x, 0.7 * x), rtol=1e-5)


def test_settings_that_are_arrays_are_numbers():
    layer = L.LeakyReLU(0.2)
    layer.negative_slope = np.array([0.1, 0.2, 0.3], "float32")
    config = nv.wrap(keras.Sequential([keras.Input((3,)), layer])).layers["leaky_re_lu"].config
    assert config["negative_slope"] == pytest.approx((0.1, 0.2, 0.3))

"""The order of slices, and the function of values, are found from numbers that carry noise."""

from __future__ import annotations

import numpy as np
import pytest

from netviz_core.comparing.explaining.functions import Function, functions_of
from netviz_core.comparing.narrow import round_to
from netviz_core.comparing.permutations import in_words, order_along

N = 96
PLACES = np.arange(N)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


ORDERS = {
    "reversed": PLACES[::-1],
    "its first 32 stand last, its last 64 first": np.roll(PLACES, 64),
    "3 and 70 exchanged": np.where(PLACES == 3, 70, np.where(PLACES == 70, 3, PLACES)),
    "read as 8 by 12 and transposed": PLACES.reshape(8, 12).T.ravel(),
    "3 by 4 by 8, with these axes in the order (2, 1, 0)": PLACES.reshape(3, 4, 8).transpose(2, 1, 0).ravel(),
    "each group of 24 kept, 2, 0, 3, 1": PLACES.reshape(4, 24)[[2, 0, 3, 1]].ravel(),
    ", …": np.random.default_rng(1).permutation(N),
}


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3])
@pytest.mark.parametrize("words", ORDERS)
def test_an_order_is_found_and_told(words: str, noise: float) -> None:
    a = normal(3, N, 5)
    b = a.take(ORDERS[words], 1) * (1 + noise * normal(3, N, 5, seed=2))
    order = order_along(a, b, 1)
    np.testing.assert_array_equal(order, ORDERS[words])
    assert words in in_words(order)


def test_slices_that_are_the_same_do_not_spoil_an_order() -> None:
    a = normal(3, N, 5)
    a[:, ::3] = 0
    order = order_along(a, np.roll(a, 24, 1), 1)
    np.testing.assert_array_equal(order, np.roll(PLACES, 24))


def test_what_is_in_order_has_no_other() -> None:
    a = normal(3, N, 5)
    assert order_along(a, a + 1e-7 * normal(3, N, 5, seed=1), 1) is None
    assert order_along(a, np.full_like(a, np.nan), 1) is None


@pytest.mark.parametrize(
    "function",
    [
        Function("tanh"), Function("gelu", (("approximate", True),)), Function("gelu", (("approximate", False),)),
        Function("quick_gelu"), Function("squared_relu"), Function("leaky_relu", (("negative_slope", 0.13),)),
        Function("elu", (("alpha", 0.7),)), Function("celu", (("alpha", 0.7),)), Function("silu", (("beta", 1.3),)),
        Function("softplus", (("beta", 2.5),)), Function("hard_sigmoid", (("slope", 0.2),)),
        Function("relu", (("max_value", 2.5),)), Function("hard_tanh", (("min_value", -1.5), ("max_value", 2.0))),
        Function("soft_shrink", (("threshold", 0.3),)), Function("softmax", (), (1, "channel")),
    ],
    ids=str,
)  # fmt: skip
def test_a_function_and_its_setting_are_solved_for(function: Function) -> None:
    x = 2 * normal(40, 8, 6)
    found = functions_of(x, function(x), ("batch", "channel", "x"))
    assert found[0] == function


def test_numbers_that_no_function_makes() -> None:
    assert functions_of(normal(50, 4), normal(50, 4, seed=1), ("batch", "channel")) == []


def test_rounding_to_ten_bits_is_to_the_nearest_even() -> None:
    step = 2.0**-10
    values = np.array([1 + 0.4 * step, 1 + 0.6 * step, 1 + 0.5 * step, 1 + 1.5 * step, -1 - 0.6 * step])
    rounded = round_to(values.astype(np.float32), "TF32")
    np.testing.assert_array_equal(rounded, [1, 1 + step, 1, 1 + 2 * step, -1 - step])

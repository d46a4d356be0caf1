"""Slices in another order are found along one axis and along two, and the order is told in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netviz_core.comparing.explaining.weight_changes import changes_in
from netviz_core.comparing.permutations import in_words, permutations_of
from netviz_core.models.counterparts import Held

RANDOM = np.random.default_rng(0)


@given(st.integers(0, 99), st.lists(st.integers(2, 6), min_size=1, max_size=3), st.data())
def test_any_order_along_one_axis_or_two_is_found(seed, sizes, data):
    random = np.random.default_rng(seed)
    values = random.normal(size=sizes).astype(np.float32)
    places = data.draw(st.lists(st.sampled_from(range(len(sizes))), min_size=1, max_size=2, unique=True))
    axes = [f"axis{place}" for place in range(len(sizes))]
    held = values
    for place in places:
        held = held.take(random.permutation(sizes[place]), place)
    found = permutations_of(values, held, axes)
    again = values
    for axis, order in found:
        again = again.take(list(order), axes.index(axis))
    np.testing.assert_array_equal(again, held)


def test_other_numbers_are_no_order():
    values = RANDOM.normal(size=(6, 4))
    assert permutations_of(values, values[::-1] * 1.01, ("out", "in")) == ()
    mixed = values.copy()
    mixed[[0, 1], 0] = mixed[[1, 0], 0]
    assert permutations_of(values, mixed, ("out", "in")) == ()


def test_many_rows_cost_no_more_than_sorting():
    values = RANDOM.normal(size=(20_000, 4)).astype(np.float32)
    order = RANDOM.permutation(20_000)
    (found,) = permutations_of(values, values[order], ("out", "in"))
    np.testing.assert_array_equal(values[list(found.order)], values[order])


@pytest.mark.parametrize(
    ("order", "heads", "words"),
    [
        (range(7, -1, -1), 0, "reversed"),
        ([4, 5, 6, 7, 0, 1, 2, 3], 0, "halves exchanged"),
        ([5, 6, 0, 1, 2, 3, 4], 0, "its first 5 stand last, its last 2 first"),
        ([0, 4, 1, 5, 2, 6, 3, 7], 0, "interleaved instead of in halves"),
        ([0, 2, 4, 6, 1, 3, 5, 7], 0, "in halves instead of interleaved"),
        ([0, 2, 1, 3, 4, 6, 5, 7], 2, "within each head"),
        ([2, 3, 0, 1, 6, 7, 4, 5], 0, "halves exchanged, within each group of 4"),
        ([6, 7, 0, 1, 4, 5, 2, 3], 4, "each head kept, 3, 0, 2, 1"),
        ([0, 5, 2, 3, 4, 1, 6, 7], 0, "1 and 5 exchanged"),
        ([0, 3, 6, 1, 4, 7, 2, 5, 8], 0, "as if read as 3 by 3 and transposed"),
        ([3, 0, 6, 1, 5, 2, 7, 4], 0, "3, 0, 6, 1, 5, 2, 7, 4"),
        ([3, 0, 6, 1, 5, 2, 7, 4, 8, 9], 0, "3, 0, 6, 1, 5, 2, 7, 4, …"),
    ],
)
def test_an_order_in_words(order, heads, words):
    assert words in in_words(list(order), heads)


def held(
    expected: np.ndarray, values: np.ndarray, *axes: str, kind: str = "dense", name: str = "kernel"
) -> Held:
    return Held(name, axes, kind, ("float32", "float32"), expected, values)


SQUARE = RANDOM.normal(size=(6, 6))


@pytest.mark.parametrize(
    ("weight", "cause", "words"),
    [
        (held(SQUARE, SQUARE[[1, 0, 3, 2, 5, 4]], "out", "in"), "row order", "its outputs in another order"),
        (
            held(SQUARE, SQUARE[:, ::-1], "out", "in"),
            "channel order",
            "its inputs in another order: reversed",
        ),
        (held(SQUARE, SQUARE[:, [0, 3, 1, 4, 2, 5]], "out", "in"), "flatten order", "2 by 3 features"),
        (held(SQUARE, SQUARE.T, "out", "in"), "transposed kernel", "in and out exchanged"),
        (
            held(SQUARE, SQUARE[[3, 1, 5, 0, 2, 4]][:, ::-1], "out", "in"),
            "row order",
            "outputs in another order: 3, 1, 5, 0, 2, 4 and inputs in another order: reversed",
        ),
        (
            held(SQUARE[:4], SQUARE[[0, 2, 1, 3]], "gate", "out", kind="lstm"),
            "gate order",
            "b has those for input, cell, forget, output",
        ),
        (held(SQUARE, SQUARE + 1, "out", "in"), "weights", "is different in b"),
    ],
)
def test_what_was_done_to_a_weight(weight, cause, words):
    (change,) = changes_in([weight], ["kernel"])
    assert change.name == cause
    assert words in change.words


def test_what_was_done_to_several_is_told_once():
    bias = RANDOM.normal(size=6)
    order = [3, 1, 5, 0, 2, 4]
    weights = [held(SQUARE, SQUARE[order], "out", "in"), held(bias, bias[order], "out", name="bias")]
    (change,) = changes_in(weights, ["kernel", "bias"])
    assert change.weights == ("kernel", "bias")
    assert change.words.startswith("kernel and bias of b")

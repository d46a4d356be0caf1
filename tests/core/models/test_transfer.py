"""Weights are assigned and copied whole, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netviz_core as nv
from netviz_core.models.weights import Layout, Weight
from netviz_core.testing.reference import Conv2d, Dense, Model, example_model


def dense(out: int, size: int, seed: int = 0) -> Dense:
    random = np.random.default_rng(seed)
    return Dense(kernel=random.normal(size=(out, size)), bias=random.normal(size=out))


def weights(model: Model) -> dict[str, np.ndarray]:
    return {f"{n}.{k}": a.copy() for n, layer in model.layers.items() for k, a in layer.parameters.items()}


@pytest.mark.parametrize(
    ("layout", "native_shape"),
    [
        (Layout(("out", "in", "y", "x"), "y x i o -> o i y x"), (3, 2, 4, 5)),
        (Layout(("out", "in", "y", "x"), "y x i m -> (i m) 1 y x"), (3, 2, 4, 5)),
        (Layout(("out", "in", "y", "x"), "(g i) o y x -> (g o) i y x", {"g": 2}), (4, 3, 2, 2)),
        (Layout(("gate", "out", "in"), "i (g o) -> g o i", {"g": 3}, (1, 0, 2)), (4, 15)),
        (Layout(("gate", "out"), "(g o) -> g o", {"g": 3}, (1, 2, 0), 1), (2, 15)),
        (Layout(("head", "head_dim", "in"), "(h d) i -> h d i", {"h": 2}, (), slice(4, 8)), (12, 3)),
        (Layout(("axis0",)), (7,)),
    ],
)
def test_every_layout_is_undone_exactly(layout, native_shape):
    native = np.random.default_rng(0).normal(size=native_shape)
    canonical = layout.to_canonical(native)
    assert canonical.shape == layout.shape(native_shape)
    np.testing.assert_array_equal(layout.to_native(canonical, native), native)
    changed = layout.to_native(canonical + 1, native)
    np.testing.assert_array_equal(layout.to_canonical(changed), canonical + 1)
    assert (changed != native).sum() == canonical.size


def test_assign_takes_named_axes_in_any_order():
    model = example_model()
    kernel = nv.wrap(model)["conv1"].weights["kernel"]
    values = np.random.default_rng(1).normal(size=(3, 3, 4, 1))
    kernel.assign(nv.AxisArray(values, ("y", "x", "out", "in")))
    np.testing.assert_array_equal(model.layers["conv1"].parameters["kernel"], values.transpose(2, 3, 0, 1))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.zeros((4, 1, 3)), r"shape \(4, 1, 3\); it has \(4, 1, 3, 3\) for the axes out, in, y, x"),
        (np.full((4, 1, 3, 3), np.nan), "36 values that are NaN"),
        (np.zeros((4, 1, 3, 3), complex), "dtype complex128"),
        (np.full((4, 1, 3, 3), "a"), "an array of strings"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(values, text):
    model = example_model()
    before = weights(model)
    with pytest.raises(nv.InputError, match=text):
        nv.wrap(model)["conv1"].weights["kernel"].assign(values)
    for name, array in weights(model).items():
        np.testing.assert_array_equal(array, before[name])


def test_nonfinite_values_can_be_meant():
    model = example_model()
    kernel = nv.wrap(model)["conv1"].weights["kernel"]
    kernel.assign(np.full((4, 1, 3, 3), np.inf), allow_nonfinite=True)
    assert np.isinf(kernel.numpy()).all()


def test_a_computed_weight_is_read_only():
    weight = Weight("kernel", "weight", Layout(("out",)), (2,), "float32", True, lambda: np.zeros(2))
    with pytest.raises(nv.UnsupportedError, match="read-only"):
        weight.assign(np.ones(2))


def test_integers_take_no_fractions():
    stored = np.zeros(2, np.int8)
    weight = Weight(
        "kernel",
        "k",
        Layout(("out",)),
        (2,),
        "int8",
        True,
        lambda: stored,
        lambda new: np.copyto(stored, new, "unsafe"),
    )
    weight.assign([1.0, 2.0])
    with pytest.raises(nv.InputError, match="fractions"):
        weight.assign([1.5, 2.0])
    np.testing.assert_array_equal(stored, [1, 2])


def test_all_weights_are_copied_by_name():
    source, target = example_model(seed=1), example_model(seed=2)
    report = nv.copy_weights(source, target)
    for name, array in weights(target).items():
        np.testing.assert_array_equal(array, weights(source)[name])
    assert not report.skipped


def test_other_names_are_paired_in_order():
    source = Model(a=dense(4, 3, 1), b=dense(2, 4, 2), c=dense(2, 2, 3))
    target = Model(x=dense(4, 3, 4), extra=dense(9, 9, 5), y=dense(2, 4, 6), z=dense(2, 2, 7))
    report = nv.copy_weights(source, target)
    assert {(entry.source, entry.target) for entry in report.copied} == {("a", "x"), ("b", "y"), ("c", "z")}
    assert {(entry.side, entry.path) for entry in report.skipped} == {("target", "extra")}
    assert "no layer of the other model" in str(report)


def test_a_mapping_decides():
    source = Model(a1=dense(2, 2, 1), a2=dense(2, 2, 2))
    target = Model(b1=dense(2, 2, 3), b2=dense(2, 2, 4))
    for mapping in ({"a1": "b2", "a2": "b1"}, lambda layer: {"a1": "b2", "a2": "b1"}[layer.path]):
        nv.copy_weights(source, target, mapping=mapping)
        np.testing.assert_array_equal(weights(target)["b2.kernel"], weights(source)["a1.kernel"])
        np.testing.assert_array_equal(weights(target)["b1.kernel"], weights(source)["a2.kernel"])
    nv.copy_weights(source, target, mapping={"a*": "b*"})
    np.testing.assert_array_equal(weights(target)["b2.kernel"], weights(source)["a2.kernel"])
    with pytest.raises(nv.LayerNotFoundError, match="no layer 'c1'"):
        nv.copy_weights(source, target, mapping={"c1": "b1"})
    with pytest.raises(nv.LayerNotFoundError, match="to map to; there are 'b1', 'b2'"):
        nv.copy_weights(source, target, mapping={"a1": "b9"})


def test_a_pair_that_is_given_must_fit():
    source, target = Model(a=dense(2, 3)), Model(b=dense(2, 4), c=dense(2, 3))
    before = weights(target)
    with pytest.raises(nv.InputError, match="'a' cannot be copied to 'b'"):
        nv.copy_weights(source, target, mapping={"a": "b"})
    for name, array in weights(target).items():
        np.testing.assert_array_equal(array, before[name])


def test_models_with_nothing_in_common_are_refused():
    example_model()
    with pytest.raises(nv.InputError, match="no layer of the one model"):
        nv.copy_weights(Model(a=dense(2, 3)), Model(b=Conv2d(kernel=np.ones((1, 1, 1, 1)), bias=np.zeros(1))))


def test_a_missing_bias_is_zero_and_a_bias_that_cannot_go_is_told():
    example_model()
    without = Model(a=Dense(kernel=np.ones((2, 2))))
    target = Model(a=dense(2, 2))
    report = nv.copy_weights(without, target)
    assert not target.layers["a"].parameters["bias"].any()
    assert "same as 0" in str(report)
    back = nv.copy_weights(Model(a=dense(2, 2)), without)
    assert [(entry.side, entry.weight) for entry in back.skipped] == [("source", "bias")]


@given(st.integers(0, 5))
def test_a_failure_half_way_leaves_the_target_as_it_was(failing):
    source = Model(a=dense(2, 2, 1), b=dense(2, 2, 2), c=dense(2, 2, 3))
    target = Model(a=dense(2, 2, 4), b=dense(2, 2, 5), c=dense(2, 2, 6))
    before = weights(target)
    original, calls = Weight.assign, []

    def assign(self, values, **options):
        original(self, values, **options)
        calls.append(self)
        if len(calls) == failing + 1:
            raise OSError("the device is gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Weight, "assign", assign)
        with pytest.raises(OSError, match="gone"):
            nv.copy_weights(source, target)
    for name, array in weights(target).items():
        np.testing.assert_array_equal(array, before[name])

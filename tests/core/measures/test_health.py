"""Health: who is to blame, what is an alarm, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.measures.health_view import Thresholds
from netviz_core.testing.reference import Conv2d, Dense, Model, Op, example_model

X = np.random.default_rng(0).normal(size=(40, 1, 8, 8))


class Relu(Op):
    kind = "activation"
    output_axes = ("batch", "channel", "y", "x")

    def __call__(self, x):
        return np.maximum(x, 0)


class Broken(Op):
    """Makes something that is not finite out of what is."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def __call__(self, x):
        made = x.copy()
        made[:, :1] = self.value
        return made


def deep(**broken: Op) -> Model:
    random = np.random.default_rng(1)
    example_model()
    layers = {f"dense{i}": Dense(kernel=random.normal(size=(6, 6)) / 3, bias=np.zeros(6)) for i in range(5)}
    layers.update(broken)
    return Model(**layers)


ROWS = np.random.default_rng(0).normal(size=(40, 6))


def test_a_healthy_model_has_no_alarm():
    found = nv.health(example_model(), X)
    assert found.is_healthy
    assert found.first_nonfinite is None
    assert str(found).splitlines()[0] == "3 layers are healthy, over 40 samples"
    assert [row.path for row in found.rows] == ["conv1", "dense1", ""]


@pytest.mark.parametrize("layer", [f"dense{i}" for i in range(5)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_layer_that_makes_it_is_blamed_and_not_those_that_pass_it_on(layer, value):
    with np.errstate(invalid="ignore"):
        found = nv.health(deep(**{layer: Broken(value)}), ROWS)
    assert found.first_nonfinite == layer
    assert "out of finite inputs and weights" in found.cause
    assert found.alarms[0].path == layer
    later = [row for row in found.alarms if row.path != layer]
    assert all(row.reason.startswith("propagated") for row in later)
    assert not found.is_healthy


@pytest.mark.parametrize("layer", ["dense0", "dense3"])
def test_a_weight_that_is_not_finite_is_told_apart(layer):
    model = deep()
    model.layers[layer].parameters["bias"][2] = np.nan
    found = nv.health(model, ROWS)
    assert found.first_nonfinite == layer
    assert found.cause == f"layer {layer!r} holds 1 NaN in its weight 'bias'"


def test_an_input_that_is_not_finite_is_told_apart():
    rows = ROWS.copy()
    rows[3, 2] = np.nan
    found = nv.health(deep(), rows)
    assert found.first_nonfinite is None
    assert found.cause == "the model's input already holds 1 NaN"
    assert not found.is_healthy


def test_masked_scores_are_no_alarm():
    class Softmax(Op):
        def __call__(self, x):
            powers = np.exp(x - x.max(axis=1, keepdims=True))
            return powers / powers.sum(axis=1, keepdims=True)

    found = nv.health(deep(dense3=Broken(-np.inf), dense4=Softmax()), ROWS)
    assert found.is_healthy
    assert next(row for row in found.rows if row.path == "dense3").reason == "40 −inf, as masks have them"


def test_a_mask_that_leaves_nothing_is_an_alarm_where_the_nan_is_born():
    class Softmax(Op):
        def __call__(self, x):
            with np.errstate(invalid="ignore"):
                powers = np.exp(x - x.max(axis=1, keepdims=True))
                return powers / powers.sum(axis=1, keepdims=True)

    class Mask(Op):
        def __call__(self, x):
            masked = x.copy()
            masked[0] = -np.inf
            return masked

    found = nv.health(deep(dense3=Mask(), dense4=Softmax()), ROWS)
    assert found.first_nonfinite == "dense4"
    assert "as where a mask leaves nothing" in found.cause


def with_dead_channel() -> Model:
    model = example_model()
    conv, dense = model.layers["conv1"], model.layers["dense1"]
    conv.parameters["kernel"][2] = 0
    conv.parameters["bias"][2] = -1
    return Model(conv1=conv, relu=Relu(), dense1=dense)


def test_a_unit_is_dead_over_a_data_set_and_not_over_a_batch():
    row = next(row for row in nv.health(with_dead_channel(), X).rows if row.path == "relu")
    assert (row.dead_units, row.unit_count, row.status) == (1, 4, "warning")
    few = next(row for row in nv.health(with_dead_channel(), X[:8]).rows if row.path == "relu")
    assert (few.dead_units, few.status) == (1, "ok")
    assert "too few" in few.reason
    batches = [X[start : start + 8] for start in range(0, 40, 8)]
    gathered = next(row for row in nv.health(with_dead_channel(), data=batches).rows if row.path == "relu")
    assert (gathered.dead_units, gathered.status) == (1, "warning")


def test_a_unit_that_wakes_once_is_not_dead():
    model = with_dead_channel()
    model.layers["conv1"].parameters["kernel"][2, 0, 1, 1] = 1
    x = np.zeros((64, 1, 8, 8))
    x[50, 0, 4, 4] = 5
    row = next(row for row in nv.health(model, data=[x[:32], x[32:]]).rows if row.path == "relu")
    assert row.dead_units < 4
    assert nv.health(model, x[:32]).rows[1].dead_units > row.dead_units


def test_a_value_near_the_largest_of_its_dtype_is_an_alarm():
    model = deep()
    model.layers["dense2"].parameters["bias"][0] = 1e308
    found = nv.health(model, ROWS)
    assert next(row.path for row in found.alarms) == "dense2"
    assert "near the largest that float64 holds" in found.alarms[0].reason
    assert nv.health(model, ROWS, "dense0", thresholds=Thresholds(overflow=0.9)).is_healthy


def test_gradients_of_a_loss_are_those_of_the_loss():
    model = example_model()
    targets = np.arange(40) % 10
    found = nv.health(model, X, loss="cross_entropy", targets=targets)
    scores = model(X)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(40), targets] -= 1
    row = next(row for row in found.rows if row.path == "dense1")
    assert row.gradient == pytest.approx(np.sqrt(((shares / 40) ** 2).mean()), rel=1e-4)


@pytest.mark.parametrize(
    ("factor", "word", "status"), [(1e-12, "vanishes", "warning"), (1e9, "explodes", "alarm")]
)
def test_a_vanishing_and_an_exploding_gradient_are_said(factor, word, status):
    model = deep()
    model.layers["dense3"].parameters["kernel"] *= factor
    found = nv.health(model, ROWS, loss="mean_squared_error", targets=np.ones((40, 6)))
    assert [row.path for row in found.rows if word in row.reason] == ["dense0", "dense1", "dense2"]
    assert {row.status for row in found.rows if word in row.reason} == {status}


def test_the_picture_marks_alarms():
    found = nv.health(deep(dense1=Broken(np.nan)), ROWS)
    assert found.values.shape == (len(found.rows), len(found.measures))
    assert (
        next(path for path, is_marked in zip(found.layers, found.marked, strict=True) if is_marked)
        == "dense1"
    )
    assert np.nanmax(found.shares) <= 1


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, nv.InputError, "no input was given"),
        ({"x": X, "loss": "cross_entropy"}, nv.InputError, "give targets="),
        ({"x": X, "loss": "hinge", "targets": np.zeros(40)}, nv.InputError, "'hinge' is not known"),
        ({"x": X, "layers": "conv9"}, nv.LayerNotFoundError, "conv1"),
        ({"data": []}, nv.InputError, "has no batch"),
        ({"data": [X], "loss": "cross_entropy"}, nv.InputError, "must be a pair"),
        ({"x": X, "data": [X]}, nv.InputError, "give either, not both"),
        ({"x": X, "targets": np.zeros(40)}, nv.InputError, "give loss="),
    ],
)
def test_what_cannot_be_seen_is_said(given, error, text):
    with pytest.raises(error, match=text):
        nv.health(example_model(), **given)


def test_a_model_that_cannot_run_says_so_itself():
    class Broken(Op):
        def __call__(self, x):
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        nv.health(Model(broken=Broken()), ROWS)


def test_the_layers_of_a_convolution_have_units():
    example_model()
    model = Model(conv=Conv2d(kernel=np.ones((2, 1, 3, 3)), bias=np.zeros(2)))
    assert nv.health(model, X).rows[0].unit_count == 2


def test_an_overflow_below_is_one_and_a_mask_is_none():
    model = deep()
    model.layers["dense2"].parameters["kernel"] *= 1e308
    model.layers["dense2"].parameters["bias"][:] = -1.7e308
    model.layers["dense3"] = Relu()
    with np.errstate(over="ignore", invalid="ignore"):
        found = nv.health(model, np.abs(ROWS))
    assert found.first_nonfinite == "dense2"


def test_a_layer_that_always_returns_the_same_is_said_unless_the_samples_are():
    model = deep()
    model.layers["dense2"].parameters["kernel"][:] = 0
    model.layers["dense2"].parameters["bias"][:] = 0.1 * np.arange(1, 7)
    found = {row.path: row for row in nv.health(model, ROWS).rows}
    assert found["dense1"].status == "ok"
    assert found["dense2"].reason == "it always returned the same, whatever the sample"
    assert all(row.status == "ok" for row in nv.health(model, np.ones((40, 6))).rows)
    batches = [np.full((20, 6), value) for value in (1.0, 2.0)]
    assert nv.health(model, data=batches).rows[2].status == "warning"


def test_gradients_are_judged_beside_that_at_the_output_whichever_layers_are_asked_for():
    model = deep()
    model.layers["dense3"].parameters["kernel"] *= 1e-12
    found = nv.health(model, ROWS, "dense0", loss="mean_squared_error", targets=np.ones((40, 6)))
    assert ["vanishes" in row.reason for row in found.rows] == [True]

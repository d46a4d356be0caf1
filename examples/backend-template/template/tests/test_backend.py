"""What is true of this framework alone."""

import copy

import numpy as np
import pytest
from networks import X, classifier, regressor
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier

import netviz_core as nv


def test_the_last_layer_returns_what_scikit_learn_predicts():
    model = classifier()
    np.testing.assert_array_equal(nv.capture(model, X)["activation2"].values, model.predict_proba(X))
    model = regressor()
    np.testing.assert_array_equal(nv.capture(model, X)["dense1"].values[:, 0], model.predict(X))


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_hidden_values_are_those_that_follow_from_coefficients(activation):
    model = regressor(activation=activation)
    captured = nv.capture(model, X)
    np.testing.assert_allclose(captured["dense0"].values, X @ model.coefs_[0] + model.intercepts_[0])
    assert ("activation0" in captured) == (activation != "identity")


def test_kernels_are_out_by_in_and_can_be_written():
    model = classifier()
    kernel = nv.wrap(model)["dense0"].weights["kernel"]
    assert (kernel.axes, kernel.shape) == (("out", "in"), (6, 4))
    kernel.assign(np.zeros((6, 4)))
    assert not model.coefs_[0].any()


def test_a_prediction_of_ones_own_is_heard_and_left_as_it_is():
    model, attributes = classifier(), set(vars(classifier()))
    expected = model.predict(X)
    with nv.recording(model) as captured:
        np.testing.assert_array_equal(model.predict(X), expected)
    assert captured.coverage["dense1"].status == "captured"
    assert set(vars(model)) == attributes


def test_a_changed_weight_is_found():
    model = classifier()
    changed = copy.deepcopy(model)
    changed.intercepts_[1][2] += 1
    found = nv.compare(model, changed, X)
    assert not found.agrees
    assert [fault.pair.path_a for fault in found.faults] == ["dense1"]


def test_a_network_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        nv.summary(MLPClassifier())

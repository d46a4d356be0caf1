"""Small networks to try the backend with."""

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

X = np.random.default_rng(0).normal(size=(20, 4))


def classifier(**options) -> MLPClassifier:
    """Three classes, two hidden layers."""
    model = MLPClassifier(hidden_layer_sizes=(6, 5), solver="lbfgs", random_state=0, **options)
    return model.fit(X, np.arange(20) % 3)


def regressor(**options) -> MLPRegressor:
    """One number, one hidden layer."""
    model = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", random_state=0, **options)
    return model.fit(X, X.sum(axis=1))

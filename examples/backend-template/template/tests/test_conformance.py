"""What netviz asks of every backend; known_failures.toml says what this one cannot do yet."""

import tomllib
from pathlib import Path

import pytest
from networks import X, classifier, regressor

from netviz_core.testing import BackendConformance

KNOWN = tomllib.loads(Path(__file__).with_name("known_failures.toml").read_text("utf-8"))


class TestClassifier(BackendConformance):
    known_failures = KNOWN

    @pytest.fixture
    def case(self):
        return classifier(), X


class TestRegressor(BackendConformance):
    known_failures = KNOWN

    @pytest.fixture
    def case(self):
        return regressor(), X

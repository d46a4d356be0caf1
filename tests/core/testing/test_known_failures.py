"""The list of what a backend cannot do yet has to be true, in both directions."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from netviz_core.testing import BackendConformance

SUITE = """
import numpy as np
import pytest

from netviz_core.testing import BackendConformance, ReferenceBackend, example_model

CHECK = "test_different_inputs_give_different_values"
SKIPPED = "test_what_is_put_in_place_is_what_follows_is_computed_from"


class Faulty(ReferenceBackend):
    def run(self, model, inputs, recorder=None):
        return model(inputs)

    run_replaced = property()


class Base(BackendConformance):
    backend = ReferenceBackend

    @pytest.fixture
    def case(self):
        from netviz_core.backend_api import register_backend

        model = example_model()
        register_backend("netviz_core", self.backend)
        return model, np.ones((2, 1, 8, 8))


class TestTrue(Base):
    backend, known_failures = Faulty, {CHECK: "it tells nothing"}


class TestUntrue(Base):
    known_failures = {CHECK: "it tells nothing"}


class TestUnlisted(Base):
    backend = Faulty


class TestNotTried(Base):
    backend, known_failures = Faulty, {SKIPPED: "it puts nothing in place"}
"""


def test_a_check_fails_unless_it_is_listed_and_a_listed_one_unless_it_fails(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    options = ["-rA", "-p", "no:cacheprovider", "-k", "different_values or put_in_place"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_suite.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    told = re.findall(r"^(\w+) test_suite.py::(\w+)::test_(different|what)", ran.stdout, flags=re.MULTILINE)
    assert {(cls, check): outcome for outcome, cls, check in told} == {
        ("TestTrue", "different"): "XFAIL",
        ("TestUntrue", "different"): "FAILED",
        ("TestUntrue", "what"): "PASSED",
        ("TestUnlisted", "different"): "FAILED",
        ("TestNotTried", "different"): "FAILED",
        ("TestNotTried", "what"): "FAILED",
    }, ran.stdout


def test_a_listed_check_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="there is no check 'test_long_gone'; strike it out"):
        type("TestMine", (BackendConformance,), {"known_failures": {"test_long_gone": "nobody knows"}})

"""The reference backend passes the suite, and the suite catches backends that do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.backend_api import Layout, Observation, Ready
from netviz_core.testing import BackendConformance, ReferenceBackend, example_model


class TestReference(BackendConformance):
    @pytest.fixture
    def case(self):
        return example_model(), np.random.default_rng(0).normal(size=(2, 1, 8, 8))


class Sharing(ReferenceBackend):
    """Reads weights without a copy."""

    def layers(self, model):
        for layer in super().layers(model):
            for weight in layer.weights.values():
                object.__setattr__(weight, "numpy", weight.read)
            yield layer


class Forgetful(ReferenceBackend):
    """Listens on after an error."""

    def record(self, model, recorder):
        context = super().record(model, recorder)
        context.__enter__()

        class Leaking:
            def __enter__(self):
                return None

            def __exit__(self, *error):
                return False

        self.kept = context
        return Leaking()


class Reusing(ReferenceBackend):
    """Keeps values in a buffer that the next pass overwrites."""

    buffers: dict = {}  # noqa: RUF012

    def run(self, model, inputs, recorder=None):
        class Buffered:
            paths = recorder.paths if recorder else frozenset()
            given = None

            def add(self, path, observations):
                kept = []
                for seen in observations:
                    buffer = Reusing.buffers.setdefault((path, seen.leaf), np.empty_like(seen.value.numpy()))
                    buffer[...] = seen.value.numpy()
                    kept.append(Observation(seen.leaf, Ready(buffer), seen.axes, seen.dtype, seen.nbytes))
                recorder.add(path, kept)

        return super().run(model, inputs, Buffered() if recorder else None)


class Silent(ReferenceBackend):
    """Leaves a layer out without saying so."""

    def run(self, model, inputs, recorder=None):
        if recorder is not None:
            recorder.paths = recorder.paths - {"conv1"}
            recorder.miss("conv1", "")
        return super().run(model, inputs, recorder)


class Guessing(ReferenceBackend):
    """Names axes that are not there."""

    def layers(self, model):
        for layer in super().layers(model):
            for weight in layer.weights.values():
                object.__setattr__(weight, "layout", Layout(("out",) * len(weight.native_shape)))
            yield layer


class Sideways(ReferenceBackend):
    """Takes one axis of kernels for the other."""

    def layers(self, model):
        for layer in super().layers(model):
            if layer.kind == "conv2d":
                sideways = Layout(("out", "in", "y", "x"), "o i x y -> o i y x")
                object.__setattr__(layer.weights["kernel"], "layout", sideways)
            yield layer


class Deaf(ReferenceBackend):
    """Does not hear a layer, which therefore seems not to run."""

    def run(self, model, inputs, recorder=None):
        if recorder is not None:
            recorder.paths = recorder.paths - {"conv1"}
        return super().run(model, inputs, recorder)


class Lying(ReferenceBackend):
    """Takes the inputs of a dense layer for its outputs."""

    def layers(self, model):
        for layer in super().layers(model):
            if layer.kind == "dense":
                object.__setattr__(layer.weights["kernel"], "layout", Layout(("out", "in"), "o i -> i o"))
            yield layer


class Literal(ReferenceBackend):
    """Lays an input that names its axes out by its size."""

    def run(self, model, inputs, recorder=None):
        return super().run(model, getattr(inputs, "values", inputs).reshape(-1, 1, 8, 8), recorder)


class Twice(ReferenceBackend):
    """Lists a layer at each of its places."""

    def layers(self, model):
        for layer in super().layers(model):
            yield layer
        yield replace(layer, path=f"{layer.path}_again")


class Half(ReferenceBackend):
    """Offers a part of what belongs together."""

    def example(self, model):
        return np.ones((2, 1, 8, 8))


class Narrow(ReferenceBackend):
    """Takes fewer arguments than it is given."""

    def gradients(self, model, inputs):
        return None


@pytest.mark.parametrize(
    ("backend", "caught_by"),
    [
        (Sharing, "test_a_weight_that_was_read_belongs_to_the_reader"),
        (Forgetful, "test_nothing_listens_after_the_context"),
        (Forgetful, "test_nothing_listens_after_an_error"),
        (Reusing, "test_values_do_not_change_afterwards"),
        (Silent, "test_every_layer_is_accounted_for"),
        (Sideways, "test_a_layer_returns_what_its_kind_config_and_weights_say"),
        (Twice, "test_what_stands_in_several_places_is_one_layer"),
        (Deaf, "test_what_is_said_not_to_run_has_no_part_in_the_output"),
        (Lying, "test_weights_are_as_long_as_what_comes_of_them"),
        (Literal, "test_an_input_that_names_its_axes_is_laid_out_for_the_model"),
        (Half, "test_what_is_opt_in_is_offered_whole"),
        (Narrow, "test_what_is_opt_in_is_offered_whole"),
        (Guessing, "test_weights_say_what_they_are_before_they_are_read"),
    ],
)
def test_a_faulty_backend_is_caught(backend, caught_by):
    model = example_model()
    nv.register_backend("netviz_core", backend)
    try:
        x, axes = np.random.default_rng(0).normal(size=(2, 1, 8, 8)), ("batch", "channel", "y", "x")
        arguments = {"network": nv.wrap(model), "x": x, "axes": axes}
        test = getattr(BackendConformance(), caught_by)
        wanted = test.__func__.__code__.co_varnames[1 : test.__func__.__code__.co_argcount]
        with pytest.raises(AssertionError):
            test(**{name: arguments[name] for name in wanted})
    finally:
        nv.register_backend("netviz_core", ReferenceBackend)

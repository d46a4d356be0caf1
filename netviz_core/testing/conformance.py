"""What every backend must do, as tests that the author of one subclasses.

Needs pytest. A new backend is tested by::

    class TestFlax(BackendConformance):
        @pytest.fixture
        def case(self):
            return my_small_model(), np.ones((2, 8, 8, 1), "float32")

The model should hold a convolution or another layer with weights, which are drawn at random, and give the same
output for the same input in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from .. import plugins
from ..captures.capture import capture, recording
from ..captures.recorder import Recorder
from ..captures.saved import load_capture
from ..comparing.judging.difference import difference, tolerance_for
from ..models.network import Network, wrap
from ..recomputing.layers import recomputed
from ..words.arrays import Activation, AxisArray
from ..words.errors import CaptureTooLargeError, LayerNotFoundError, UnsupportedError
from ..words.protocols import KINDS
from ..words.supports_passes import StandIn
from .looking import Array, assert_same, axes_of_input, changed, returned_by, weights_of
from .opt_in import not_as_agreed

STATUSES = {"captured", "not_observed", "unsupported"}

BY_CHANNEL = {"dense", "embedding", *(kind for kind in KINDS if "conv" in kind or kind.endswith("_norm"))}
"""Kinds of layers that return as many channels as their weights have outputs, or channels."""


class BackendConformance:
    """Subclass it, and give it a fixture ``case``: a new model and an input for it, a batch of two or more.

    What a backend cannot do yet stands in ``known_failures``, which has to stay true: a check that it names and that
    passes, is skipped or does not exist makes the suite fail, as does any other check that fails.
    """

    known_failures: ClassVar[Mapping[str, str]] = {}
    """By the names of checks, why they fail."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name, reason in vars(cls).get("known_failures", {}).items():
            check = getattr(cls, name, None)
            if not (name.startswith("test_") and check):
                raise TypeError(
                    f"known_failures of {cls.__name__}: there is no check {name!r}; strike it out"
                )
            setattr(cls, name, pytest.mark.xfail(reason=reason, strict=True)(_tried(check)))

    @pytest.fixture
    def case(self) -> tuple[Any, Any]:
        """A model and its input: to be overridden."""
        raise NotImplementedError("override the fixture 'case': return a model and an input for it")

    @pytest.fixture
    def network(self, case: tuple[Any, Any]) -> Network:
        """The model, wrapped, and built if it makes its layers only when it first sees an input."""
        network = wrap(case[0])
        network.adapter.run(network.native, case[1])
        return network

    @pytest.fixture
    def x(self, case: tuple[Any, Any]) -> Any:
        """The input."""
        return case[1]

    @pytest.fixture
    def axes(self, network: Network, x: Any) -> Sequence[str] | None:
        """How the input's axes are called, where the first layer tells: to be overridden where it does not."""
        return axes_of_input(network, x)

    @pytest.fixture
    def weights_stay(self, network: Network) -> Iterator[None]:
        """Fails the test if a weight is changed by it."""
        before = weights_of(network)
        yield
        after = weights_of(network)
        assert before.keys() == after.keys()
        for name, values in before.items():
            np.testing.assert_array_equal(values, after[name], err_msg=name)

    def test_the_registry_finds_the_backend_by_the_model(self, network: Network) -> None:
        assert plugins.backend_for(network.native) is network.adapter
        assert plugins.get_backend(network.backend) is network.adapter
        assert not network.adapter.accepts(object())

    def test_layers_have_unique_paths_and_known_kinds(self, network: Network) -> None:
        layers = list(network.adapter.layers(network.native))
        assert layers[0].path == ""
        assert len({layer.path for layer in layers}) == len(layers) > 1
        for layer in layers:
            assert layer.kind in KINDS
            assert layer.type_name
            assert isinstance(layer.config, Mapping)
            assert isinstance(layer.trainable, bool)
        assert [layer.path for layer in network.adapter.layers(network.native)] == [
            layer.path for layer in layers
        ]

    def test_what_stands_in_several_places_is_one_layer(self, network: Network) -> None:
        """Of which each place is a call: else what happens at one of them is missed, and weights count twice."""
        owners = [layer.native for layer in network.layers.values() if layer.weights]
        assert len({id(owner) for owner in owners}) == len(owners)

    def test_what_is_opt_in_is_offered_whole(self, network: Network) -> None:
        """A protocol of which a backend has a method is had with all of them, which take what the contract says."""
        assert not_as_agreed(network.adapter) == []

    def test_weights_say_what_they_are_before_they_are_read(self, network: Network) -> None:
        weights = [weight for layer in network.layers.values() for weight in layer.weights.items()]
        assert weights
        for name, weight in weights:
            assert weight.name == name
            assert weight.native_name
            assert isinstance(weight.trainable, bool)
            assert weight.dtype
            values = weight.numpy()
            assert values.shape == tuple(weight.shape)
            assert len(set(weight.axes)) == len(weight.axes) == values.ndim
            assert values.dtype not in (np.float16, np.object_)

    @pytest.mark.usefixtures("weights_stay")
    def test_layers_and_weights_show_themselves(self, network: Network) -> None:
        """In a line and, in a notebook, as a card; a layer derived from `ShownLayer` does."""
        assert "card" in network._repr_html_()
        for layer in network.layers.values():
            for shown in (layer, layer.weights, *layer.weights.values()):
                assert len(repr(shown).splitlines()) == 1
                assert "card" in _card_of(shown)

    def test_a_weight_that_was_read_belongs_to_the_reader(self, network: Network) -> None:
        for layer in network.layers.values():
            for weight in layer.weights.values():
                first = weight.numpy()
                assert first.flags.writeable
                first[...] = 0
                first[...] = 1
                assert not np.shares_memory(first, weight.numpy())

    @pytest.mark.usefixtures("weights_stay")
    def test_every_layer_is_accounted_for(self, network: Network, x: Any) -> None:
        captured = capture(network, x)
        assert list(captured.coverage) == list(network.layers)
        for path, entry in captured.coverage.items():
            assert entry.status in STATUSES
            assert bool(entry.reason) == (entry.status != "captured"), path
        assert {activation.path for activation in captured.values()} == {
            path for path, entry in captured.coverage.items() if entry.status == "captured"
        }

    @pytest.mark.usefixtures("weights_stay")
    def test_what_is_said_not_to_run_has_no_part_in_the_output(self, network: Network, x: Any) -> None:
        before = capture(network, x)
        absent = [
            network[path] for path, entry in before.coverage.items() if entry.reason == Recorder.absence
        ]
        for weight in (weight for layer in absent for weight in layer.weights.values()):
            values = weight.numpy()
            try:
                weight.assign(values + 1)
            except UnsupportedError:
                continue
            after = capture(network, x, "")
            weight.assign(values)
            for key, activation in after.items():
                np.testing.assert_array_equal(activation.values, before[key].values, err_msg=str(weight))

    def test_activations_say_what_they_are(self, network: Network, x: Any) -> None:
        for key, activation in capture(network, x).items():
            assert isinstance(activation, Activation)
            assert key.startswith(activation.path)
            assert len(activation.axes) == activation.values.ndim
            assert activation.dtype
            assert activation.values.dtype not in (np.float16, np.object_)

    def test_a_pass_gives_the_same_each_time(self, network: Network, x: Any) -> None:
        first, second = capture(network, x), capture(network, x)
        assert_same(first, second)

    def test_one_layer_alone_is_as_it_is_among_all(self, network: Network, x: Any) -> None:
        everything = capture(network, x)
        for path, entry in everything.coverage.items():
            if entry.status == "captured":
                alone = capture(network, x, path)
                assert {activation.path for activation in alone.values()} == {path}
                for key, activation in alone.items():
                    np.testing.assert_array_equal(activation.values, everything[key].values)

    def test_weights_are_as_long_as_what_comes_of_them(self, network: Network, x: Any) -> None:
        """Along outputs and channels; a kernel that lies the wrong way round is not."""
        for activation in capture(network, x).values():
            layer = network[activation.path]
            for name in (
                {"kernel", "bias", "scale"} & layer.weights.keys() if layer.kind in BY_CHANNEL else ()
            ):
                lengths = dict(zip(layer.weights[name].axes, layer.weights[name].shape, strict=True))
                length = lengths.get("out", lengths.get("channel"))
                assert activation.sizes.get("channel", length) in (length, None), (layer, name, lengths)

    def test_a_layer_returns_what_its_kind_config_and_weights_say(self, network: Network, x: Any) -> None:
        """Where these say it all, so that it can be computed in NumPy from what the layer was given."""
        layers = list(network.layers.values())
        given = Recorder(layers)
        recorder = Recorder(layers, given=given)
        network.adapter.run(network.native, x, recorder)
        compared = 0
        for layer in layers:
            before, after = (
                [s for s in told.slots if (s.path, s.call) == (layer.path, 0)] for told in (given, recorder)
            )
            weights = {name: weight.numpy() for name, weight in layer.weights.items()}
            inputs, orders = [slot.get() for slot in before], [slot.axes for slot in before]
            found = (
                recomputed(layer.kind, layer.type_name, layer.config, weights, inputs, orders)
                if after
                else None
            )
            if found is not None:
                returned = after[0].get()
                assert found.axes == returned.axes, layer
                distance = difference(found.values, returned.values, tolerance_for(returned.dtype))
                assert distance.within, (layer, layer.config, distance)
                compared += 1
        if not compared:
            pytest.skip("of no layer it is known what it was given, and what it makes of that")

    def test_values_do_not_change_afterwards(self, network: Network, x: Any) -> None:
        captured = capture(network, x)
        before = {key: activation.values.copy() for key, activation in captured.items()}
        capture(network, changed(x))
        for key, values in before.items():
            np.testing.assert_array_equal(captured[key].values, values)

    def test_an_input_that_names_its_axes_is_laid_out_for_the_model(
        self, network: Network, x: Any, axes: Sequence[str] | None
    ) -> None:
        """Whatever the order in which they are given."""
        if axes is None:
            pytest.skip("it is not known how the input's axes are called; override the fixture 'axes'")
        as_named = AxisArray(np.asarray(x), tuple(axes))
        plain, named = capture(network, x), capture(network, as_named)
        assert_same(named, capture(network, as_named.transpose(*reversed(as_named.axes))))
        for key, activation in plain.items():
            if activation.axes == named[key].axes:
                np.testing.assert_array_equal(activation.values, named[key].values, err_msg=key)

    def test_different_inputs_give_different_values(self, network: Network, x: Any) -> None:
        first, second = capture(network, x), capture(network, changed(x))
        assert any(not np.array_equal(first[key].values, second[key].values) for key in first)

    @pytest.mark.usefixtures("weights_stay")
    def test_recording_numbers_the_calls(self, network: Network, x: Any) -> None:
        once = capture(network, x)
        with recording(network) as captured:
            network.adapter.run(network.native, x)
            network.adapter.run(network.native, x)
        for key, activation in once.items():
            if once.slots()[key].call == 0 and ":" not in key:
                path, _, leaf = key.partition("#")
                suffix = f"#{leaf}" if leaf else ""
                for call in range(2):
                    again = captured[f"{path}:{call}{suffix}"]
                    np.testing.assert_allclose(again.values, activation.values, rtol=1e-5, atol=1e-6)

    def test_nothing_listens_after_the_context(self, network: Network, x: Any) -> None:
        with recording(network) as captured:
            network.adapter.run(network.native, x)
        kept = list(captured)
        network.adapter.run(network.native, x)
        assert list(captured) == kept

    def test_nothing_listens_after_an_error(self, network: Network, x: Any) -> None:
        class Interrupted(BaseException):
            pass

        with pytest.raises(Interrupted), recording(network) as captured:
            raise Interrupted
        network.adapter.run(network.native, x)
        assert len(captured) == 0

    @pytest.mark.usefixtures("weights_stay")
    def test_too_large_a_capture_is_refused_and_leaves_the_model_usable(
        self, network: Network, x: Any
    ) -> None:
        whole = capture(network, x)
        with pytest.raises(CaptureTooLargeError, match="max_bytes"):
            capture(network, x, max_bytes=1)
        assert_same(whole, capture(network, x))

    def test_a_reduction_is_kept_in_place_of_the_value(self, network: Network, x: Any) -> None:
        whole = capture(network, x)
        reduced = capture(network, x, reduce=lambda activation: float(activation.values.mean()))
        assert list(reduced) == list(whole)
        for key, activation in reduced.items():
            assert activation.axes == ()
            np.testing.assert_allclose(activation.values, whole[key].values.mean(), rtol=1e-5, atol=1e-6)

    @pytest.mark.usefixtures("weights_stay")
    def test_what_is_put_in_place_is_what_follows_is_computed_from(self, network: Network, x: Any) -> None:
        adapter = network.adapter
        if not hasattr(adapter, "run_replaced"):
            pytest.skip("the backend does not put other values in place (SupportsReplacement)")
        run_replaced, layers = adapter.run_replaced, list(network.layers.values())

        def run(zeroed: str | None, instead: Mapping[str, Sequence[StandIn]]) -> Recorder:
            wanted = [layer for layer in layers if layer.path not in instead]
            recorder = Recorder(wanted, given=Recorder(wanted))

            def replacement(
                path: str, call: int, leaf: str, is_given: bool, shape: tuple[int, ...]
            ) -> Array | None:
                return np.zeros(shape, np.float32) if path == zeroed and not is_given else None

            run_replaced(network.native, x, recorder, replacement, instead)
            return recorder

        before = run(None, {})
        whole = capture(network, x)
        for key, slot in whole.slots().items():
            np.testing.assert_allclose(
                slot.get().values,
                returned_by(before, slot.path, slot.call, slot.observation.leaf),
                err_msg=key,
            )
        first, last = before.slots[0], before.slots[-1]
        after = run(first.path, {})
        np.testing.assert_array_equal(
            returned_by(after, first.path, 0, first.observation.leaf), first.get().values
        )
        assert not np.allclose(
            returned_by(after, last.path, last.call, last.observation.leaf), last.get().values
        ), (
            f"with zeros in place of what {first.path!r} returned, {last.path!r} returns what it did: they are not "
            f"handed on, or the model of the case makes the same of everything, as with weights that are zero"
        )
        assert after.given is not None
        assert any(slot.path != first.path and not slot.get().values.any() for slot in after.given.slots)
        own = [slot for slot in before.slots if slot.path == first.path]
        zeros = [StandIn(np.zeros(s.observation.value.shape), s.axes, s.observation.dtype) for s in own]
        without = run(None, {first.path: zeros})
        assert first.path not in {slot.path for slot in without.slots}
        np.testing.assert_array_equal(
            returned_by(without, last.path, last.call, last.observation.leaf),
            returned_by(after, last.path, last.call, last.observation.leaf),
        )

    def test_a_capture_survives_a_file(self, network: Network, x: Any, tmp_path: Path) -> None:
        captured = capture(network, x)
        captured.save(tmp_path / "capture")
        loaded = load_capture(tmp_path / "capture")
        assert_same(captured, loaded)
        assert loaded.coverage == captured.coverage

    def test_an_unknown_layer_names_others(self, network: Network, x: Any) -> None:
        with pytest.raises(LayerNotFoundError, match="no layer 'no such layer'"):
            capture(network, x, "no such layer")


def _tried(check: Callable[..., None]) -> Callable[..., None]:
    """The check itself; what is skipped does not fail."""

    @wraps(check)
    def tried(self: BackendConformance, **fixtures: Any) -> None:
        try:
            check(self, **fixtures)
        except pytest.skip.Exception:
            return

    return tried


def _card_of(shown: Any) -> str:
    html: str = shown._repr_html_()
    return html

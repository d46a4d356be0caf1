"""Keys, coverage and limits of a capture, on networks written in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.captures import capture as capture_module
from netviz_core.captures.capture import Capture
from netviz_core.captures.keys import keyed
from netviz_core.captures.recorder import Recorder
from netviz_core.testing.reference import Conv2d, Dense, Model, Op, example_model
from netviz_core.words.observations import Observation, Ready


class Halves(Op):
    """Returns a structure: both halves of the channels, and a dict around the sum."""

    def __call__(self, x):
        left, right = np.split(x, 2, axis=1)
        return left, {"sum": [left + right]}


class Join(Op):
    def __call__(self, x):
        return np.concatenate([x[0], x[1]["sum"][0]], axis=1)


def model() -> Model:
    example_model()
    return Model(split=Halves(), join=Join())


X = np.arange(8.0).reshape(2, 4)


def test_a_single_output_is_found_under_its_path():
    captured = nv.capture(example_model(), np.ones((2, 1, 8, 8)), "conv1")
    assert list(captured) == ["conv1"]
    assert captured["conv1"].sizes == {"batch": 2, "channel": 4, "y": 6, "x": 6}
    assert captured["conv1"].dtype == "float64"


def test_samples_are_counted_along_the_axis_that_is_called_so():
    """And not along the first two: an input may name its axes in any order."""
    turned = nv.AxisArray(np.ones((8, 8, 1, 2)), ("x", "y", "channel", "batch"))
    captured = nv.capture(example_model(), turned, "conv1")
    assert captured["conv1"].sizes == {"batch": 2, "channel": 4, "y": 6, "x": 6}


def test_a_structure_is_found_part_by_part():
    captured = nv.capture(model(), X, "split")
    assert list(captured) == ["split#0", "split#1.sum.0"]
    np.testing.assert_array_equal(captured["split#1.sum.0"].values, X[:, :2] + X[:, 2:])
    with pytest.raises(nv.AmbiguousKeyError, match=r"'split#0', 'split#1.sum.0'"):
        captured["split"]


def test_calls_are_numbered_once_there_are_several():
    network = model()
    with nv.recording(network, ["split", "join"]) as captured:
        network(X)
        assert "join" in captured
        assert list(captured)[-1] == "join"
        network(X + 1)
    assert list(captured) == [
        "split:0#0", "split:0#1.sum.0", "join:0", "split:1#0", "split:1#1.sum.0", "join:1",
    ]  # fmt: skip
    assert captured["split:1#0"].call == 1
    for ambiguous in ("split", "split#0", "split:0", "join"):
        with pytest.raises(nv.AmbiguousKeyError):
            captured[ambiguous]
    with pytest.raises(nv.LayerNotFoundError, match="did you mean"):
        captured["jion:0"]


def test_coverage_says_what_became_of_every_layer():
    class Silent(Op):
        def __call__(self, x):
            return "no tensor"

    example_model()
    network = Model(silent=Silent())
    captured = nv.capture(network, X)
    assert captured.coverage["silent"].status == "unsupported"
    assert "no tensor" in captured.coverage["silent"].reason
    with pytest.raises(nv.LayerNotFoundError, match="no tensor"):
        captured["silent"]

    with nv.recording(model(), "join") as nothing:
        pass
    assert nothing.coverage["join"].status == "not_observed"


def test_the_limit_is_met_before_anything_is_kept():
    with pytest.raises(nv.CaptureTooLargeError, match="max_bytes=100") as caught:
        nv.capture(example_model(), np.ones((2, 1, 8, 8)), max_bytes=100)
    assert isinstance(caught.value, MemoryError)


def test_axes_can_be_named():
    captured = nv.capture(model(), X, "split", axes={"split": ("batch", "feature")})
    assert captured["split#0"].axes == ("batch", "feature")
    captured = nv.capture(example_model(), np.ones((2, 1, 8, 8)), axes=("batch", "y", "x", "channel"))
    assert captured["conv1"].axes == ("batch", "channel", "y", "x")
    assert captured["conv1"].shape == (2, 6, 4, 6)
    with pytest.raises(nv.AxisError, match="whose output has 2 axes"):
        nv.capture(model(), X, "split", axes={"split": ("batch",)})


def test_an_axis_array_is_laid_out_for_the_model():
    picture = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
    as_is = nv.capture(example_model(), picture, "dense1")["dense1"]
    laid_out = nv.capture(example_model(), nv.images(picture.transpose(0, 2, 3, 1)), "dense1")["dense1"]
    np.testing.assert_array_equal(as_is.values, laid_out.values)


def test_layers_are_selected_by_path_glob_list_and_function():
    network = nv.wrap(example_model())
    assert [layer.path for layer in network.select("*1")] == ["conv1", "dense1"]
    assert [layer.path for layer in network.select(["dense1", "conv*"])] == ["conv1", "dense1"]
    assert [layer.path for layer in network.select(lambda layer: layer.kind == "dense")] == ["dense1"]
    assert [layer.path for layer in network.select("*", kind="conv*")] == ["conv1"]
    assert network["conv*"].path == "conv1"


@pytest.mark.parametrize("layers", ["conv9", ["conv1", "nothing*"], [], None, 3, lambda layer: False])
def test_a_selection_of_nothing_raises(layers):
    with pytest.raises((nv.LayerNotFoundError, nv.InputError)):
        nv.wrap(example_model()).select(layers)


def test_an_unknown_layer_names_the_nearest():
    with pytest.raises(nv.LayerNotFoundError, match="did you mean 'conv1'") as caught:
        nv.wrap(example_model())["covn1"]
    assert isinstance(caught.value, KeyError)
    with pytest.raises(nv.LayerNotFoundError, match="fits 2 layers"):
        nv.wrap(example_model())["*1"]
    with pytest.raises(nv.LayerNotFoundError, match="did you mean 'conv2d'"):
        nv.wrap(example_model()).select("*", kind="conv1d")


def test_what_the_model_raises_passes_through():
    class Boom(Op):
        def __call__(self, x):
            raise ZeroDivisionError("boom")

    network = Model(conv1=Conv2d(kernel=np.ones((1, 1, 1, 1)), bias=np.zeros(1)), boom=Boom())
    with pytest.raises(ZeroDivisionError, match="boom"):
        nv.capture(network, np.ones((1, 1, 2, 2)))
    assert network.listeners == []


def test_a_network_sees_what_is_changed_on_the_model():
    network = nv.wrap(example_model())
    network.native.layers["dense2"] = Dense(kernel=np.ones((2, 10)), bias=np.zeros(2))
    assert "dense2" in network
    assert len(network) == 4


def test_a_call_that_is_taken_back_is_told():
    network = nv.wrap(example_model())
    recorder = Recorder(network.select("conv1"))
    kept, lost = (Observation("", Ready(np.ones(1)), ("batch",), "float64", 8) for _ in range(2))
    recorder.add("conv1", [kept])
    recorder.add("conv1", [lost])
    recorder.withdraw({lost.value}, "it was changed unseen")
    assert recorder.coverage()["conv1"] == nv.Coverage("captured", "it was changed unseen")


def test_a_path_is_taken_as_it_is_before_it_is_taken_as_a_glob():
    class Plus(Op):
        def __call__(self, x):
            return x + 1

    example_model()
    model = Model(**{"blocks[0]": Plus()})
    reduced = nv.capture(
        model, X, "blocks[0]", reduce={"blocks[0]": np.mean}, axes={"blocks[0]": ("batch", "f")}
    )
    assert reduced["blocks[0]"].shape == ()


def test_keys_are_made_once_however_many_values_are_read(monkeypatch):
    made = []
    monkeypatch.setattr(capture_module, "keyed", lambda slots: made.append(len(slots)) or keyed(slots))
    captured = nv.capture(example_model(), np.zeros((2, 1, 8, 8)))
    assert len(dict(captured)) == len(captured.items()) == made[0]
    assert len(made) == 1


def test_keys_are_made_anew_when_values_come_move_or_go():
    recorder = Recorder(example_model_layers())
    captured = Capture("reference", recorder)
    values = [Ready(np.full(2, float(number))) for number in range(3)]
    for number, value in enumerate(values):
        recorder.add("conv1", [Observation("", value, ("batch",), "float64", 16)])
        assert len(list(captured)) == number + 1
    recorder.rearrange(0, [2, 0, 1])
    assert [captured[f"conv1:{call}"].values[0] for call in range(3)] == [2.0, 0.0, 1.0]
    recorder.withdraw({values[0]}, "it was lost")
    assert [activation.values[0] for activation in captured.values()] == [2.0, 1.0]
    assert captured.coverage["conv1"].reason == "it was lost"


def example_model_layers():
    return nv.wrap(example_model()).select("conv1")

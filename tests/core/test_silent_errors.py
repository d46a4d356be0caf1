"""Copies, names and keys that could be silently wrong are right, told, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import netviz_core as nv
from netviz_core.models.weights import Layout, Weight, by_name
from netviz_core.testing.reference import Dense, Model, Op, example_model


def square(seed: int) -> Dense:
    random = np.random.default_rng(seed)
    return Dense(kernel=random.normal(size=(4, 4)), bias=random.normal(size=4))


def pairs(report: nv.WeightTransfer) -> set[tuple[str, str]]:
    return {(entry.source, entry.target) for entry in report.copied}


def test_a_place_in_a_sequence_is_no_name():
    """Layer ``2`` of one model is the second, of the other the third."""
    example_model()
    source = Model(**{"0": square(0), "2": square(1), "4": square(2)})
    target = Model(**{"0": square(3), "1": square(4), "2": square(5)})
    assert pairs(nv.copy_weights(source, target)) == {("0", "0"), ("2", "1"), ("4", "2")}


def test_pairs_by_order_do_not_cross_pairs_by_name():
    example_model()
    source = Model(a=square(0), same=square(1), b=square(2))
    target = Model(same=square(3), x=square(4), y=square(5))
    assert pairs(nv.copy_weights(source, target)) == {("same", "same"), ("b", "x")}


def test_an_alphabetical_file_pairs_nothing_by_order(tmp_path):
    example_model()
    shapes = {"weight": (4, 4), "bias": (4,)}
    state = {f"{index}.{name}": np.ones(shapes[name], np.float32) for index in range(12) for name in shapes}
    save_file(state, tmp_path / "state.safetensors")
    assert list(nv.wrap(tmp_path / "state.safetensors").layers) == ["", *map(str, range(12))]
    target = Model(**{f"dense{index}": square(index) for index in range(12)})
    with pytest.raises(nv.InputError, match="mapping="):
        nv.copy_weights(tmp_path / "state.safetensors", target)
    mapping = {str(index): f"dense{index}" for index in range(12)}
    report = nv.copy_weights(tmp_path / "state.safetensors", target, mapping=mapping)
    assert len(report.copied) == 24


def test_two_layers_cannot_go_to_one():
    example_model()
    with pytest.raises(nv.InputError, match="mapped to 'x'"):
        nv.copy_weights(Model(a=square(0), b=square(1)), Model(x=square(2)), mapping={"*": "x"})


def test_no_weight_is_lost_to_another_of_its_name():
    def weight(name):
        return Weight(name, name, Layout(("out",)), (1,), "float32", True, lambda: np.zeros(1))

    assert list(by_name([weight("kernel"), weight("bias"), weight("kernel")])) == [
        "kernel",
        "bias",
        "kernel_1",
    ]


def test_a_path_that_looks_like_a_key_is_quoted():
    class Plus(Op):
        def __call__(self, x):
            return x + 1

    example_model()
    model = Model(**{"a": Plus(), "a:0": Plus()})
    with nv.recording(model) as captured:
        model(np.zeros((1, 2)))
        model(np.zeros((1, 2)))
    assert len(list(captured)) == len(captured) == 6
    assert captured["a:0"].path == "a"
    assert captured["'a:0':1"].path == "a:0"


def test_a_layer_may_be_called_as_safetensors_calls_its_header(tmp_path):
    class Plus(Op):
        def __call__(self, x):
            return x + 1

    example_model()
    captured = nv.capture(Model(__metadata__=Plus()), np.zeros((1, 2)))
    captured.save(tmp_path / "run")
    assert list(nv.load_capture(tmp_path / "run")) == ["__metadata__", ""]


@pytest.mark.parametrize(
    ("state", "kind", "axes"),
    [
        ({"mlp_tokens.fc.weight": (5, 4), "mlp_tokens.fc.bias": (5,)}, "dense", ("out", "in")),
        ({"time_embedding.0.weight": (5, 4), "time_embedding.0.bias": (5,)}, "dense", ("out", "in")),
        ({"embed_tokens.weight": (5, 4)}, "embedding", ("token", "out")),
        ({"word_embeddings.weight": (5, 4)}, "embedding", ("token", "out")),
        ({"proj.weight": (5, 4)}, "other", ("axis0", "axis1")),
        ({"c_attn.weight": (8, 24), "c_attn.bias": (24,)}, "other", ("axis0", "axis1")),
        ({"up.weight": (8, 2, 2, 2), "up.bias": (4,)}, "other", ("axis0", "axis1", "axis2", "axis3")),
        (
            {"conv.weight": (32, 128, 3, 3), "norm.running_mean": (128,)},
            "conv2d",
            ("axis0", "axis1", "y", "x"),
        ),
        ({"conv.weight": (32, 128, 3, 3), "norm.running_mean": (32,)}, "conv2d", ("out", "in", "y", "x")),
        ({"layers/dense_1/vars/0": (4, 5), "layers/dense_1/vars/1": (5,)}, "dense", ("out", "in")),
        ({"dense/vars/0": (4, 5), "dense/vars/1": (5,)}, "other", ("axis0", "axis1")),
        (
            {"layers/batch_normalization/vars/0": (4,), "layers/batch_normalization/vars/1": (4,)},
            "other",
            ("axis0",),
        ),
    ],
)
def test_a_checkpoint_claims_only_what_its_names_and_shapes_tell(state, kind, axes):
    network = nv.wrap({name: np.zeros(shape, np.float32) for name, shape in state.items()})
    layer = list(network.layers.values())[1]
    assert layer.kind == kind
    assert next(iter(layer.weights.values())).axes == axes

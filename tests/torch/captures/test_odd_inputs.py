"""What is no input of a model is refused in a sentence that can be followed."""

import weakref
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data import DataLoader, TensorDataset

import netviz_core as nv

X = torch.rand(4, 1, 8, 8)
PICTURE = Image.new("L", (8, 8))
GIVEN = {
    "picture": (PICTURE, "np.asarray"),
    "pictures": ([PICTURE, PICTURE], "np.asarray"),
    "in a dict": ({"x": PICTURE}, "np.asarray"),
    "arrays": ([np.ones((1, 8, 8), "float32")] * 2, "one array or tensor"),
    "loader": (DataLoader(X), "one batch"),
    "dataset": (TensorDataset(X), "one batch"),
    "batch with labels": ([X, torch.zeros(4)], "a list of 2 tensors"),
    "generator": ((row for row in X), "only once"),
    "path": ("picture.png", "an array or a tensor"),
    "shape": ((1, 1, 8, 8), "shape"),
    "vector": (torch.ones(8), "takes"),
}


@pytest.mark.parametrize("ask", [nv.capture, nv.summary, nv.graph, nv.cam, lambda m, x: nv.compare(m, m, x)])
@pytest.mark.parametrize("form", GIVEN)
def test_refused(form, ask):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()).eval()
    given, words = GIVEN[form]
    with pytest.raises(nv.InputError) as caught:
        ask(model, given)
    assert len(str(caught.value)) < 400
    if form != "shape" or ask in (nv.capture, nv.summary, nv.graph):  # a comparison takes a pair in a tuple
        assert words in str(caught.value)


def test_a_table_is_its_numbers():
    import pandas  # here, as it is heavy and one test needs it

    table = pandas.DataFrame(np.ones((2, 4)))
    model = nn.Linear(4, 3)
    np.testing.assert_array_equal(
        nv.capture(model, table)[""].values, nv.capture(model, np.ones((2, 4)))[""].values
    )


def test_a_missing_input_is_named():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(nv.InputError, match=r"forward takes \(x, y\)"):
        nv.capture(Two(), X)
    assert nv.compare(Two(), Two(), (X, X)).agrees


@pytest.mark.parametrize("ask", [nv.capture, nv.summary, nv.health, nv.graph])
@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([nn.Linear(8, 4)], (8,)),
        ([nn.ReLU(), nn.Conv1d(3, 4, 3)], (3, 9)),
        ([nn.Conv2d(3, 4, 3)], (3, 9, 9)),
        ([nn.ConvTranspose2d(3, 4, 3)], (3, 9, 9)),
        ([nn.Conv3d(3, 4, 3)], (3, 9, 9, 9)),
        ([nn.LSTM(4, 3)], (5, 4)),
    ],
)
def test_a_sample_without_its_batch_axis(ask, layers, shape):
    with pytest.raises(nv.InputError, match="no batch axis"):
        ask(nn.Sequential(*layers).eval(), torch.ones(shape))


def test_a_model_may_go_through_samples_itself():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return torch.stack([self.conv(sample) for sample in x])

    assert nv.capture(Loop(), torch.ones(2, 3, 8, 8))[""].shape == (2, 2, 6, 6)


@pytest.mark.parametrize("layers", ["*", "head"])
def test_shared_weights_tell_nothing_of_a_layer(layers):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens):
            return self.embed(tokens)

    reason = nv.capture(Tied(), torch.zeros(1, 3, dtype=torch.long), layers).coverage["head"].reason
    assert "which 'embed' has too" in reason


def test_a_layer_of_attention_that_did_not_run():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.attend = nn.Linear(4, 4), nn.MultiheadAttention(4, 2)

        def forward(self, x):
            return self.fc(x)

    assert (
        nv.capture(Idle(), torch.ones(1, 4)).coverage["attend.out_proj"].reason
        == "it did not run during the pass"
    )


def test_a_pair_of_different_inputs_is_the_cause():
    model = nn.Linear(4, 3)
    found = nv.compare(model, model, (torch.randn(2, 4), torch.randn(2, 4)))
    assert "different inputs" in found.causes[0].text


class Two(nn.Module):
    def __init__(self, takes: str) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3), nn.Linear(4, 3)
        self.forward = getattr(self, takes)

    def apart(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.first(a), self.second(b)], 1).mean((2, 3)))

    def together(self, both: list[torch.Tensor]) -> torch.Tensor:
        return self.apart(*both)


@pytest.mark.parametrize(
    "ask",
    [
        lambda m, x: nv.capture(m, x)["second"].values,
        lambda m, x: nv.cam(m, x, "second", 1).maps,
        lambda m, x: nv.feature_maps(m, "second", x, sample=1).tiles,
        lambda m, x: nv.top_losses(m, 2, [(x, np.ones(4, int))], "cross_entropy", heatmap=False).rows[0].loss,
        lambda m, x: nv.statistics(m, [(x, None)])["second"].mean,
    ],
)
def test_a_list_is_the_inputs_of_a_forward_that_takes_its_parts(ask):
    expected = ask(model := Two("apart").eval(), (X, 1 - X))
    np.testing.assert_array_equal(ask(model, [X, 1 - X]), expected)
    other = Two("together").eval()
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(ask(other, [X, 1 - X]), expected)


def test_a_list_of_another_number_of_inputs_is_refused():
    with pytest.raises(nv.InputError, match=r"forward takes \(a.*b.*\)"):
        nv.capture(Two("apart"), [X, X, X])


class Batch(NamedTuple):
    image: object
    words: object


def test_a_named_tuple_is_one_input_where_the_model_takes_one():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, batch):
            return self.fc(batch.image) + batch.words.mean()

    class Parts(Whole):
        def forward(self, image, words):
            return super().forward(Batch(image, words))

    batch = Batch(np.ones((2, 4), "float32"), torch.ones(2, 5))
    whole, parts = Whole(), Parts()
    parts.load_state_dict(whole.state_dict())
    np.testing.assert_array_equal(nv.capture(whole, batch)[""].values, nv.capture(parts, batch)[""].values)


def test_a_packed_sequence_has_no_axis_of_samples():
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 4), torch.ones(2, 4)])
    with pytest.raises(nv.InputError, match="PackedSequence"):
        nv.health(nn.LSTM(4, 5), packed)


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (torch.tensor([[1.0, 2.0]]), r"whole numbers from 0 to 4; give x\.astype\('int64'\), or x\.long\(\)"),
        (np.array([[1, 7]]), "whole numbers from 0 to 4, and 7 is among them"),
        (np.array([[1, -2]]), "whole numbers from 0 to 4, and -2 is among them"),
    ],
)
def test_an_embedding_says_which_ids_it_takes(ids, told):
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    with pytest.raises(nv.InputError, match=rf"layer '0' \(embedding\) takes {told}"):
        nv.capture(model, ids)


def test_inputs_under_wrong_names_are_told_which_there_are():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, a, b=None):
            return self.fc(a) if b is None else self.fc(a) + self.fc(b)

    x = torch.randn(2, 4)
    with pytest.raises(nv.InputError, match=r"named 'a', 'c', or are one dict; .* takes \(a, b=None\)"):
        nv.capture(Two(), {"a": x, "c": x})


def test_what_a_layer_of_pytorchs_own_does_not_take_is_the_input():
    with pytest.raises(
        nv.InputError, match=r"\(6,\) float32, which layer '0' \(reshape\) does not take: Dim"
    ):
        nv.capture(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(6))


class Fails(nn.Linear):
    def __init__(self, kind: type[Exception], words: str) -> None:
        super().__init__(4, 3)
        self.kind, self.words = kind, words

    def forward(self, x):
        raise self.kind(self.words)


def with_hook(register: str) -> nn.Module:
    def hook(*_):
        raise KeyError("the hook's own")

    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    getattr(model[0], register)(hook)
    return model


HUGE = torch.zeros(1, 1).expand(2**25, 2**25)
NOT_OF_THE_INPUT = {
    "memory of a device": (
        nn.Sequential(Fails(torch.OutOfMemoryError, "no room on the device")),
        torch.ones(2, 4),
        "raised in layer '0' (dense), which received (2, 4)",
    ),
    "device": (
        nn.Sequential(Fails(RuntimeError, "CUDA error: device-side assert triggered")),
        torch.ones(2, 4),
        "raised in layer '0' (dense), which received (2, 4)",
    ),
    "memory": (nn.Sequential(nn.ReLU()), HUGE, "raised in layer '0' (activation), which received (335"),
    "hook": (
        with_hook("register_forward_hook"),
        torch.ones(2, 4),
        "raised in a hook of layer '0' (dense); the",
    ),
    "hook before": (
        with_hook("register_forward_pre_hook"),
        torch.ones(2, 4),
        "raised in a hook of layer '0' (dense); the",
    ),
}


@pytest.mark.parametrize("name", NOT_OF_THE_INPUT)
def test_an_input_is_not_blamed_for_what_is_not_its_fault(name):
    model, x, note = NOT_OF_THE_INPUT[name]
    with pytest.raises((RuntimeError, KeyError)) as caught:
        nv.capture(model, x)
    assert not isinstance(caught.value, nv.NetvizError)
    assert [f"netviz: {note}" in told for told in caught.value.__notes__] == [True]


def test_a_forward_that_was_put_in_place_of_a_layers_own_is_no_hook():
    model = nn.Sequential(nn.Linear(4, 3))
    model[0].forward = lambda x: x.no_such_method()
    with pytest.raises(AttributeError) as caught:
        nv.capture(model, torch.ones(2, 4))
    assert "raised in layer '' (container), which received (2, 4)" in caught.value.__notes__[0]


def test_a_forward_that_does_not_say_what_it_takes():
    class Child(nn.Module):
        def forward(self, x):
            return x.shape

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.child = Child()
            self.forward = partial(weakref.proxy(self.child))

    with pytest.raises(nv.InputError, match="named 'a', or are one dict; the model's forward does not say"):
        nv.capture(Whole(), {"a": torch.ones(2, 4)})


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (torch.zeros(1, 2, dtype=torch.int16), "Expected tensor for argument #1 'indices'"),
        (FakeTensorMode().from_tensor(torch.zeros(1, 2, dtype=torch.long)), "Please convert all Tensors"),
    ],
    ids=["dtype", "without values"],
)
def test_ids_that_are_not_outside_the_table_are_not_said_to_be(ids, told):
    with pytest.raises(nv.InputError, match=rf"layer '0' \(embedding\) does not take: {told}"):
        nv.capture(nn.Sequential(nn.Embedding(5, 3)), ids)


def test_targets_may_be_a_list_of_numbers():
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), torch.randn(5, 1, 2, 2)
    by_list, by_array = (
        nv.top_losses(model, 2, (x, targets), "cross_entropy", heatmap=False)
        for targets in ([0, 1, 2, 0, 1], np.array([0, 1, 2, 0, 1]))
    )
    assert [row.loss for row in by_list.rows] == [row.loss for row in by_array.rows]

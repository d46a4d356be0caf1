"""What models return is compared whatever holds it; what could not be looked into is not said to agree."""

import collections
import copy
import dataclasses
import types

import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.testing import assert_models_close


class Result:
    def __init__(self, logits):
        self.logits = logits


class Slots:
    __slots__ = ("logits",)

    def __init__(self, logits):
        self.logits = logits


@dataclasses.dataclass
class Data:
    logits: torch.Tensor


class Net(nn.Module):
    def __init__(self, factor, wrap):
        super().__init__()
        self.fc, self.factor, self.wrap = nn.Linear(4, 3), factor, wrap

    def forward(self, x):
        return self.wrap(self.fc(x) * self.factor)


LOOKED_INTO = {
    "namespace": lambda y: types.SimpleNamespace(logits=y),
    "own class": Result,
    "slots": Slots,
    "dataclass": Data,
    "nested": lambda y: {"a": [Result(Data(y))]},
    "deque": lambda y: collections.deque([y]),
    "normal": lambda y: torch.distributions.Normal(y, 1.0),
    "categorical": lambda y: torch.distributions.Categorical(logits=y * torch.arange(3)),
    "mixture": lambda y: torch.distributions.Independent(torch.distributions.Laplace(y, 1.0), 1),
    "numpy": lambda y: y.detach().numpy(),
    "number": lambda y: (y * 0, float(y.detach().sum())),
}
HIDDEN = {
    "generator": lambda y: (row for row in y),
    "beside a tensor": lambda y: (y * 0, iter(y)),
    "set": lambda y: {y},
    "function": lambda y: lambda: y,
}
X = torch.randn(2, 4)


def pair(wrap, factor):
    a, b = Net(1.0, wrap).eval(), Net(factor, wrap).eval()
    b.fc.load_state_dict(a.fc.state_dict())
    return a, b


@pytest.mark.parametrize("form", LOOKED_INTO)
def test_looked_into(form):
    a, b = pair(LOOKED_INTO[form], 2.0)
    assert not nv.compare(a, b, X).agrees
    assert not nv.compare(a, b, (X, X.clone())).agrees
    with pytest.raises(AssertionError):
        assert_models_close(a, b, X)
    assert nv.compare(*pair(LOOKED_INTO[form], 1.0), X).agrees


@pytest.mark.parametrize("form", HIDDEN)
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_hidden(form, factor):
    a, b = pair(HIDDEN[form], factor)
    found = nv.compare(a, b, X)
    assert not found.agrees
    assert found.not_compared
    assert "It cannot be said that" in str(found)
    assert "not_compared" in found.to_json()
    assert found.to_html()
    with pytest.raises(AssertionError, match="cannot be said"):
        assert_models_close(a, b, X)
    assert nv.capture(a, X).coverage[""].reason


def test_captures_that_hide_something(tmp_path):
    model = pair(HIDDEN["beside a tensor"], 1.0)[0]
    nv.capture(model, X, complete=True).save(tmp_path / "one")
    loaded = nv.load_capture(tmp_path / "one")
    assert not nv.compare(loaded, copy.deepcopy(model), X).agrees


def test_parts_have_the_names_of_attributes():
    captured = nv.capture(Net(1.0, lambda y: Result(Data(y))), X)
    assert "#logits.logits" in captured


def test_gradients_go_through_objects():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return Result(self.conv(x).relu())

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.fc = Head(), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.head(x).logits.mean((-1, -2)))

    torch.manual_seed(0)
    model, x = Model().eval(), torch.rand(2, 3, 8, 8)
    assert nv.cam(model, x, layer="head").heat.max() > 0

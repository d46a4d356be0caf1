"""A captured value is what the layer returned at that moment, whatever happens to it later."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv

from .around import Around, Returns, X


def write_view(y):
    y.view(-1)[::2] = 7
    y[1].mul_(3)


def write_numpy(y):
    y.numpy()[:] = 7


def write_array(y):
    np.asarray(y)[:] = 7


def write_numpy_then_torch(y):
    y.numpy()[:] = 7
    y.add_(1)


def write_dlpack(y):
    torch.from_dlpack(y).fill_(7)


def write_numpy_dlpack(y):
    np.from_dlpack(y)[:] = 7


def write_storage(y):
    y.untyped_storage().fill_(7)


def free_storage(y):
    y.untyped_storage().resize_(0)


def write_detached(y):
    y.detach().copy_(torch.zeros(3, 4))


def write_data(y):
    y.data.zero_()


def write_out(y):
    torch.add(X, X, out=y)


def write_foreach(y):
    torch._foreach_add_([y], 1.0)


def write_scatter(y):
    y.index_copy_(0, torch.tensor([0]), torch.zeros(1, 4))


def write_imaginary(y):
    torch.view_as_complex(y.view(3, 2, 2)).mul_(1j)


def write_resized(y):
    y.resize_(2, 2).fill_(7)


WRITERS = [
    F.relu_,
    torch.Tensor.exp_,
    lambda y: F.dropout(y, 0.5, training=True, inplace=True),
    lambda y: nn.ReLU(inplace=True)(y),
    lambda y: nn.Hardswish(inplace=True)(nn.Identity()(y)),
    lambda y: nn.Flatten()(y).zero_(),
    write_view,
    write_numpy,
    write_array,
    write_numpy_then_torch,
    write_dlpack,
    write_numpy_dlpack,
    write_storage,
    free_storage,
    write_detached,
    write_data,
    write_out,
    write_foreach,
    write_scatter,
    write_imaginary,
    write_resized,
]


@pytest.mark.parametrize("write", WRITERS)
def test_later_writes_do_not_reach_a_captured_value(write):
    model = Around(write)
    with torch.no_grad():
        expected = model.layer(X).numpy()
    np.testing.assert_array_equal(nv.capture(model, X)["layer"].values, expected)


@pytest.mark.parametrize("write", WRITERS)
def test_nor_do_they_in_a_recording_while_it_is_read(write):
    model = Around(write)
    with torch.inference_mode():
        expected = model.layer(X).clone().numpy()
        with nv.recording(model) as captured:
            model(X)
            np.testing.assert_array_equal(captured["layer"].values, expected)
            model(X)
        np.testing.assert_array_equal(captured["layer:0"].values, expected)
        np.testing.assert_array_equal(captured["layer:1"].values, expected)


def test_a_value_read_inside_the_block_stays_when_the_model_goes_on():
    class TwoSteps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x)

    model = TwoSteps()
    with torch.no_grad(), nv.recording(model) as captured:
        y = model(X)
        before = y.numpy().copy()
        early = captured["layer"].values
        y.zero_()
        np.testing.assert_array_equal(early, before)
        np.testing.assert_array_equal(captured[""].values, before)
    np.testing.assert_array_equal(early, before)


def test_what_the_model_keeps_can_be_overwritten_after_the_pass():
    model = Around(lambda y: y)
    kept: list[torch.Tensor] = []
    model.layer.register_forward_hook(lambda module, args, y: kept.append(y))
    captured = nv.capture(model, X)
    expected = kept[0].numpy().copy()
    kept[0].zero_()
    np.testing.assert_array_equal(captured["layer"].values, expected)


def test_a_write_that_cannot_be_seen_is_refused_with_a_reason():
    """Another thread writes: no copy could be made before, but the version of the tensor tells."""
    import threading

    def write_elsewhere(y):
        thread = threading.Thread(target=lambda: y.fill_(7))
        thread.start()
        thread.join()

    captured = nv.capture(Around(write_elsewhere), X)
    assert captured.coverage["layer"].status == "unsupported"
    assert "cannot see, such as from another thread" in captured.coverage["layer"].reason
    assert "layer" not in captured
    assert "" in captured


class ReusesBuffers(nn.Module):
    """Each layer writes to the same memory, given as ``out=``."""

    def __init__(self, as_buffer: bool) -> None:
        super().__init__()
        self.first, self.second = Returns(self.double), Returns(self.double)
        if as_buffer:
            self.register_buffer("memory", torch.zeros(3, 4))
        else:
            self.memory = torch.zeros(3, 4)

    def double(self, x):
        return torch.mul(x, 2, out=self.memory)

    def forward(self, x):
        return self.second(self.first(x) + 1)


@pytest.mark.parametrize("as_buffer", [True, False])
def test_buffers_reused_with_out(as_buffer):
    model = ReusesBuffers(as_buffer)
    captured = nv.capture(model, X)
    np.testing.assert_array_equal(captured["first"].values, X.numpy() * 2)
    np.testing.assert_array_equal(captured["second"].values, (X.numpy() * 2 + 1) * 2)
    assert torch.equal(model.memory, torch.zeros(3, 4))


def test_memory_that_belongs_to_numpy():
    array = np.zeros((3, 4), np.float32)

    class FromNumpy(nn.Module):
        def forward(self, x):
            array[:] = x.numpy()
            return torch.from_numpy(array)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = FromNumpy(), FromNumpy()

        def forward(self, x):
            return self.second(self.first(x) + 1)

    captured = nv.capture(Model(), X)
    np.testing.assert_array_equal(captured["first"].values, X.numpy())
    np.testing.assert_array_equal(captured["second"].values, X.numpy() + 1)


def test_a_chain_that_hands_on_one_storage():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 4), nn.Identity(), nn.Dropout(0.5), nn.Flatten(), nn.Unflatten(1, (2, 2)), nn.ReLU(True)
    )
    with torch.no_grad():
        expected = model[0](X).numpy()
    captured = nv.capture(model, X)
    for path in "0123":
        np.testing.assert_array_equal(captured[path].values, expected)
    np.testing.assert_array_equal(captured["4"].values, expected.reshape(3, 2, 2))
    np.testing.assert_array_equal(captured["5"].values, expected.reshape(3, 2, 2).clip(0))


def test_captured_arrays_do_not_write_to_each_other():
    captured = nv.capture(nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.Linear(4, 4)), X)
    expected = captured["0"].values.copy()
    captured["1"].values[:] = 7
    np.testing.assert_array_equal(captured["0"].values, expected)


@pytest.mark.parametrize("kind", ["parameter", "buffer", "input"])
def test_a_layer_may_return_what_is_not_its_own(kind):
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parameter = nn.Parameter(torch.ones(3, 4))
            self.register_buffer("buffer", torch.ones(3, 4))
            self.layer = Returns(lambda x: self.input if kind == "input" else getattr(self, kind))

        def forward(self, x):
            self.input = x
            return self.layer(x)

    model, x = Model(), torch.ones(3, 4)
    captured = nv.capture(model, x)
    with torch.no_grad():
        for tensor in (model.parameter, model.buffer, x):
            tensor.zero_()
    np.testing.assert_array_equal(captured["layer"].values, np.ones((3, 4)))


def test_an_optimizer_step_does_not_reach_a_parameter_that_was_returned():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 4))
            self.layer = Returns(lambda x: self.weight)

        def forward(self, x):
            return self.layer(x) * x

    model = Model()
    optimizer = torch.optim.Adam(model.parameters())
    with nv.recording(model) as captured:
        model(X).sum().backward()
        optimizer.step()
    np.testing.assert_array_equal(captured["layer"].values, np.ones((3, 4)))


@pytest.mark.parametrize("functional", [True, False])
def test_running_statistics_that_were_returned(functional):
    """Batch normalisation writes to its statistics without saying so in its schema."""
    norm = nn.BatchNorm1d(4)
    show = Returns(lambda x: norm.running_mean)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.show, self.norm = show, norm

        def forward(self, x):
            self.show(x)
            if functional:
                return F.batch_norm(x, norm.running_mean, norm.running_var, training=True)
            return norm(x)

    with nv.recording(Model()) as captured:
        Model()(X)
    np.testing.assert_array_equal(captured["show"].values, np.zeros(4))
    assert norm.running_mean.abs().max() > 0


def test_caches_that_grow_and_are_written_in_place():
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.keys = torch.zeros(4, 4)
            self.past: list[torch.Tensor] = []

        def forward(self, x):
            self.keys[len(self.past)] = x[0]
            self.past.append(self.keys[: len(self.past) + 1])
            return {"keys": self.past[-1], "past": self.past}

    model = nn.Sequential()
    model.attention = Attention()
    with torch.no_grad(), nv.recording(model, "attention") as captured:
        for step in range(3):
            model.attention(X[step : step + 1])
    for step in range(3):
        np.testing.assert_array_equal(captured[f"attention:{step}#keys"].values, X[: step + 1].numpy())
    assert "attention:2#past.2" in captured
    np.testing.assert_array_equal(captured["attention:2#past.0"].values, X[:1].numpy())


def test_several_calls_and_tied_layers():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.alias = self.layer
            self.tied = nn.Linear(4, 4)
            self.tied.weight = self.layer.weight

        def forward(self, x):
            return self.tied(self.alias(torch.relu_(self.layer(x))))

    model = Model()
    captured = nv.capture(model, X)
    with torch.no_grad():
        first = model.layer(X)
        second = model.layer(first.relu())
        third = model.tied(second)
    assert list(captured) == ["layer:0", "layer:1", "tied", ""]
    for key, expected in zip(captured, (first, second, third, third), strict=True):
        np.testing.assert_array_equal(captured[key].values, expected.numpy())

"""A captured value is what the layer returned at that moment, whatever happens to it later."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import netviz_core as nv

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Around(nn.Module):
    """A linear layer called ``layer``, whose output a function does something to."""

    def __init__(self, after: Callable[[torch.Tensor], object], layer: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 4) if layer is None else layer
        self.after = after

    def forward(self, x):
        self.after(self.layer(x))
        return x * 1


class Returns(nn.Module):
    """A layer that returns whatever a function makes of its input."""

    def __init__(self, make: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


def returned_by(make: Callable[[torch.Tensor], object]) -> nv.Capture:
    return nv.capture(Around(lambda output: None, Returns(make)), X, "layer")


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


Pair = namedtuple("Pair", ["left", "right"])


@dataclasses.dataclass
class Result:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...] | None = None


class ModelOutput(OrderedDict):
    """As in Hugging Face's libraries: a dataclass that is a dict too, and leaves out what is None."""

    def __init__(self, **parts: object) -> None:
        super().__init__((name, part) for name, part in parts.items() if part is not None)


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (lambda x: (x, x + 1), ["layer#0", "layer#1"]),
        (lambda x: [x, None, {"b": x}], ["layer#0", "layer#2.b"]),
        (lambda x: Pair(x, x), ["layer#left", "layer#right"]),
        (lambda x: Result(x, (x, x)), ["layer#logits", "layer#hidden.0", "layer#hidden.1"]),
        (lambda x: ModelOutput(logits=x, loss=None), ["layer#logits"]),
        (lambda x: {1: x, "deep": {"er": [x]}}, ["layer#1", "layer#deep.er.0"]),
    ],
)
def test_structured_outputs_are_kept_part_by_part(make, keys):
    captured = returned_by(make)
    assert list(captured) == keys
    assert all(captured[key].values.shape == (3, 4) for key in keys)


def test_parts_of_an_output_that_share_memory_and_are_written():
    def halves(x):
        y = x * 2
        return y[:, :2], y[:, 2:], y

    model = Around(lambda output: output[2].zero_(), Returns(halves))
    captured = nv.capture(model, X)
    expected = X.numpy() * 2
    np.testing.assert_array_equal(captured["layer#0"].values, expected[:, :2])
    np.testing.assert_array_equal(captured["layer#1"].values, expected[:, 2:])
    np.testing.assert_array_equal(captured["layer#2"].values, expected)


def test_packed_sequences():
    model = nn.Sequential(nn.LSTM(4, 5))
    packed = pack_padded_sequence(torch.randn(3, 2, 4), [3, 1])
    captured = nv.capture(model, (packed,))
    with torch.no_grad():
        output, (hidden, cell) = model[0](packed)
    np.testing.assert_array_equal(captured["0#0.data"].values, output.data.numpy())
    np.testing.assert_array_equal(captured["0#0.batch_sizes"].values, output.batch_sizes.numpy())
    np.testing.assert_array_equal(captured["0#1.0"].values, hidden.numpy())
    np.testing.assert_array_equal(captured["0#1.1"].values, cell.numpy())
    assert captured["0#0.data"].axes == ("axis0", "channel")


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_taken_apart(layout):
    def nest(x):
        return torch.nested.nested_tensor([x * 2, x[:1]], layout=layout)

    def overwrite(nested):
        for part in nested.unbind():
            part.zero_()

    captured = nv.capture(Around(overwrite, Returns(nest)), X)
    np.testing.assert_array_equal(captured["layer#0"].values, X.numpy() * 2)
    np.testing.assert_array_equal(captured["layer#1"].values, X.numpy()[:1])


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("make", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
def test_sparse_tensors_become_dense(make):
    captured = nv.capture(Around(lambda y: y.values().zero_(), Returns(make)), X)
    np.testing.assert_array_equal(captured["layer"].values, X.numpy())


NARROW = ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
SAME = ["float64", "complex64", "complex128", "int8", "int16", "int32", "int64", "uint8", "uint16", "bool"]


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize(
    ("dtype", "kept"),
    [*((name, "float32") for name in NARROW), ("complex32", "complex64"), *((name, name) for name in SAME)],
)
def test_every_dtype(dtype, kept):
    native = getattr(torch, dtype)
    captured = nv.capture(Around(lambda y: y.zero_(), Returns(lambda x: (x * 4).to(native))), X)["layer"]
    assert (captured.dtype, captured.values.dtype.name) == (dtype, kept)
    expected = (X * 4).to(native).to(getattr(torch, kept)).numpy()
    np.testing.assert_array_equal(captured.values, expected)
    assert np.any(captured.values)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_quantized_tensors_become_floats():
    captured = returned_by(lambda x: torch.quantize_per_tensor(x, 0.5, 0, torch.qint8))["layer"]
    np.testing.assert_array_equal(captured.values, np.round(X.numpy() * 2) / 2)
    assert captured.dtype == "qint8"


def test_conjugated_and_negated_views():
    z = torch.complex(X, X + 1)

    def overwrite(outputs):
        outputs[2].zero_()

    def views(x):
        y = torch.complex(x, x + 1)
        return y.conj(), y.conj().imag, y

    captured = nv.capture(Around(overwrite, Returns(views)), X)
    np.testing.assert_array_equal(captured["layer#0"].values, z.numpy().conj())
    np.testing.assert_array_equal(captured["layer#1"].values, -z.numpy().imag)


def test_expanded_tensors():
    captured = nv.capture(
        Around(lambda outputs: outputs[1].zero_(), Returns(lambda x: ((y := x[:1] * 2).expand(3, 4), y))), X
    )
    np.testing.assert_array_equal(captured["layer#0"].values, np.repeat(X.numpy()[:1] * 2, 3, 0))


def test_keyword_and_several_inputs():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, ids, *, mask=None, scale=1.0):
            return self.layer(input=ids) * mask * scale

    model = Model()
    captured = nv.capture(model, {"ids": X, "mask": X > 0, "scale": 2.0})
    with torch.no_grad():
        expected = model.layer(X)
    np.testing.assert_array_equal(captured["layer"].values, expected.numpy())
    np.testing.assert_array_equal(captured[""].values, (expected * (X > 0) * 2.0).numpy())


def test_bf16_and_half_models_and_their_inputs():
    model = nn.Linear(4, 4).bfloat16()
    captured = nv.capture(model, X.numpy())[""]
    with torch.no_grad():
        np.testing.assert_array_equal(captured.values, model(X.bfloat16()).float().numpy())


def test_a_second_reading_gives_the_same_array():
    captured = nv.capture(nn.Linear(4, 4), X)
    assert captured[""].values is captured[""].values

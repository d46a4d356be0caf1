"""Whatever form and dtype layers return, and models take: all parts are kept, with their values."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import netviz_core as nv

from .around import Around, Returns, X, returned_by

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
        (lambda x: {0: x, "a.b": x + 1}, ["layer#0", "layer#'a.b'"]),
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

"""Health of PyTorch models: a planted fault is found where it is planted, and fresh models are healthy."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models


def planted(model: nn.Module, x: torch.Tensor) -> list[tuple[str, str | None]]:
    """Where a NaN was put, for each layer with weights, and who was blamed."""
    found = []
    for path, layer in nv.wrap(model).layers.items():
        for weight in list(layer.weights.values())[:1]:
            before = weight.numpy()
            broken = before.copy()
            broken.flat[0] = float("nan")
            weight.assign(broken, allow_nonfinite=True)
            found.append((path, nv.health(model, x).first_nonfinite))
            weight.assign(before)
    return found


@pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous")
def test_a_nan_in_any_layer_is_found_there():
    torch.manual_seed(0)
    lstm = nn.Sequential(nn.Embedding(20, 8), nn.LSTM(8, 8, 2, batch_first=True))
    for model, x in (
        (models.resnet18(num_classes=5), torch.randn(2, 3, 64, 64)),
        (lstm, torch.randint(1, 20, (3, 7))),
    ):
        pairs = planted(model, x)
        assert pairs
        assert [blamed for _, blamed in pairs] == [path for path, _ in pairs]


class Between(nn.Module):
    """Divides by zero between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x) / 0)


def test_an_operation_between_layers_is_blamed_on_what_holds_them():
    found = nv.health(nn.Sequential(nn.Linear(4, 4), Between(), nn.ReLU()), torch.randn(3, 4))
    assert found.first_nonfinite == "1"
    assert "between its layers" in found.cause or "no layer before it returned" in found.cause


def test_an_overflow_of_half_precision_is_found():
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 4)).half()
    nn.init.constant_(model[0].weight, 1.0)
    nn.init.constant_(model[1].weight, 60.0)
    found = nv.health(model, torch.full((2, 64), 30.0).half())
    near = nn.Sequential(nn.Linear(2, 2).half())
    nn.init.constant_(near[0].weight, 200.0)
    assert found.first_nonfinite == "1"
    alarm = nv.health(near, torch.full((1, 2), 100.0).half()).alarms[0]
    assert (alarm.path, "near the largest that float16 holds" in alarm.reason) == ("0", True)


def test_masked_attention_is_no_alarm():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    assert nv.health(layer, {"src": torch.randn(2, 5, 16), "src_mask": mask}).is_healthy


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_1", "shufflenet_v2_x0_5", "vgg11"])
def test_a_fresh_model_has_no_alarm(name):
    torch.manual_seed(0)
    model = getattr(models, name)(num_classes=7)
    found = nv.health(model, torch.randn(4, 3, 64, 64), loss="cross_entropy", targets=torch.arange(4))
    assert [(row.path, row.reason) for row in found.alarms] == []
    # With the statistics that batch norms start with, the signal fades in a deep network of small weights.
    assert not [row for row in found.rows if row.status != "ok" and "its gradient" not in row.reason]
    assert not any(parameter.grad is not None for parameter in model.parameters())


class Around(nn.Module):
    """What a NaN that an operation makes runs through."""

    def __init__(self, after: nn.Module) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(4, 4), nn.ModuleList([after])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        broken = torch.log(self.before(x) - 1e3)
        after = self.after[0]
        return torch.nan_to_num(after(broken, x) if isinstance(after, nn.Bilinear) else after(broken))


@pytest.mark.parametrize("after", [nn.Linear(4, 4), nn.Bilinear(4, 4, 2)])
def test_a_layer_given_a_nan_is_not_blamed_even_if_the_nan_is_hidden_again(after):
    found = nv.health(nn.Sequential(nn.Linear(4, 4), Around(after)), torch.rand(3, 4))
    assert found.first_nonfinite == "1"
    assert (
        found.cause == "layer '1' made 12 NaN by an operation between its layers, given to layer '1.after.0'"
    )


def test_a_negative_overflow_that_a_relu_hides_is_found():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4)).half()
    nn.init.constant_(model[0].weight, -60000.0)
    found = nv.health(model, torch.ones(3, 4).half())
    assert (found.first_nonfinite, found.is_healthy) == ("0", False)


def test_a_mask_that_the_model_keeps_is_no_alarm():
    model = nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=-1))
    model.register_buffer("mask", torch.full((4, 4), float("-inf")).triu(1))
    assert nv.health(model, torch.rand(3, 4)).is_healthy


class Parts(nn.Module):
    """Returns values of different numbers of channels."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, torch.cat([x, x * 3.3e38], -1)


def test_every_output_of_a_layer_is_looked_at():
    found = nv.health(nn.Sequential(nn.Linear(4, 4), Parts()), torch.rand(3, 4) + 1)
    row = next(row for row in found.rows if row.path == "1")
    assert row.maximum > 1e37


class Twice(nn.Module):
    """One ReLU for two layers, dead behind the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.relu = nn.Linear(4, 6), nn.Linear(6, 6), nn.ReLU()
        with torch.no_grad():
            self.first.bias[2] = -1e3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.second(self.relu(self.first(x))) + 5)


def test_a_dead_unit_is_not_hidden_by_another_call_of_the_same_relu():
    torch.manual_seed(0)
    found = nv.health(Twice(), torch.rand(64, 4))
    row = next(row for row in found.rows if row.path == "relu")
    assert (row.dead_units > 0, row.unit_count) == (True, 6)


def test_nothing_is_said_of_no_samples():
    with pytest.raises(nv.InputError, match="no sample"):
        nv.health(nn.Linear(4, 4), torch.zeros(0, 4))

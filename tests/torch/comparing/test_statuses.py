"""What is said of a pair in one word is true of it: nothing is propagated before a difference begins."""

from __future__ import annotations

import copy

import torch
from torch import nn

import netviz_core as nv

X = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(8, 8) for _ in range(6))).eval()


def test_rounding_before_the_first_fault_is_no_difference_that_is_propagated() -> None:
    a = model()
    b = copy.deepcopy(a).to(torch.bfloat16)
    with torch.no_grad():
        b[4].bias[2] += 1
    found = nv.compare(a, b, (X, X.to(torch.bfloat16)))
    assert [fault.path_a for fault in found.faults] == ["4"]
    statuses = [pair.status for pair in found.pairs]
    assert "rounding" in statuses
    assert set(statuses[:4]) <= {"agrees", "rounding"}
    assert statuses[4:] == ["differs", "propagates"]
    assert "differ by rounding alone" in " ".join(str(found).split())
    assert not any(cause.name in ("rounding", "precision") for cause in found.causes)


class Parts(nn.Module):
    def __init__(self, in_order: bool, built_in: bool) -> None:
        super().__init__()
        self.in_order, self.built_in = in_order, built_in
        torch.manual_seed(0)
        self.one, self.two = (WithRelu(8, 8) if built_in else nn.Linear(8, 8) for _ in range(2))
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [layer(x) if self.built_in else layer(x).relu() for layer in (self.one, self.two)]
        return self.head(torch.cat(parts if self.in_order else parts[::-1], -1))


class WithRelu(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


def test_an_activation_that_one_side_has_built_in_is_told_beside_a_fault_that_stands() -> None:
    found = nv.compare(Parts(True, built_in=False).eval(), Parts(False, built_in=True).eval(), X)
    assert len(found.faults) == 1
    assert [pair.status for pair in found.pairs] == ["compensated", "compensated", "propagates"]
    told = " ".join(str(found).split())
    assert "- 'one', 'two' b applies an activation within the layer, a behind it or not at all." in told


class Prepared(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale, self.first = scale, nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.first(x * self.scale)


def test_what_differs_before_the_first_layer_is_not_said_to_be_the_output() -> None:
    found = nv.compare(Prepared(1.0).eval(), Prepared(1 / 255).eval(), X, names=("original", "port"))
    assert found.title.startswith("original and port first differ before 'first' in a and 'first' in b")
    assert "output" not in found.title
    assert "b is a / 255" in found.faults[0].causes[0].text


def test_tables_are_headed_by_what_the_sides_are_called() -> None:
    a = model()
    b = nn.Sequential(nn.Sequential(*copy.deepcopy(a)))
    found = nv.compare(a, b.eval(), X, names=("original", "port"))
    assert found.agrees
    for report in (str(found), found.to_markdown(), found.to_html()):
        assert "a: original" in report
        assert "b: port" in report


class Teacher(nn.Sequential):
    pass


def test_two_of_one_framework_are_called_by_their_files_or_classes(tmp_path) -> None:
    a, b, x = Teacher(nn.Linear(4, 3)), nn.Sequential(nn.Linear(4, 3)), torch.ones(2, 4)
    assert nv.compare(a, b, x).names == ("a: Teacher", "b: Sequential")
    assert nv.compare(b, b, x).names == ("a: torch", "b: torch")
    for name in ("one.pt", "other.pt"):
        torch.save(a.state_dict(), tmp_path / name)
    assert nv.compare(tmp_path / "one.pt", tmp_path / "other.pt").names == ("a: one.pt", "b: other.pt")
    assert nv.compare(a, b, x, names=("old", "new")).names == ("a: old", "b: new")

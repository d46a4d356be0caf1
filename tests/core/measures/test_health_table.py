"""Health as a table: what is asked of no layer has no column, alarms stand in front, many that are well in one line."""

from __future__ import annotations

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.measures.health import health
from netviz_core.measures.health_view import Health
from netviz_core.testing.reference import Dense, Model, Op

from .test_health import ROWS, Broken, deep


class Sigmoid(Op):
    kind = "activation"
    config = {"activation": "sigmoid"}  # noqa: RUF012

    def __call__(self, x):
        return 1 / (1 + np.exp(-x))


def long(count: int, name: str = "dense{}", **broken: Op) -> Health:
    layers = {name.format(n): Dense(kernel=np.eye(6), bias=np.zeros(6)) for n in range(count)}
    with np.errstate(invalid="ignore"):
        return health(Model(**(layers | broken)), ROWS)


def lines(found: Health, at_most: int = 40) -> list[tuple[str, int, str]]:
    return [(line.name, line.count, line.finding) for line in found.lines(at_most)]


def test_what_was_asked_of_no_layer_has_no_column():
    found = nv.health(deep(), ROWS)
    assert found.measures == ("non-finite", "dead", "zeros", "std")
    assert np.isnan(found.rows[0].saturated_fraction)
    with_loss = nv.health(deep(), ROWS, loss="mean_squared_error", targets=np.ones((40, 6)))
    assert with_loss.measures == ("non-finite", "dead", "gradient", "zeros", "std")
    bounded = nv.health(deep(dense1=Sigmoid()), ROWS)
    assert bounded.measures == ("non-finite", "dead", "saturated", "zeros", "std")
    assert [not np.isnan(row.saturated_fraction) for row in bounded.rows] == [
        row.path == "dense1" for row in bounded.rows
    ]


def test_who_made_a_nan_stands_before_those_that_pass_it_on_and_all_before_what_is_well():
    found = long(5, dense2=Broken(np.nan))
    assert lines(found) == [
        ("dense2", 1, "makes NaN"), ("dense3", 1, "passes on NaN"), ("dense4", 1, "passes on NaN"),
        ("output", 1, "passes on NaN"), ("dense0", 1, ""), ("dense1", 1, ""),
    ]  # fmt: skip
    assert found.note == found.cause != ""


@pytest.mark.parametrize("at_most", [5, 20, 40, 100])
def test_many_layers_that_are_well_are_few_lines_and_none_is_lost(at_most):
    found = long(300, dense150=Broken(np.nan))
    shown = lines(found, at_most)
    assert shown[:2] == [("dense150", 1, "makes NaN"), ("dense151 … output", 150, "passes on NaN")]
    assert 4 <= len(shown) <= at_most
    assert sum(count for _, count, _ in shown) == 301
    assert shown[-1][0].endswith("dense149")


def test_a_line_has_the_range_of_its_layers():
    layers = {f"dense{n}": Dense(kernel=np.eye(6) * 2, bias=np.zeros(6)) for n in range(4)}
    found = health(Model(**layers), ROWS)
    (line,) = found.lines(1)
    column = found.measures.index("std")
    spread = found.values[:, column]
    assert (line.low[column], line.high[column]) == (spread.min(), spread.max())
    assert line.cells[column] == f"{spread.min():.3g} … {spread.max():.3g}"
    assert line.name == "dense0 … output"


def test_a_container_stands_for_its_layers():
    names = [
        f"stage{stage}.block{block}.{part}" for stage in range(3) for block in range(4) for part in "abc"
    ]
    layers = {name: Dense(kernel=np.eye(6), bias=np.zeros(6)) for name in names}
    found = health(Model(**layers), ROWS)
    assert [name for name, *_ in lines(found, 15)] == [
        *(f"stage{stage}.block{block}" for stage in range(3) for block in range(4)), "output",
    ]  # fmt: skip
    assert [name for name, *_ in lines(found, 8)] == ["stage0", "stage1", "stage2", "output"]


def test_the_text_has_the_verdict_and_then_the_table():
    text = str(long(300, dense150=Broken(np.nan)))
    verdict, _, table = text.partition("\n\n")
    made = "layer 'dense150' made 40 NaN out of finite inputs and weights"
    assert verdict.splitlines()[0] == made
    assert len(verdict.splitlines()) < 12
    assert "143 more, up to output: passes on NaN" in verdict
    assert table.splitlines()[0].split() == [
        "layer",
        "layers",
        "non-finite",
        "dead",
        "zeros",
        "std",
        "finding",
    ]
    assert len(table.splitlines()) < 45
    assert "makes NaN" in table.splitlines()[2]
    assert "layers" not in str(long(3)).partition("\n\n")[2], "each layer has a line of its own"


def test_the_blocks_of_a_long_list_stay_whole_and_the_end_of_a_range_says_what_differs():
    names = [f"encoder.layers.{number}.{part}" for number in range(60) for part in ("query", "mlp.dense")]
    layers = {name: Dense(kernel=np.eye(6), bias=np.zeros(6)) for name in names}
    found = lines(health(Model(**layers), ROWS, "encoder*"), 30)
    assert [count for _, count, _ in found] == [4] * 30
    assert found[0][0] == "encoder.layers.0.query … 1.mlp.dense"

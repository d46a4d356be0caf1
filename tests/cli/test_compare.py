"""The command ``netviz compare``: what it says, writes, and exits with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.testing import example_model

Netviz = Callable[..., Any]
Refused = Callable[..., str]

DIFFERENT = ("compare", "mine:build", "mine:changed")
SAME = ("compare", "mine:build", "mine:model")


@pytest.fixture(autouse=True)
def x(folder: Path) -> Any:
    """An input, which stands in the current folder as ``x.npy``."""
    values = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
    np.save("x.npy", values)
    return values


def test_models_that_agree_exit_with_0(netviz: Netviz) -> None:
    ran = netviz(*SAME, "--input", "x.npy")
    assert ran.status == 0
    assert "agree" in ran.out


def test_a_difference_is_said_and_exits_with_1(netviz: Netviz) -> None:
    ran = netviz(*DIFFERENT, "--input", "x.npy")
    assert ran.status == 1
    assert "dense1" in ran.out
    assert "1 of 1,440 values of kernel differ" in ran.out


def test_without_an_input_the_weights_are_compared(netviz: Netviz) -> None:
    ran = netviz(*DIFFERENT)
    assert ran.status == 1
    assert "dense1" in ran.out


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".txt", ".png", ".svg"])
def test_every_form_of_report_is_written(netviz: Netviz, folder: Path, suffix: str) -> None:
    target = folder / f"report{suffix}"
    ran = netviz(*DIFFERENT, "--input", "x.npy", "-o", target)
    assert ran.status == 1
    assert ran.out.endswith(f"wrote {target}\n")
    assert target.stat().st_size > 100
    if suffix == ".json":
        assert json.loads(target.read_text())["first_divergence"]["path_a"] == "dense1"


def test_captures_are_compared_where_no_model_is(netviz: Netviz, x: Any) -> None:
    a, b = example_model(), example_model()
    b.layers["conv1"].parameters["kernel"][0, 0, 1, 1] += 1
    nv.capture(a, x, complete=True).save("a.safetensors")
    nv.capture(b, x, complete=True).save("b.safetensors")
    ran = netviz("compare", "a.safetensors", "b.safetensors")
    assert ran.status == 1
    assert "conv1" in ran.out
    assert netviz("compare", "a.safetensors", "a.safetensors").status == 0
    assert netviz("compare", "a.safetensors", "mine:model", "--input", "x.npy").status == 0


def test_a_capture_can_be_named_in_a_module(netviz: Netviz) -> None:
    ran = netviz("compare", "mine:captured", "mine:model", "--input", "x.npy")
    assert ran.status == 0
    assert "agree" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "conv1"], "names no two layers"),
        (["--pair", "nothing=conv1"], "there is no layer 'nothing'"),
        (["--output", "report.doc"], "cannot tell from 'report.doc'"),
        (["--tolerance", "small"], "--tolerance"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(refused: Refused, arguments: list[str], said: str) -> None:
    assert said in refused(*SAME, "--input", "x.npy", *arguments)


def test_b_can_see_another_input(netviz: Netviz, x: Any) -> None:
    np.save("other.npy", x + 1)
    assert netviz(*SAME, "--input", "x.npy", "--input-b", "x.npy").status == 0
    assert netviz(*SAME, "--input", "x.npy", "--input-b", "other.npy").status == 1


def test_two_captures_take_no_input(refused: Refused, x: Any) -> None:
    nv.capture(example_model(), x).save("a.safetensors")
    assert "need no input" in refused("compare", "a.safetensors", "a.safetensors", "--input", "x.npy")


def test_a_capture_is_no_file_of_weights(refused: Refused, x: Any) -> None:
    nv.capture(example_model(), x).save("a.safetensors")
    assert "is a capture" in refused("layers", "a.safetensors")


def test_the_json_form_stands_alone_on_stdout(netviz: Netviz, folder: Path) -> None:
    ran = netviz(*DIFFERENT, "--input", "x.npy", "--json", "-o", folder / "report.txt")
    assert ran.status == 1
    told = json.loads(ran.out)
    assert told["schema"] == "netviz.comparison/1"
    assert [fault["path_b"] for fault in told["faults"]] == ["dense1"]


def test_both_sides_can_be_named(netviz: Netviz, refused: Refused) -> None:
    assert "a (teacher) and b (port)" in netviz(*DIFFERENT, "-i", "x.npy", "--names", "teacher", "port").out
    assert "names no two models" in refused(*DIFFERENT, "-i", "x.npy", "--names", "port", "port")
    assert "names no two models" in refused(*DIFFERENT, "-i", "x.npy", "--names", "teacher,port", "--json")
    assert "requires 2 arguments" in refused(*DIFFERENT, "-i", "x.npy", "--names", "teacher,port")

"""The command ``netviz compare``: what it says, writes, and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.cli import main
from netviz_core.testing import example_model

PAIR = """
import numpy as np
from netviz_core.testing import example_model


def a():
    return example_model()


def b():
    model = example_model()
    model.layers["dense1"].parameters["kernel"][3, 5] += 1
    return model


def c():
    return example_model()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pair_of_models.py").write_text(PAIR)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2, 1, 8, 8)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_models_that_agree_exit_with_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "pair_of_models:a", "pair_of_models:c", "--input", "x.npy"]) == 0
    assert "agree" in capsys.readouterr().out


def test_a_difference_is_said_and_exits_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "pair_of_models:a", "pair_of_models:b", "--input", "x.npy"]) == 1
    said = capsys.readouterr().out
    assert "dense1" in said
    assert "1 of 1,440 values of kernel differ" in said


def test_without_an_input_the_weights_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "pair_of_models:a", "pair_of_models:b"]) == 1
    assert "dense1" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".html", ".md", ".json", ".txt", ".png", ".svg"])
def test_every_form_of_report_is_written(folder: Path, suffix: str) -> None:
    target = folder / f"report{suffix}"
    command = ["compare", "pair_of_models:a", "pair_of_models:b", "--input", "x.npy", "-o", str(target)]
    assert main(command) == 1
    assert target.stat().st_size > 100
    if suffix == ".json":
        assert json.loads(target.read_text())["first_divergence"]["path_a"] == "dense1"


def test_captures_are_compared_where_no_model_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = example_model(), example_model()
    b.layers["conv1"].parameters["kernel"][0, 0, 1, 1] += 1
    x = np.load("x.npy")
    nv.capture(a, x, complete=True).save("a.safetensors")
    nv.capture(b, x, complete=True).save("b.safetensors")
    assert main(["compare", "a.safetensors", "b.safetensors"]) == 1
    assert "conv1" in capsys.readouterr().out
    assert main(["compare", "a.safetensors", "a.safetensors"]) == 0
    assert main(["compare", "a.safetensors", "pair_of_models:a", "--input", "x.npy"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "conv1"], "names no two layers"),
        (["--pair", "nothing=conv1"], "there is no layer 'nothing'"),
        (["--output", "report.doc"], "cannot tell from 'report.doc'"),
        (["--tolerance", "small"], "--tolerance"),
        (["--input-b", "x.npy"], None),
    ],
)
def test_wrong_arguments_are_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str | None
) -> None:
    code = main(["compare", "pair_of_models:a", "pair_of_models:c", "--input", "x.npy", *arguments])
    told = capsys.readouterr().err
    if said is None:
        assert code == 0
    else:
        assert code == 2
        assert said in told
        assert told.count("\n") == 1


def test_two_captures_take_no_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nv.capture(example_model(), np.load("x.npy")).save("a.safetensors")
    assert main(["compare", "a.safetensors", "a.safetensors", "--input", "x.npy"]) == 2
    assert "need no input" in capsys.readouterr().err


def test_a_capture_is_no_file_of_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nv.capture(example_model(), np.load("x.npy")).save("a.safetensors")
    assert main(["layers", "a.safetensors"]) == 2
    assert "is a capture" in capsys.readouterr().err

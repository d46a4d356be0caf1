"""A bar for what takes a while: on a terminal, late, and gone when it is over."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.testing.reference import Dense, Model, example_model

X = np.random.default_rng(0).normal(size=(4, 6))


class Slow(Dense):
    """A layer that takes longer than anybody likes to wait."""

    def __call__(self, x: Any) -> Any:
        time.sleep(2.5)
        return super().__call__(x)


def made(layer: type[Dense] = Dense, value: float = 1.0) -> Model:
    example_model()  # which makes the backend known
    return Model(**{name: layer(kernel=value * np.eye(6), bias=np.zeros(6)) for name in ("one", "two")})


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes whatever there is for a terminal


@pytest.mark.usefixtures("terminal")
def test_a_comparison_that_takes_a_while_tells_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert nv.compare(made(Slow), made(), X).agrees
    told = capsys.readouterr()
    assert "compare" in told.err
    assert "running a" in told.err
    assert told.out == ""


@pytest.mark.usefixtures("terminal")
def test_nothing_is_shown_unless_it_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    assert nv.compare(made(Slow), made(), X, progress=False).agrees
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("terminal")
def test_nothing_is_shown_of_what_is_done_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert nv.compare(made(), made(), X).agrees
    assert not nv.copy_weights(made(), made(value=2.0)).skipped
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_where_nobody_can_see_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert nv.compare(made(Slow), made(), X).agrees
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("terminal")
def test_a_bar_goes_when_something_fails(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Model(one=Slow(kernel=np.eye(6), bias=np.zeros(6)), two=Dense(kernel=np.eye(5), bias=np.zeros(5)))
    with pytest.raises(nv.InputError, match="given to a dense layer"):
        nv.compare(wrong, made(), X)
    shown = capsys.readouterr().err
    assert "running a" in shown
    assert shown.endswith("\x1b[2K")  # the line is cleared

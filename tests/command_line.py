"""The command line on the models of a framework, as tests that those of each framework subclass."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

Netviz = Callable[..., Any]
Refused = Callable[..., str]

FIRST, LAST = "batch,channel,y,x", "batch,y,x,channel"
SHAPES = {FIRST: (2, 3, 8, 8), LAST: (2, 8, 8, 3)}
FIGURES = [
    "kernels mine:colour conv1",
    "kernels mine:colour conv1 --no-rgb",
    "histogram mine:colour fc",
    "heatmap mine:colour fc --weight bias",
    "feature-maps mine:colour conv1 --input own.npy",
    "feature-maps mine:colour conv1 --input other.npy --axes {other} --sample 1",
    "feature-maps mine:colour conv1 --input colour.png",
    "feature-maps mine:grey conv1 --input grey.png",
]


class CommandLine:
    """Subclass it, and say what the framework's models, layouts and files are."""

    models: ClassVar[str]
    """
    The source of a module with functions that make models: ``colour``, with the layers ``conv1`` (3 × 3, from
    3 channels to 4) and ``fc`` (to 10 units), for images of 8 × 8; ``grey``, the same for one channel; and
    ``faulty``, with a layer ``faulty`` that raises what the test expects.
    """
    layouts: ClassVar[tuple[str, str]]
    """`FIRST` and `LAST`: ahead is that of images that go in as they are."""
    wrong_shape: ClassVar[tuple[str, ...]]
    """What is said of images of five channels."""
    fault: ClassVar[str] = "the fault is mine and there is more to say"
    """What is said of the fault: a pattern, for frameworks that add words of their own."""
    suffixes: ClassVar[tuple[str, ...]]
    """Of the framework's own files."""
    code: ClassVar[str]
    """What is said of a file that runs code."""

    @staticmethod
    def save_code(path: Path) -> None:
        """Save a model with a layer ``conv1`` to a file, of the first suffix, that runs code when it is loaded."""
        raise NotImplementedError

    @pytest.fixture
    def mine(self) -> str:
        return self.models

    @pytest.fixture(autouse=True)
    def inputs(self, folder: Path) -> None:
        own, other = (SHAPES[layout] for layout in self.layouts)
        np.save("own.npy", np.ones(own, np.float32))
        np.save("other.npy", np.ones(other, np.float32))
        np.save("wrong.npy", np.ones([5 if size == 3 else size for size in own], np.float32))
        Image.new("RGB", (8, 8), "red").save("colour.png")
        Image.new("L", (8, 8), 128).save("grey.png")

    def test_layers(self, netviz: Netviz) -> None:
        ran = netviz("layers", "mine:colour")
        assert (ran.status, ran.err) == (0, "")
        assert "kernel (out=4, in=3, y=3, x=3)" in ran.out
        assert "kernel (out=10, in=144)" in ran.out

    @pytest.mark.parametrize("command", FIGURES)
    def test_every_figure(self, netviz: Netviz, command: str) -> None:
        arguments = command.format(other=self.layouts[1]).split()
        assert netviz(*arguments, "-o", "figure.png") == (0, "wrote figure.png\n", "")
        assert Path("figure.png").read_bytes().startswith(b"\x89PNG")

    def test_an_input_of_the_wrong_shape_says_what_was_given_and_expected(self, refused: Refused) -> None:
        line = refused("feature-maps", "mine:colour", "conv1", "-i", "wrong.npy", "-o", "figure.png")
        for said in self.wrong_shape:
            assert said in line

    def test_what_the_users_own_layer_raises_is_one_line_that_names_it(self, refused: Refused) -> None:
        line = refused("feature-maps", "mine:faulty", "faulty", "-i", "own.npy", "-o", "figure.png")
        assert re.fullmatch(f"the model failed in layer 'faulty': RuntimeError: {self.fault}", line)

    def test_code_in_a_file_runs_only_with_trust(self, netviz: Netviz, refused: Refused) -> None:
        file = f"net{self.suffixes[0]}"
        self.save_code(Path(file))
        arguments = ("kernels", file, "conv1", "-o", "figure.png")
        line = refused(*arguments)
        assert f"{file!r} {self.code}" in line
        assert "--trust" in line
        assert netviz(*arguments, "--trust") == (0, "wrote figure.png\n", "")

    @pytest.mark.parametrize("trust", [[], ["--trust"]])
    def test_what_is_no_model(self, refused: Refused, trust: list[str]) -> None:
        for suffix in self.suffixes:
            Path(f"net{suffix}").write_bytes(b"nonsense")
            assert f"net{suffix}" in refused("layers", f"net{suffix}", *trust)

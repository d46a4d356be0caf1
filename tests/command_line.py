"""The command line on the models of a framework, as tests that those of each framework subclass."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import netviz_core as nv
from netviz_core.measures.statistics import load_statistics

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
    ``faulty``, with a layer ``faulty`` that raises what the test expects; and the models ``fixed``, one of
    ``colour``, and ``attending``, with a layer ``attn`` of two heads, for five tokens of eight channels.
    """
    layouts: ClassVar[tuple[str, str]]
    """`FIRST` and `LAST`: ahead is that of images that go in as they are."""
    wrong_shape: ClassVar[tuple[str, ...]]
    """What is said of images of five channels."""
    fault: ClassVar[str] = "the fault is mine and there is more to say"
    """What is said of the fault: a pattern, for frameworks that add words of their own."""
    suffixes: ClassVar[tuple[str, ...]]
    """Of the framework's own files."""
    weights: ClassVar[tuple[str, ...]]
    """Of the files of weights that the framework reads."""
    code: ClassVar[str]
    """What is said of a file that runs code."""

    @staticmethod
    def read(path: Path) -> Any:
        """A model with the weights of a file, read by the framework itself."""
        raise NotImplementedError

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

    @pytest.fixture
    def fixed(self, folder: Path) -> Any:
        """The model that the command line is asked about, with all samples and what it should say of them."""
        own = (70, *SHAPES[self.layouts[0]][1:])
        np.save("all.npy", np.random.default_rng(0).normal(size=own).astype(np.float32))
        np.save("targets.npy", np.arange(70) % 10)
        sys.path.insert(0, str(folder))
        return importlib.import_module("mine").fixed

    def test_summary_and_layers_in_json(self, netviz: Netviz, fixed: Any) -> None:
        told = _told(netviz, "summary", "mine:fixed", "-i", "own.npy", schema="summary")
        expected = nv.summary(fixed, np.load("own.npy"))
        assert told["total_parameters"] == expected.total_parameters == 1562
        assert [row["path"] for row in told["rows"]] == [row.path for row in expected.rows]
        layers = _told(netviz, "layers", "mine:fixed", schema="layers")["layers"]
        (kernel,) = (
            w for layer in layers if layer["path"] == "fc" for w in layer["weights"] if w["name"] == "kernel"
        )
        assert (kernel["axes"], kernel["shape"], kernel["dtype"]) == (["out", "in"], [10, 144], "float32")

    def test_graph_in_every_form(self, netviz: Netviz, fixed: Any) -> None:
        names = ["g.dot", "g.mmd", "g.json", "g.svg", "g.png"]
        outputs = [word for name in names for word in ("-o", name)]
        ran = netviz("graph", "mine:fixed", "-i", "own.npy", *outputs, "-q")
        found = nv.graph(fixed, np.load("own.npy"))
        assert ran == (0, f"{found}\n", "")
        assert Path("g.dot").read_text() == found.to_dot() + "\n"
        assert Path("g.mmd").read_text() == found.to_mermaid() + "\n"
        told = json.loads(Path("g.json").read_text())
        assert told["schema"] == "netviz.graph/1"
        assert [node["id"] for node in told["nodes"]] == [node.id for node in found.nodes]
        assert Path("g.svg").read_bytes().startswith(b"<?xml")
        assert Path("g.png").read_bytes().startswith(b"\x89PNG")

    def test_a_graph_from_left_to_right(self, netviz: Netviz, fixed: Any) -> None:
        outputs = ("-o", "g.dot", "-o", "g.mmd", "-o", "g.svg")
        netviz("graph", "mine:fixed", "-i", "own.npy", "--rankdir", "LR", *outputs, "-q")
        across = nv.graph(fixed, np.load("own.npy"), rankdir="LR")
        assert "rankdir=LR" in across.to_dot() == Path("g.dot").read_text().removesuffix("\n")
        assert Path("g.mmd").read_text() == across.to_mermaid() + "\n"
        across.save("h.svg")
        assert Path("g.svg").read_bytes() == Path("h.svg").read_bytes()

    def test_statistics_and_health_in_json(self, netviz: Netviz, fixed: Any) -> None:
        arguments = ("mine:fixed", "-i", "all.npy", "-o", "drawn.png", "-o", "kept.npz")
        told = _told(netviz, "statistics", *arguments, schema="statistics")
        expected = nv.statistics(fixed, np.load("all.npy"), progress=False)
        assert told["batch_count"] == 2
        assert told["layers"]["conv1"]["mean"] == pytest.approx(expected["conv1"].mean)
        assert told["layers"]["conv1"]["quantiles"]["0.5"] == pytest.approx(expected["conv1"].quantile(0.5))
        assert load_statistics("kept.npz")["fc"].count == expected["fc"].count
        assert Path("drawn.png").exists()
        health = ("mine:fixed", "-i", "all.npy", "-t", "targets.npy", "--loss", "cross_entropy")
        rows = _told(netviz, "health", *health, schema="health")["rows"]
        x, y = np.load("all.npy"), np.load("targets.npy")
        wanted = nv.health(fixed, x, targets=y, loss="cross_entropy").rows
        assert [(row["path"], row["status"]) for row in rows] == [(row.path, row.status) for row in wanted]
        assert rows[0]["gradient"] == pytest.approx(wanted[0].gradient)

    def test_top_losses(self, netviz: Netviz, fixed: Any) -> None:
        Path("names.txt").write_text("\n".join("abcdefghij"))
        arguments = ("mine:fixed", "-i", "all.npy", "-t", "targets.npy", "--loss", "cross_entropy", "-k", "3")
        told = _told(
            netviz, "top-losses", *arguments, "--names", "names.txt", "-o", "t.png", schema="top-losses"
        )
        data = np.load("all.npy"), np.load("targets.npy")
        expected = nv.top_losses(fixed, 3, data, "cross_entropy", heatmap=False, progress=False)
        assert told["count"] == 70
        assert [row["index"] for row in told["rows"]] == [row.index for row in expected.rows]
        assert told["rows"][0]["loss"] == pytest.approx(expected.rows[0].loss, rel=1e-5)
        assert told["rows"][0]["actual"] == "abcdefghij"[expected.rows[0].index % 10]
        assert Path("t.png").read_bytes().startswith(b"\x89PNG")

    def test_similarity(self, netviz: Netviz, fixed: Any) -> None:
        told = _told(netviz, "similarity", "mine:fixed", "mine:fixed", "-i", "all.npy", schema="similarity")
        assert told["sample_count"] == 70
        assert np.diag(told["values"]) == pytest.approx(1)
        assert told["keys_a"] == list(nv.similarity(fixed, fixed, np.load("all.npy")).keys_a)

    def test_what_is_captured_can_be_looked_at_and_compared(self, netviz: Netviz, fixed: Any) -> None:
        arguments = ("mine:fixed", "-i", "own.npy", "-o", "kept.safetensors", "--complete")
        told = _told(netviz, "capture", *arguments, schema="capture")
        kept = nv.load_capture("kept.safetensors")
        np.testing.assert_array_equal(kept["fc"].values, nv.capture(fixed, np.load("own.npy"))["fc"].values)
        assert told["values"]["fc"]["shape"] == list(kept["fc"].shape)
        assert told["coverage"]["fc"] == {"status": "captured", "reason": ""}
        assert netviz("histograms", "kept.safetensors", "-o", "h.png", "-q") == (0, "", "")
        assert netviz("feature-maps", "kept.safetensors", "conv1", "-o", "f.png", "-q") == (0, "", "")
        compared = _told(
            netviz, "compare", "kept.safetensors", "mine:fixed", "-i", "own.npy", schema="comparison"
        )
        assert compared["agrees"]

    def test_copied_weights_are_written_as_the_framework_reads_them(self, netviz: Netviz, fixed: Any) -> None:
        for suffix in self.weights:
            arguments = ("mine:fixed", "mine:colour", "-o", f"new{suffix}")
            told = _told(netviz, "copy-weights", *arguments, schema="weight-transfer")
            assert len(told["copied"]) == 4
            assert told["skipped"] == []
            written = self.read(Path(f"new{suffix}"))
            for name in ("conv1", "fc"):
                expected = nv.wrap(fixed)[name].weights["kernel"].numpy()
                np.testing.assert_array_equal(nv.wrap(written)[name].weights["kernel"].numpy(), expected)

    @pytest.mark.parametrize("extra", [[], ["--mean"], ["--rollout"], ["--sample", "1"]])
    def test_attention(self, netviz: Netviz, extra: list[str]) -> None:
        np.save("tokens.npy", np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32))
        ran = netviz("attention", "mine:attending", "-i", "tokens.npy", "-o", "a.png", *extra)
        assert ran == (0, "wrote a.png\n", "")

    def test_cam_with_names_of_classes(self, netviz: Netviz, fixed: Any) -> None:
        arguments = ("cam", "mine:fixed", "-i", "own.npy", "-o", "c.png", "--names", "a,b,c,d,e,f,g,h,i,j")
        assert netviz(*arguments, "--target", "c") == (0, "wrote c.png\n", "")

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


def _told(netviz: Netviz, *arguments: str, schema: str) -> Any:
    """What a command tells as JSON, which stands alone on stdout."""
    ran = netviz(*arguments, "--json", "--quiet")
    assert (ran.status, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert told["schema"] == f"netviz.{schema}/1"
    return told

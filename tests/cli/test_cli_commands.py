"""Every command on a model of the user's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import netviz_core as nv
from netviz_core.cli.commands import app
from netviz_core.cli.messages import QUESTIONS

Netviz = Callable[..., Any]
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
NO_QUESTIONS = {"layers", "backends", "demo", "completion"}

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_every_command(netviz: Netviz, arguments: list[str]) -> None:
    ran = netviz(*arguments)
    assert ran.status == 0
    for command in COMMANDS:
        assert f"\n  {command} " in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_for_every_option(netviz: Netviz, command: str) -> None:
    ran = netviz(command, "--help")
    assert ran.status == 0
    assert not re.search(r"^  (-\S, )?--\S+( [A-Z]+)?$\n(?! {10})", ran.out, re.MULTILINE)


def test_every_question_that_python_answers_is_a_command() -> None:
    functions = (getattr(nv, name) for name in nv.__all__ if name[0].islower())
    asked = {
        f.__name__ for f in functions if "model" in f.__annotations__ or {"a", "b"} <= {*f.__annotations__}
    }
    asked |= {"copy_weights"}  # whose models are called source and target
    without = {"wrap", "recording"}  # the one is 'layers', in the other Python itself runs
    assert {name.replace("_", "-") for name in asked - without} == set(COMMANDS) - NO_QUESTIONS
    assert {name.replace("_", "-") for name in QUESTIONS} == set(COMMANDS) - NO_QUESTIONS


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(netviz: Netviz, flag: str) -> None:
    assert netviz(flag) == (0, f"netviz {nv.__version__}\n", "")


@pytest.mark.parametrize("place", [0, 3])
def test_quiet_says_what_was_asked_for_alone(netviz: Netviz, folder: Path, place: int) -> None:
    arguments = ["heatmap", "mine:model", "dense1", "-o", "figure.png"]
    assert netviz(*arguments[:place], "-q", *arguments[place:]) == (0, "", "")
    assert Path("figure.png").exists()
    assert netviz("layers", "mine:model", "--quiet") == netviz("layers", "mine:model")


def test_the_command_line_imports_neither_framework_nor_plotting_library() -> None:
    heavy = ["torch", "tensorflow", "keras", "jax", "fastai", "sklearn", "matplotlib", "PIL", "pandas"]
    code = (
        "import sys; from netviz_core.cli import main; main(['--help']);"
        f"main(['backends', '--no-load']); print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert ran.stderr == "[]\n"


def test_layers_lists_paths_kinds_and_named_shapes(netviz: Netviz, folder: Path) -> None:
    ran = netviz("layers", "mine:model")
    assert ran.status == 0
    assert re.search(r"conv1 +conv2d +Conv2d +kernel \(out=4, in=1, y=3, x=3\)", ran.out)
    assert "bias (out=10)" in ran.out


def test_tables_are_plain_and_whole_when_piped(shell: Shell, folder: Path) -> None:
    piped = shell("layers", "mine:model", env={**os.environ, "COLUMNS": "24"})
    assert (piped.returncode, piped.stderr) == (0, "")
    assert "\x1b" not in piped.stdout
    assert "kernel (out=4, in=1, y=3, x=3)" in piped.stdout


def test_tables_are_folded_but_never_cut_in_a_narrow_terminal(shell: Shell, folder: Path) -> None:
    terminal = shell("layers", "mine:model", env={**os.environ, "COLUMNS": "24", "FORCE_COLOR": "1"})
    assert "\x1b" in terminal.stdout
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.stdout).splitlines()
    assert max(map(len, lines)) <= 24
    assert "…" not in terminal.stdout


def test_markup_in_names_is_shown_as_it_stands(netviz: Netviz, folder: Path) -> None:
    (folder / "odd.py").write_text(
        "from netviz_core.testing import example_model\n"
        "model = example_model()\nmodel.layers['[red]:smile:'] = model.layers.pop('conv1')\n"
    )
    assert "[red]:smile:" in netviz("layers", "odd:model").out


@pytest.mark.parametrize("model", ["mine:model", "mine:build"])
def test_a_model_is_a_module_attribute_or_a_function_that_makes_one(
    netviz: Netviz, folder: Path, model: str
) -> None:
    assert "dense1" in netviz("layers", model).out


DRAWINGS = [
    ("kernels", "conv1", []),
    ("kernels", "conv1", ["--limit", "2", "--channel", "0"]),
    ("kernels", "conv*", ["--no-rgb"]),
    ("histogram", "dense1", ["--weight", "bias", "--bins", "7"]),
    ("heatmap", "dense1", []),
    ("feature-maps", "conv1", ["--input", "x.npy", "--sample", "1", "--limit", "3"]),
]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize(("command", "layer", "options"), DRAWINGS)
def test_every_figure_is_written_where_asked(
    netviz: Netviz, folder: Path, command: str, layer: str, options: list[str], suffix: str
) -> None:
    np.save("x.npy", np.zeros((2, 1, 8, 8), np.float32))
    ran = netviz(command, "mine:build", layer, "-o", f"figure{suffix}", *options)
    assert ran == (0, f"wrote figure{suffix}\n", "")
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert (folder / f"figure{suffix}").read_bytes().startswith(start)


def test_options_mean_what_they_mean_in_python(netviz: Netviz, folder: Path) -> None:
    sys.path.insert(0, str(folder))
    import mine  # type: ignore[import-not-found]

    x = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
    np.save("x.npy", x)
    views: dict[str, Any] = {
        "kernels mine:colours conv1 --no-rgb --limit 7": nv.kernels(
            mine.colours(), "conv1", rgb=False, limit=7
        ),
        "kernels mine:colours conv1 --channel 2": nv.kernels(mine.colours(), "conv1", channel=2),
        "kernels mine:colours conv1": nv.kernels(mine.colours(), "conv1"),
        "histogram mine:model dense1 --bins 9": nv.histogram(mine.model, "dense1", bins=9),
        "heatmap mine:model conv1 --weight kernel": nv.heatmap(mine.model, "conv1"),
        "feature-maps mine:model conv1 --input x.npy --sample 1": nv.feature_maps(
            mine.model, "conv1", x, sample=1
        ),
    }
    for command, view in views.items():
        view.save("expected.png")
        assert netviz(*command.split(), "-o", "figure.png").status == 0
        assert (folder / "figure.png").read_bytes() == (folder / "expected.png").read_bytes(), command


def test_the_current_folder_is_importable_from_the_console_script(folder: Path) -> None:
    script = Path(sys.executable).with_name("netviz")
    ran = subprocess.run(
        [script, "layers", "mine:build"], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "conv1" in ran.stdout


def test_backends_tells_what_is_broken_missing_and_usable(
    netviz: Netviz, folder: Path, backends: Any, toy_framework: Any
) -> None:
    (folder / "rotten.py").write_text("raise OSError('libfruit.so: cannot open shared object file')")
    sys.path.insert(0, str(folder))
    backends.register("apple", toy_framework("apple"))
    backends.register("rotten", "rotten:Backend")
    backends.register("pear", "netviz_pear:Backend")
    ran = netviz("backends")
    assert ran.status == 0
    assert re.search(r"apple +loaded", ran.out)
    assert re.search(r"pear +missing dependency .*pear is not installed", ran.out)
    assert "pip install pear" in ran.out
    assert re.search(r"rotten +broken .*OSError: libfruit.so", ran.out)
    assert re.search(r"matplotlib +loaded", ran.out)


def test_backends_without_loading_reads_metadata_only(netviz: Netviz, folder: Path, backends: Any) -> None:
    (folder / "rotten.py").write_text("raise OSError('loaded after all')")
    sys.path.insert(0, str(folder))
    backends.register("rotten", "rotten:Backend")
    ran = netviz("backends", "--no-load")
    assert re.search(r"rotten +available", ran.out)
    assert "loaded after all" not in ran.out


@pytest.mark.parametrize("arguments", [["layers", "mine:build"], ["--help"]])
def test_a_reader_that_has_had_enough_gets_no_complaint(
    command_line: list[str], folder: Path, arguments: list[str]
) -> None:
    process = subprocess.Popen(
        [*command_line, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) == 1


def test_ctrl_c_ends_with_130(netviz: Netviz, folder: Path) -> None:
    (folder / "slow.py").write_text("def build():\n    raise KeyboardInterrupt\n")
    assert netviz("layers", "slow:build") == (130, "", "netviz: interrupted\n")


def test_a_link_stays_a_link(netviz: Netviz, folder: Path) -> None:
    Path("link.png").symlink_to("figure.png")
    assert netviz("kernels", "mine:model", "conv1", "-o", "link.png").status == 0
    assert Path("link.png").is_symlink()
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG")


def test_cam_draws_an_overlay_for_the_class_asked_for(netviz: Netviz, folder: Path) -> None:
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(2, 1, 8, 8)))
    assert netviz("cam", "mine:model", "-i", "x.npy", "-o", "cam.png", "--target", "3").status == 0
    assert (folder / "cam.png").read_bytes().startswith(b"\x89PNG")
    refused = netviz("cam", "mine:model", "-i", "x.npy", "-o", "cam2.png", "--target", "10")
    assert refused.status == 2
    assert "classes are 0 … 9" in refused.err


def test_health_stands_in_a_test_by_its_exit_status(netviz: Netviz, folder: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
    np.save(folder / "x.npy", x)
    healthy = netviz("health", "mine:model", "-i", "x.npy")
    assert healthy.status == 0
    assert healthy.out.startswith("3 layers are healthy, over 2 samples\n")
    x[0, 0, 0, 0] = np.nan
    np.save(folder / "x.npy", x)
    ill = netviz("health", "mine:model", "-i", "x.npy", "-o", "health.png")
    assert ill.status == 1
    assert "the model's input already holds 1 NaN" in ill.out
    assert (folder / "health.png").exists()


def test_summary_is_the_table_of_layers(netviz: Netviz, folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros((2, 1, 8, 8)))
    ran = netviz("summary", "mine:model", "-i", "x.npy")
    assert ran.status == 0
    assert "conv1" in ran.out
    assert "parameters 1,490" in ran.out


def test_summary_as_html_is_a_page_that_says_how_it_is_written(netviz: Netviz, folder: Path) -> None:
    assert netviz("summary", "mine:model", "-o", "model.html").status == 0
    page = (folder / "model.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert '<meta charset="utf-8">' in page
    assert "<title>Model</title>" in page
    assert "script-src 'none'" in page
    assert "conv1" in page

"""Wrong input: status 2 and one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Refused = Callable[..., str]

USAGE = {
    "kernel mine:model conv1": "No such command 'kernel'",
    "kernels": "Missing argument 'MODEL' (see netviz kernels --help)",
    "kernels mine:model conv1": "Missing option '--output'",
    "cam mine:model -o f.png": "Missing option '--input'",
    "kernels mine:model conv1 -o f.png --limit many": "Invalid value for '--limit'",
    "layers mine:model --colour": "No such option: --colour",
    "--colour": "No such option: --colour (see netviz --help)",
}

MODELS = {
    "nothing": "'nothing' is neither a file nor a name in a module; give a saved model (.h5, .keras, .npz, ",
    "mine:": "'mine:' is neither a file nor a name in a module",
    "mien:build": "there is no module 'mien'; in the current folder: did you mean 'mine'?",
    "netviz_core.view:x": "no module 'netviz_core.view'; in package 'netviz_core': did you mean 'views'",
    "mine:biuld": "module 'mine' has no 'biuld'; did you mean 'build'",
    "mine:needs_width": "mine:needs_width needs the arguments width; give a function that needs none",
    "mine:fails": "mine:fails failed: ValueError: no weights here and more of the same",
    "mine:forgets": "mine:forgets returned None; it should return the model",
    "mine:number": "no backend knows an object of type builtins.int",
    "absent.keras": "absent.keras: No such file",
    "mine.py": "cannot tell from its suffix how to load 'mine.py'; known suffixes: .h5, .keras, .npz, .pkl, .pt, .pt2",
}

FIGURES = {
    "kernels mine:model cnov1": "there is no layer 'cnov1'; did you mean 'conv1'?",
    "kernels mine:model dense1": "has the axes out, in and no images to show",
    "kernels mine:model *": "'*' fits 3 layers, of which one is needed",
    "heatmap mine:model conv1 --weight kernle": "has no weight 'kernle'; it has 'kernel', 'bias'",
    "kernels mine:model conv1 --channel 4": "--channel 4 does not exist; there is 1 input channel, counted from 0",
    "kernels mine:model conv1 --rgb": "--rgb needs three input channels; there are 1",
    "kernels mine:model conv1 --limit 0": "--limit 0 leaves nothing to show",
    "histogram mine:model conv1 --bins 0": "--bins 0",
    "feature-maps mine:model conv1 -i x.npy --sample 2": "sample 2 lies outside the batch, which has 2 entries",
    "feature-maps mine:model dense1 -i x.npy": "no images to show",
    "feature-maps mine:model conv1 -i x.npy --axes batch,y": "has not the axes batch, y",
    "feature-maps mine:model conv1 -i x.npy --axes batch,y,y,x": "are not distinct",
    "feature-maps mine:model conv1 -i absent.npy": "absent.npy: No such file or directory",
    "feature-maps mine:model conv1 -i absent.png": "absent.png: No such file or directory",
    "feature-maps mine:model conv1 -i .": ".: Is a directory",
    "feature-maps mine:breaks conv1 -i x.npy": (
        "the model failed in layer 'conv1': RuntimeError: the shapes do not fit more below"
    ),
}

OTHERS = {
    "summary mine:model --axes batch,y": "--axes names the axes of an input; give one with --input",
    "compare mine:model mine:model --axes batch,y": "--axes names the axes of an input; give one with --input",
    "compare mine:model mine:model --input-b x.npy": "say with --input what a sees",
    "compare mine:breaks mine:model -i x.npy": "the model failed in layer 'conv1': RuntimeError: the shapes do",
    "compare mine:model mine:breaks -i x.npy": "the model failed in layer 'conv1': RuntimeError: the shapes do",
}


QUESTIONS = {
    "summary https://x.org/m.pt": "'https://x.org/m.pt' is an address; download it first, and give the file",
    "cam mine:model -o f.png -i ftp://x.org/a.png": "'ftp://x.org/a.png' is an address; download it first",
    "summary mine:model -i text.npy": "text.npy holds text; save an array of numbers",
    "summary mine:model -o f.png": "cannot tell from 'f.png' what to write; use one of .txt, .json, .html",
    "layers mine:nothing": "None was given as a model; give a model, a state dict, or the path of a saved one",
    "graph mine:model -o f.docx": ".json, .dot, .gv, .mmd",
    "graph mine:model --rankdir up": "--rankdir up is not known; there are 'TB', 'LR'",
    "kernels mine:model conv1.kernel -o f.png": "it is a weight; give the layer, 'conv1', and where one",
    "histograms mine:model --weight nothing -o f.png": "has a weight 'nothing'; try --weight *",
    "cam mine:model -i x.npy --method gradcam -o f.png": "--method gradcam is not known; did you mean 'grad-cam'",
    "cam mine:model -i x.npy --target 99 -o f.png": "--target 99 is no class of the model",
    "cam mine:model -i x.npy --names a,b -o f.png": "2 names were given for 10 classes",
    "cam mine:model -i x.npy --names absent.txt -o f.png": "absent.txt: No such file or directory",
    "health mine:model -i x.npy --loss cross_entropy": "--loss cross_entropy needs to know what the model should",
    "statistics mine:model": "Missing option '--input'",
    "statistics mine:model -i x.npy -l no*": "there is no layer 'no*'",
    "top-losses mine:model -i x.npy": "Missing option '--targets'",
    "top-losses mine:model -i x.npy -t y.npy --loss crossentropy": "did you mean 'cross_entropy'",
    "top-losses mine:model -i x.npy -t two.npz --loss cross_entropy": "two.npz holds 2 arrays (a, b)",
    "top-losses mine:model -i x.npy -t y.npy --loss cross_entropy -k 0": "--count 0 examples leave nothing to show",
    "top-losses mine:model -i x.npy -t three.npy --loss cross_entropy": "same number of samples",
    "capture mine:model -i x.npy -o f.npz": "use one of .safetensors",
    "capture mine:model -i x.npy -l conv9 -o f.safetensors": "did you mean 'conv1'?",
    "compare mine:model": "Missing argument",
    "compare mine:model mine:model --loss cross_entropy": "--loss cross_entropy needs to know",
    "similarity mine:model mine:model": "give --input, a batch",
    "similarity mine:model mine:model --input-b x.npy": "say with --input what a sees",
    "copy-weights mine:model mine:build -o f.pt": "the netviz_core backend writes no files of weights",
    "copy-weights mine:model mine:build -o f.pt --pair a": "--pair 'a' names no two layers; give A=B",
    "completion powershell": "netviz completes in bash, zsh, fish, not in 'powershell'",
    "attention mine:model -i x.npy -o f.png --heads 2": "No such option: --heads",
}


@pytest.mark.parametrize("command", QUESTIONS)
def test_every_question(refused: Refused, folder: Path, command: str) -> None:
    for name, values in {
        "x": np.zeros((2, 1, 8, 8)),
        "y": [0, 1],
        "three": [0, 1, 2],
        "text": ["a", "b"],
    }.items():
        np.save(f"{name}.npy", np.asarray(values))
    np.savez("two.npz", a=[0, 1], b=[0, 1])
    line = refused(*command.split())
    assert QUESTIONS[command] in line
    assert len(line) < 400
    assert not list(folder.glob("f.*"))


@pytest.mark.parametrize("command", USAGE)
def test_usage(refused: Refused, folder: Path, command: str) -> None:
    assert USAGE[command] in refused(*command.split())


@pytest.mark.parametrize("model", MODELS)
def test_model(refused: Refused, folder: Path, model: str) -> None:
    assert MODELS[model] in refused("layers", model)


@pytest.mark.parametrize("command", FIGURES)
def test_figure(refused: Refused, folder: Path, command: str) -> None:
    np.save("x.npy", np.zeros((2, 1, 8, 8)))
    assert FIGURES[command] in refused(*command.split(), "-o", "figure.png")
    assert not Path("figure.png").exists()


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands(refused: Refused, folder: Path, command: str) -> None:
    np.save("x.npy", np.zeros((2, 1, 8, 8)))
    assert OTHERS[command] in refused(*command.split())


def test_a_module_that_needs_another_or_fails(refused: Refused, folder: Path) -> None:
    (folder / "needy.py").write_text("import no_such_thing")
    assert refused("layers", "needy:x") == "module 'needy' needs 'no_such_thing', which is not installed"
    (folder / "faulty.py").write_text("1 / 0")
    assert refused("layers", "faulty:x").startswith(
        "module 'faulty' failed while it was imported: ZeroDivisionError"
    )


@pytest.mark.parametrize("output", ["absent/figure.png", "mine.py/figure.png"])
def test_an_output_that_cannot_be_written_is_found_before_the_model_is_made(
    refused: Refused, folder: Path, output: str
) -> None:
    assert refused("kernels", "mine:fails", "conv1", "-o", output).startswith(f"{output}: ")


@pytest.mark.parametrize("output", ["figure", "figure.docx", "."])
def test_an_unknown_figure_format(refused: Refused, folder: Path, output: str) -> None:
    assert ".png" in refused("kernels", "mine:model", "conv1", "-o", output)
    assert not Path(output).is_file()


def test_an_existing_figure_survives_an_error(refused: Refused, folder: Path) -> None:
    Path("figure.png").write_text("precious")
    refused("kernels", "mine:model", "nowhere", "-o", "figure.png")
    assert Path("figure.png").read_text() == "precious"


def test_traceback_shows_everything_and_ends_with_the_line(netviz: Callable[..., Any], folder: Path) -> None:
    np.save("x.npy", np.zeros((2, 1, 8, 8)))
    arguments = ["feature-maps", "mine:breaks", "conv1", "-i", "x.npy", "-o", "figure.png"]
    ran = netviz("--traceback", *arguments)
    assert ran.status == 2
    assert 'raise RuntimeError("the shapes do not fit' in ran.err
    assert ran.err.splitlines()[-1].startswith("netviz: the model failed in layer 'conv1'")


def test_logs_of_compiled_libraries_stay_away_but_python_shows(shell: Any, folder: Path) -> None:
    (folder / "noisy.py").write_text(
        "import os, sys\nos.write(2, b'native noise\\n')\nprint('from Python', file=sys.stderr)\n"
        "def build():\n    raise ValueError('no')\n"
    )
    ran = shell("layers", "noisy:build")
    assert ran.stderr == "from Python\nnetviz: noisy:build failed: ValueError: no\n"
    assert "native noise" in shell("--traceback", "layers", "noisy:build").stderr


def test_a_very_long_message_is_cut(refused: Refused, folder: Path) -> None:
    (folder / "wordy.py").write_text("def build():\n    raise ValueError('word ' * 1000)\n")
    assert len(refused("layers", "wordy:build")) < 700

"""The arguments and options of the commands, each declared once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from ..attributions.cam_methods import METHODS
from ..attributions.losses import LOSSES
from ..graphs.parts import RANKDIRS
from ..words.addresses import download_first


def _local(text: str) -> Path:
    """The path of a file; an address is refused as it was given, since a path of it loses a slash."""
    if told := download_first(text):
        raise typer.BadParameter(told)
    return Path(text)


def _from(words: Sequence[str]) -> Any:
    """What completes an option that takes one of these."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


_argument: Any = partial(typer.Argument, show_default=False)
_option: Any = partial(typer.Option, show_default=False)
_file: Any = partial(_option, metavar="FILE", parser=_local)
_input: Any = partial(_file, "--input", "-i")
_output: Any = partial(_file, "--output", "-o")

Version = Annotated[bool, typer.Option("--version", "-V", help="Show the version and exit.", is_eager=True)]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Say nothing but what was asked for: no progress, no notes, not what was written. May stand behind "
        "the command, too.",
    ),
]
Traceback = Annotated[
    bool,
    typer.Option(
        "--traceback",
        help="After an error show everything, not one line alone. May stand behind the command, too.",
    ),
]

Model = Annotated[
    str,
    _argument(
        metavar="MODEL",
        help="A saved model (.keras, .h5, .pt2), or package.module:name, which is a model or a function "
        "without arguments that makes one. Modules of the current folder can be named.",
    ),
]
ModelOrCapture = Annotated[
    str,
    _argument(
        help="A saved model, a saved capture (.safetensors), a file of weights, or package.module:name."
    ),
]
LayerPath = Annotated[
    str,
    _argument(
        metavar="LAYER",
        help="The layer's path, as 'netviz layers MODEL' shows it, or a pattern such as '*conv1'.",
    ),
]
Trust = Annotated[
    bool,
    _option("--trust", help="Let the file run code while it is loaded. Only for files you made yourself."),
]

Input = Annotated[
    Path,
    _input(
        help="What the model sees: a batch in a .npy or .npz file (several arrays go in by name), or an "
        "image, whose values become 0 to 1, laid out as the model wants them."
    ),
]
InputOrDeclared = Annotated[
    Path | None,
    _input(help="What the model sees, for shapes and operations; without it, what the model declares."),
]
InputOfBoth = Annotated[
    Path | None,
    _input(
        help="What both see, as elsewhere; captures need none, and without one weights alone are compared."
    ),
]
InputOfB = Annotated[Path | None, _file("--input-b", help="What b sees, if it is not what a sees.")]
InputOrOwn = Annotated[
    Path | None,
    _input(
        help="What the model sees, as elsewhere; only where it has data of its own, or is a capture, not needed."
    ),
]
Data = Annotated[
    Path,
    _input(
        help="All the samples, in a .npy or .npz file, or an image; they go through the model in batches of 64."
    ),
]
Targets = Annotated[
    Path | None,
    _file(
        "--targets", "-t", help="What the model should have said: a .npy file with an entry for each sample."
    ),
]
RequiredTargets = Annotated[
    Path,
    _file(
        "--targets", "-t", help="What the model should have said: a .npy file with an entry for each sample."
    ),
]
Axes = Annotated[
    str | None,
    _option(
        "--axes",
        metavar="NAMES",
        help="The array's axes, such as batch,y,x,channel: with them it is laid out as the model wants "
        "it, without them it goes in as it is.",
    ),
]

Output = Annotated[Path, _output(help="Where to write the figure: .png, .svg or .pdf.")]


def _answers(also: str, figure: str = "the figure: .png, .svg or .pdf") -> Any:
    """Where an answer that is told is written, too."""
    figures = f", or {figure}" if figure else ""
    return Annotated[
        list[Path] | None,
        _output(help=f"Write the answer, too: {also}{figures}. Can be given several times."),
    ]


Answers = _answers(".json or .txt")
SummaryFiles = _answers(".json, .html or .txt", "")
GraphFiles = _answers(".dot, .mmd (Mermaid), .json or .txt")
StatisticsFiles = _answers(".json, .txt, or .npz for netviz in Python")
Reports = _answers(".html, .md, .json or .txt")
CaptureFile = Annotated[Path, _output(help="Where to write the capture: .safetensors.")]
WeightsFile = Annotated[
    Path,
    _output(
        help="Where to write b with its new weights: .safetensors, .pt or .pth of a PyTorch model; .weights.h5 or "
        ".keras of one in Keras."
    ),
]
Page = Annotated[Path, _output(help="Where to write the page: .html.")]
Folder = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FOLDER", help="Where to write the page and its figures."),
]

WeightName = Annotated[str, typer.Option("--weight", metavar="NAME", help="Which of the layer's weights.")]
Channel = Annotated[
    int | None,
    _option("--channel", metavar="N", help="Only this input channel, counted from 0, or from -1 backwards."),
]
Rgb = Annotated[
    bool | None,
    typer.Option(
        "--rgb/--no-rgb",
        help="Show three input channels as one colour image, or apart.",
        show_default="--rgb where there are three",
    ),
]
WeightNames = Annotated[
    str, typer.Option("--weight", metavar="NAME", help="Which weights; a pattern such as '*' does.")
]
Layers = Annotated[
    list[str] | None,
    _option(
        "--layers",
        "-l",
        metavar="LAYER",
        help="Only these layers: a path, or a pattern such as 'block*'. Can be given several times.",
    ),
]
Limit = Annotated[int | None, _option("--limit", metavar="N", help="Draw at most N images.")]
Bins = Annotated[int, typer.Option("--bins", metavar="N", help="How many bins.")]
Sample = Annotated[
    int,
    typer.Option(
        "--sample", metavar="N", help="Which sample of the batch, counted from 0, or from -1 backwards."
    ),
]

Rankdir = Annotated[
    str,
    typer.Option(
        "--rankdir",
        metavar="|".join(RANKDIRS),
        help="Whether it is drawn, and written out, from top to bottom or from left to right.",
        autocompletion=_from(RANKDIRS),
    ),
]

CamLayer = Annotated[
    str | None,
    _option(
        "--layer", metavar="LAYER", help="The layer to look at; by default the last whose output has places."
    ),
]
Target = Annotated[
    str | None,
    _option(
        "--target",
        metavar="CLASS",
        help="The class, by number or name; by default each sample's highest score.",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method", metavar="NAME", help=f"One of {', '.join(METHODS)}.", autocompletion=_from(METHODS)
    ),
]
ClassNames = Annotated[
    str | None,
    _option(
        "--names",
        metavar="NAMES",
        help="What the classes are called, in their order: cat,dog,… or a text file with a name on each line.",
    ),
]
Part = Annotated[
    str | None,
    _option(
        "--part", metavar="NAME", help="Which part of the model's output has the scores, such as logits."
    ),
]
Loss = Annotated[
    str | None,
    _option(
        "--loss", metavar="NAME", help=f"One of {', '.join(LOSSES)}.", autocompletion=_from(tuple(LOSSES))
    ),
]
Count = Annotated[int, typer.Option("--count", "-k", metavar="N", help="How many samples.")]
Heatmap = Annotated[
    bool, typer.Option("--heatmap/--no-heatmap", help="Lay over images where the model looked.")
]

AttentionLayer = Annotated[
    str | None,
    _option("--layer", metavar="LAYER", help="The attention layer; not needed where there is but one."),
]
Window = Annotated[
    int | None,
    _option(
        "--window",
        metavar="N",
        help="Which window of a layer that looks within windows; by default the first.",
    ),
]
Rollout = Annotated[
    bool, typer.Option("--rollout", help="Follow attention through all layers, down to the input.")
]
MeanOfHeads = Annotated[bool, typer.Option("--mean", help="Draw the average over heads.")]
OverImage = Annotated[bool, typer.Option("--over-image", help="Lay what each head looks at over the image.")]

EveryValue = Annotated[
    bool,
    typer.Option(
        "--every-value", help="Quantiles of every value, instead of an even sample of large layers."
    ),
]
Complete = Annotated[
    bool,
    typer.Option(
        "--complete",
        help="Keep what layers are given, and their weights, too: then 'netviz compare' needs no model.",
    ),
]

Pairs = Annotated[
    list[str] | None,
    _option(
        "--pair",
        metavar="A=B",
        help="A layer of a and its partner in b, or globs with one * on both sides. Can be given several "
        "times; the rest is paired as usual.",
    ),
]
Tolerance = Annotated[
    float | None,
    _option(
        "--tolerance",
        metavar="ERROR",
        help="The largest |a - b| / (rms + |b|) that is no difference; by default by dtype.",
    ),
]

Names = Annotated[
    tuple[str, str] | None,
    _option("--names", metavar="A B", help="What reports call the two, such as: --names teacher port."),
]
OtherHead = Annotated[
    bool,
    typer.Option(
        "--other-head",
        help="Accept that one of the two alone ends in a softmax or sigmoid, or the logarithm of one.",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the JSON form alone, for programs; it names its schema."),
]
Shell = Annotated[
    str,
    _argument(metavar="SHELL", help="bash, zsh or fish.", autocompletion=_from(("bash", "zsh", "fish"))),
]

Load = Annotated[
    bool,
    typer.Option("--load/--no-load", help="Load each, to find those that are broken, or read metadata only."),
]


def names() -> set[str]:
    """What options are called in Python: ``input_b`` for ``--input-b``."""
    declared = [information for alias in list(globals().values()) for information in get_args(alias)[1:]]
    # Where a name is the first thing said in an Annotated option, Typer holds it as its default.
    said = [str(word) for each in declared for word in (each.default, *(each.param_decls or ()))]
    long = [word for words in said for word in words.split("/") if word.startswith("--")]
    return {word[2:].replace("-", "_") for word in long}

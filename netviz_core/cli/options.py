"""The arguments and options of the commands, each declared once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

_argument: Any = partial(typer.Argument, show_default=False)
_option: Any = partial(typer.Option, show_default=False)
_input: Any = partial(_option, "--input", "-i", metavar="FILE")
_output: Any = partial(_option, "--output", "-o", metavar="FILE")

Version = Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)]
Traceback = Annotated[
    bool, typer.Option("--traceback", help="After an error show everything, not one line alone.")
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
InputOfB = Annotated[
    Path | None, _option("--input-b", metavar="FILE", help="What b sees, if it is not what a sees.")
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
FigureToo = Annotated[Path | None, _output(help="Draw the measures of every layer, too: .png, .svg or .pdf.")]
Reports = Annotated[
    list[Path] | None,
    _output(
        help="Write a report, too: .html, .md, .json or .txt, or the plot: .png, .svg or .pdf. Can be given "
        "several times."
    ),
]
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
Limit = Annotated[int | None, _option("--limit", metavar="N", help="Draw at most N images.")]
Bins = Annotated[int, typer.Option("--bins", metavar="N", help="How many bins.")]
Sample = Annotated[
    int,
    typer.Option(
        "--sample", metavar="N", help="Which sample of the batch, counted from 0, or from -1 backwards."
    ),
]

CamLayer = Annotated[
    str | None,
    _option(
        "--layer", metavar="LAYER", help="The layer to look at; by default the last whose output has places."
    ),
]
Target = Annotated[
    int | None,
    _option("--target", metavar="CLASS", help="The class; by default each sample's highest score."),
]
Method = Annotated[
    str,
    typer.Option(
        "--method", metavar="NAME", help="One of cam, grad-cam, grad-cam++, layer-cam and eigen-cam."
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
    str | None,
    _option("--names", metavar="A,B", help="What reports call the two, such as original,port."),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the JSON form alone, for programs; its schema is netviz.comparison/1."
    ),
]

Load = Annotated[
    bool,
    typer.Option("--load/--no-load", help="Load each, to find those that are broken, or read metadata only."),
]

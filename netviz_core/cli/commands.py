"""The commands of ``netviz``, each as thin as its Python call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from .. import plugins
from .._version import __version__
from ..attributions.cam import cam
from ..graphs.data_flow import graph
from ..measures.health import health
from ..summaries.rows import summary
from ..views.base import DEFAULT_RENDERER, View
from ..views.heatmap import heatmap
from ..views.histogram import histogram
from ..views.tiles import feature_maps, kernels
from ..words.errors import BackendLoadError, FileFormatError
from ..words.whole_files import check_writable
from .inputs import read_input
from .models import failures_located, open_model

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A saved model (.keras, .h5, .pt2), or package.module:name, which is a model or a function "
        "without arguments that makes one. Modules of the current folder can be named.",
        show_default=False,
    ),
]
LayerPath = Annotated[
    str,
    typer.Argument(
        metavar="LAYER",
        help="The layer's path, as 'netviz layers MODEL' shows it, or a pattern such as '*conv1'.",
        show_default=False,
    ),
]
_COMPARED = typer.Argument(
    help="A saved model, a saved capture (.safetensors), a file of weights, or package.module:name.",
    show_default=False,
)
REPORTS = (".html", ".md", ".json", ".txt")
"""The suffixes of what a comparison can be written to besides its plot."""
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to write the figure: .png, .svg or .pdf.",
        show_default=False,
    ),
]
Input = Annotated[
    Path,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE",
        help="What the model sees: a batch in a .npy or .npz file (several arrays go in by name), or an "
        "image, whose values become 0 to 1, laid out as the model wants them.",
        show_default=False,
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(
        "--axes",
        metavar="NAMES",
        help="The array's axes, such as batch,y,x,channel: with them it is laid out as the model wants "
        "it, without them it goes in as it is.",
        show_default=False,
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Let the file run code while it is loaded. Only for files you made yourself."
    ),
]
WeightName = Annotated[str, typer.Option("--weight", metavar="NAME", help="Which of the layer's weights.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", help="Draw at most so many images.", show_default=False),
]


@app.callback(invoke_without_command=True)
def netviz(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="After an error show everything, not one line alone.")
    ] = False,
) -> None:
    """The same figures for every neural network, whatever framework it was written in.

    Start with 'netviz demo', or with 'netviz layers MODEL' for your own model.
    """
    if version:
        typer.echo(f"netviz {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("layers")
def list_layers(model: Model, trust: Trust = False) -> None:
    """List a model's layers, with the axes of their weights."""
    from .tables import layers_table, show

    show([layers_table(open_model(model, trust=trust))])


@app.command("summary")
def show_summary(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="What the model sees, for shapes and operations; without it, what the model declares.",
            show_default=False,
        ),
    ] = None,
    axes: Axes = None,
    trust: Trust = False,
) -> None:
    """Show the table of layers: shapes, parameters, memory, multiply-accumulates."""
    x = None if data is None else read_input(data, axes)
    network = open_model(model, trust=trust)
    with failures_located(network):
        typer.echo(str(summary(network, x)))


@app.command("graph")
def draw_graph(model: Model, data: Input, output: Output, axes: Axes = None, trust: Trust = False) -> None:
    """Draw the data flow between layers, folded as far as needed to be read."""
    _check_output(output)
    x = read_input(data, axes)
    network = open_model(model, trust=trust)
    with failures_located(network):
        view = graph(network, x)
    _save(view, output)


@app.command("kernels")
def draw_kernels(
    model: Model,
    layer: LayerPath,
    output: Output,
    weight: WeightName = "kernel",
    channel: Annotated[
        int | None,
        typer.Option(
            "--channel",
            metavar="N",
            help="Only this input channel from 0, or from -1 backwards.",
            show_default=False,
        ),
    ] = None,
    rgb: Annotated[
        bool | None,
        typer.Option(
            "--rgb/--no-rgb",
            help="Show three input channels as one colour image, or apart.",
            show_default="--rgb where there are three",
        ),
    ] = None,
    limit: Limit = None,
    trust: Trust = False,
) -> None:
    """Draw the kernels of a convolution as small images."""
    _check_output(output)
    network = open_model(model, trust=trust)
    _save(kernels(network, layer, weight=weight, channel=channel, rgb=rgb, limit=limit), output)


@app.command("histogram")
def draw_histogram(
    model: Model,
    layer: LayerPath,
    output: Output,
    weight: WeightName = "kernel",
    bins: Annotated[int, typer.Option("--bins", metavar="N", help="How many bins.")] = 50,
    trust: Trust = False,
) -> None:
    """Draw how the values of a weight are distributed."""
    _check_output(output)
    _save(histogram(open_model(model, trust=trust), layer, weight, bins), output)


@app.command("heatmap")
def draw_heatmap(
    model: Model, layer: LayerPath, output: Output, weight: WeightName = "kernel", trust: Trust = False
) -> None:
    """Draw a weight as a matrix, every number in its place."""
    _check_output(output)
    _save(heatmap(open_model(model, trust=trust), layer, weight), output)


@app.command("feature-maps")
def draw_feature_maps(
    model: Model,
    layer: LayerPath,
    data: Input,
    output: Output,
    axes: Axes = None,
    sample: Annotated[
        int,
        typer.Option(
            "--sample",
            metavar="N",
            help="Which sample of the batch from 0, or from -1 backwards.",
        ),
    ] = 0,
    limit: Limit = None,
    trust: Trust = False,
) -> None:
    """Draw what a layer makes of one sample, by channel."""
    _check_output(output)
    x = read_input(data, axes)
    network = open_model(model, trust=trust)
    with failures_located(network):
        view = feature_maps(network, layer, x, sample=sample, limit=limit)
    _save(view, output)


@app.command("cam")
def draw_cam(
    model: Model,
    data: Input,
    output: Output,
    layer: Annotated[
        str | None,
        typer.Option("--layer", metavar="LAYER", help="By default the last with a map.", show_default=False),
    ] = None,
    target: Annotated[
        int | None,
        typer.Option("--target", metavar="CLASS", help="By default each sample's best.", show_default=False),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", metavar="NAME", help="cam, grad-cam, grad-cam++, layer-cam or eigen-cam."),
    ] = "grad-cam",
    axes: Axes = None,
    trust: Trust = False,
) -> None:
    """Draw which places of an image speak for a class."""
    _check_output(output)
    x = read_input(data, axes)
    network = open_model(model, trust=trust)
    with failures_located(network):
        view = cam(network, x, layer, target, method)
    _save(view, output)


@app.command("health")
def tell_health(
    model: Model,
    data: Input,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Draw layers by measures, too: .png, .svg or .pdf.",
            show_default=False,
        ),
    ] = None,
    axes: Axes = None,
    trust: Trust = False,
) -> None:
    """Say which layers are not healthy; exit with 1 if one has an alarm.

    Looks for values that are not finite, and who made the first of them, for overflow, for dead, saturated and
    constant units.
    """
    if output is not None:
        _check_output(output)
    x = read_input(data, axes)
    network = open_model(model, trust=trust)
    with failures_located(network):
        found = health(network, x)
    typer.echo(str(found))
    if output is not None:
        _save(found, output)
    if not found.is_healthy:
        raise typer.Exit(1)


@app.command("compare")
def compare_models(
    a: Annotated[str, _COMPARED],
    b: Annotated[str, _COMPARED],
    data: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="What both see, as elsewhere; captures need none, and without one weights alone are compared.",
            show_default=False,
        ),
    ] = None,
    input_of_b: Annotated[
        Path | None,
        typer.Option(
            "--input-b", metavar="FILE", help="What b sees, if it is not what a sees.", show_default=False
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write a report, too: .html, .md, .json or .txt, or the plot: .png, .svg or .pdf. Can be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            "--pair",
            metavar="A=B",
            help="A layer of a and its partner in b, or globs with one * on both sides. Can be given several "
            "times; the rest is paired as usual.",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="ERROR",
            help="What |a - b| / (rms + |b|) may be; by default by dtype.",
            show_default=False,
        ),
    ] = None,
    axes: Axes = None,
    trust: Trust = False,
) -> None:
    """Say where two models first differ, and why; exit with 1 if they do.

    They may be of different frameworks, saved captures, or files of weights.
    """
    from .compared import compared, mapping_of, save_report

    outputs = output or []
    for path in outputs:
        _check_output(path, REPORTS)
    found = compared(a, b, data, input_of_b, mapping_of(pair or []), tolerance, axes, trust)
    typer.echo(str(found))
    for path in outputs:
        if path.suffix.lower() in REPORTS:
            save_report(found, path)
            typer.echo(f"wrote {path}")
        else:
            _save(found, path)
    if not found.agrees:
        raise typer.Exit(1)


@app.command("backends")
def list_plugins(
    load: Annotated[
        bool,
        typer.Option(
            "--load/--no-load", help="Load each, to find those that are broken, or read metadata only."
        ),
    ] = True,
) -> None:
    """List backends and renderers, and what each lacks.

    Each is loaded, available, missing a dependency (with the command that installs it), or broken (and
    why).
    """
    from .tables import plugins_table, show

    if load:
        _try_to_load(plugins.list_backends(), plugins.get_backend)
        _try_to_load(plugins.list_renderers(), plugins.get_renderer)
    show(
        [
            plugins_table("backend", plugins.list_backends()),
            plugins_table("renderer", plugins.list_renderers()),
        ]
    )


@app.command("demo")
def make_demo(
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where to write the page and its figures."),
    ] = Path("netviz-demo"),
) -> None:
    """Train on handwritten digits and draw what was learned.

    The same small network learns in every framework installed; one piece of code draws them all.
    """
    from ..demo import demo

    for note in (made := demo(folder)).notes:
        typer.echo(note)
    typer.echo(f"open {made.page}")


def _check_output(output: Path, others: Sequence[str] = ()) -> None:
    """Find out before the work that a figure, or what else has one of these suffixes, cannot be written."""
    suffixes = (*plugins.get_renderer(DEFAULT_RENDERER).suffixes, *others)
    if output.suffix.lower() not in suffixes:
        raise FileFormatError(
            f"cannot tell from {str(output)!r} what to draw; use one of {', '.join(suffixes)}"
        )
    check_writable(output)


def _save(view: View, output: Path) -> None:
    view.save(output)
    typer.echo(f"wrote {output}")


def _try_to_load(states: Mapping[str, plugins.PluginStatus], get: Callable[[str], object]) -> None:
    for name, state in states.items():
        if state.status == "available":
            with contextlib.suppress(BackendLoadError):
                get(name)

"""The command ``netviz`` and its commands, in the order in which the help lists them."""

from __future__ import annotations

import typer

from .._version import __version__
from . import drawing, options, telling

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def netviz(
    context: typer.Context, version: options.Version = False, traceback: options.Traceback = False
) -> None:
    """The same figures for every neural network, whatever framework it was written in.

    Start with 'netviz demo', or with 'netviz layers MODEL' for your own model.
    """
    if version:
        typer.echo(f"netviz {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("layers")(telling.list_layers)
app.command("summary")(telling.show_summary)
app.command("graph")(drawing.draw_graph)
app.command("kernels")(drawing.draw_kernels)
app.command("histogram")(drawing.draw_histogram)
app.command("heatmap")(drawing.draw_heatmap)
app.command("feature-maps")(drawing.draw_feature_maps)
app.command("cam")(drawing.draw_cam)
app.command("health")(telling.tell_health)
app.command("compare")(telling.compare_models)
app.command("backends")(telling.list_plugins)
app.command("demo")(drawing.make_demo)

"""The command ``netviz`` and its commands, in the order in which the help lists them."""

from __future__ import annotations

import typer

from .._version import __version__
from . import completing, drawing, gathering, laying, options, telling
from .saying import be_quiet

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(
    invoke_without_command=True,
    epilog="Exits with 0; with 1 on an alarm of 'health' and where 'compare' cannot say that two models agree; with 2 "
    "after an error, told on stderr in one line; with 130 after Ctrl-C.",
)
def netviz(
    context: typer.Context,
    version: options.Version = False,
    quiet: options.Quiet = False,
    traceback: options.Traceback = False,
) -> None:
    """The same figures for every neural network, whatever framework it was written in.

    Start with 'netviz demo', or with 'netviz layers MODEL' for your own model.
    """
    be_quiet(quiet)
    if version:
        typer.echo(f"netviz {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("layers")(telling.list_layers)
app.command("summary")(telling.show_summary)
app.command("graph")(telling.show_graph)
app.command("kernels")(drawing.draw_kernels)
app.command("histogram")(drawing.draw_histogram)
app.command("histograms")(drawing.draw_histograms)
app.command("heatmap")(drawing.draw_heatmap)
app.command("feature-maps")(drawing.draw_feature_maps)
app.command("attention")(drawing.draw_attention)
app.command("cam")(drawing.draw_cam)
app.command("health")(telling.tell_health)
app.command("report")(telling.write_report)
app.command("statistics")(gathering.tell_statistics)
app.command("top-losses")(gathering.tell_top_losses)
app.command("capture")(gathering.keep_capture)
app.command("compare")(laying.compare_models)
app.command("similarity")(laying.tell_similarity)
app.command("copy-weights")(laying.give_weights)
app.command("backends")(telling.list_plugins)
app.command("demo")(drawing.make_demo)
app.command("completion")(completing.print_completion)

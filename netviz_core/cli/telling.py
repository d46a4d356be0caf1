"""The commands that tell of one model, each as thin as its Python call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import typer

from .. import plugins
from ..graphs.data_flow import graph
from ..measures.health import health
from ..registry import PluginStatus
from ..summaries.summary import summary
from ..words.errors import BackendLoadError
from . import forms, options
from .inputs import read_targets
from .models import open_model
from .outputs import check_output, tell
from .running import running
from .saying import busy, is_talkative, note


def list_layers(model: options.Model, as_json: options.AsJson = False, trust: options.Trust = False) -> None:
    """List a model's layers, with the axes of their weights."""
    network = open_model(model, trust=trust)
    if as_json:
        typer.echo(forms.LAYERS(network))
        return
    # Here, as in `list_plugins`, since other commands show no table, and rich takes a while to import.
    from .tables import layers_table, show

    show([layers_table(network)])


def show_summary(
    model: options.Model,
    data: options.InputOrDeclared = None,
    output: options.SummaryFiles = None,
    layers: options.Layers = None,
    axes: options.Axes = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Show the table of layers: shapes, parameters, memory, multiply-accumulates."""
    outputs = output or []
    for path in outputs:
        check_output(path, forms.SUMMARY, is_drawn=False)
    with running(model, data, axes, trust) as (network, x), busy("summary"):
        found = summary(network, x, layers or "*")
    tell(found, forms.SUMMARY, outputs, as_json)


def show_graph(
    model: options.Model,
    data: options.InputOrDeclared = None,
    output: options.GraphFiles = None,
    rankdir: options.Rankdir = "TB",
    axes: options.Axes = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Show the data flow between layers: as text, or drawn, folded as far as needed to be read."""
    outputs = output or []
    for path in outputs:
        check_output(path, forms.GRAPH)
    with running(model, data, axes, trust) as (network, x), busy("graph"):
        found = graph(network, x, rankdir=rankdir)
    tell(found, forms.GRAPH, outputs, as_json, found)


def tell_health(
    model: options.Model,
    data: options.Input,
    output: options.Answers = None,
    targets: options.Targets = None,
    loss: options.Loss = None,
    axes: options.Axes = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Say whether the layers are healthy; exit with 1 on an alarm.

    Looks for values that are not finite, and who made the first of them, for overflow, for dead, saturated and
    constant units; with a loss and targets at gradients, too.
    """
    outputs = output or []
    for path in outputs:
        check_output(path, forms.HEALTH)
    wanted = read_targets(targets)
    with running(model, data, axes, trust) as (network, x), busy("health"):
        found = health(network, x, targets=wanted, loss=loss)
    tell(found, forms.HEALTH, outputs, as_json, found)
    if not found.is_healthy:
        raise typer.Exit(1)


def write_report(
    model: options.Model,
    output: options.Page,
    data: options.InputOrDeclared = None,
    targets: options.Targets = None,
    loss: options.Loss = None,
    axes: options.Axes = None,
    trust: options.Trust = False,
) -> None:
    """Write one page of HTML for a model: health, layers, graph, kernels, maps, statistics."""
    from ..reports.report import report  # here, as few ask for it, and it has a use for most rooms

    check_output(output, (".html",), is_drawn=False)
    wanted = read_targets(targets)
    with running(model, data, axes, trust) as (network, x):
        found = report(network, x, targets=wanted, loss=loss, progress=is_talkative())
    found.save(output)
    for heading, why in found.failures.items():
        note(f"{heading} is not shown: {why}")
    note(f"wrote {output}")


def list_plugins(load: options.Load = True, as_json: options.AsJson = False) -> None:
    """List backends and renderers, and what each lacks.

    Each is loaded, available, missing a dependency (with the command that installs it), or broken (and
    why).
    """
    if load:
        with busy("loading"):
            _try_to_load(plugins.list_backends(), plugins.get_backend)
            _try_to_load(plugins.list_renderers(), plugins.get_renderer)
    backends, renderers = plugins.list_backends(), plugins.list_renderers()
    if as_json:
        typer.echo(forms.PLUGINS({"backends": backends, "renderers": renderers}))
        return
    from .tables import plugins_table, show

    show([plugins_table("backend", backends), plugins_table("renderer", renderers)])


def _try_to_load(states: Mapping[str, PluginStatus], get: Callable[[str], object]) -> None:
    for name, state in states.items():
        if state.status == "available":
            with suppress(BackendLoadError):
                get(name)

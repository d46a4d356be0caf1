"""The commands that tell, each as thin as its Python call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import typer

from .. import plugins
from ..measures.health import health
from ..summaries.summary import summary
from ..words.errors import BackendLoadError, InputError
from . import options
from .inputs import as_expected, read_input
from .messages import in_options
from .models import open_model, open_model_or_capture
from .outputs import REPORTS, check_output, save
from .running import failures_located, running


def list_layers(model: options.Model, trust: options.Trust = False) -> None:
    """List a model's layers, with the axes of their weights."""
    # Here, as in `list_plugins`, since other commands show no table, and rich takes a while to import.
    from .tables import layers_table, show

    show([layers_table(open_model(model, trust=trust))])


def show_summary(
    model: options.Model,
    data: options.InputOrDeclared = None,
    axes: options.Axes = None,
    trust: options.Trust = False,
) -> None:
    """Show the table of layers: shapes, parameters, memory, multiply-accumulates."""
    with running(model, data, axes, trust) as (network, x):
        typer.echo(in_options(str(summary(network, x))))


def tell_health(
    model: options.Model,
    data: options.Input,
    output: options.FigureToo = None,
    axes: options.Axes = None,
    trust: options.Trust = False,
) -> None:
    """Say whether the layers are healthy; exit with 1 on an alarm.

    Looks for values that are not finite, and who made the first of them, for overflow, for dead, saturated and
    constant units.
    """
    if output is not None:
        check_output(output)
    with running(model, data, axes, trust) as (network, x):
        found = health(network, x)
    typer.echo(str(found))
    if output is not None:
        save(found, output)
    if not found.is_healthy:
        raise typer.Exit(1)


def compare_models(
    a: options.ModelOrCapture,
    b: options.ModelOrCapture,
    data: options.InputOfBoth = None,
    input_of_b: options.InputOfB = None,
    output: options.Reports = None,
    pair: options.Pairs = None,
    tolerance: options.Tolerance = None,
    axes: options.Axes = None,
    names: options.Names = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Say where two models differ, and why; exit with 1 if they do, or cannot be said to agree.

    They may be of different frameworks, saved captures, or files of weights.
    """
    # Here, since no other command compares, and the rooms of a comparison take a while to import.
    from ..comparing.compared import compare

    outputs = output or []
    for path in outputs:
        check_output(path, tuple(REPORTS))
    mapping = _mapping_of(pair or [])
    called = None if names is None else _two_names(names)
    if input_of_b is not None and data is None:
        raise InputError("--input-b says what b sees; say with --input what a sees")
    x = read_input(data, axes)
    for_b = x if input_of_b is None else read_input(input_of_b, axes)
    model_a, model_b = open_model_or_capture(a, trust=trust), open_model_or_capture(b, trust=trust)
    with failures_located(model_a, model_b):
        given = as_expected(model_a, x, data), as_expected(model_b, for_b, input_of_b or data)
        both = x if given[0] is given[1] else given
        found = compare(model_a, model_b, both, mapping or None, tolerance=tolerance, names=called)
    typer.echo(found.to_json() if as_json else str(found))
    for path in outputs:
        save(found, path, is_told=not as_json)
    if not found.agrees:
        raise typer.Exit(1)


def _mapping_of(pairs: Iterable[str]) -> dict[str, str]:
    """From ``A=B`` to a mapping; an `InputError` if there is no ``=``."""
    found = {}
    for pair in pairs:
        a, separator, b = pair.partition("=")
        if not (a and separator and b):
            raise InputError(
                f"--pair {pair!r} names no two layers; give A=B, such as --pair conv1=features.0"
            )
        found[a] = b
    return found


def _two_names(names: str) -> tuple[str, str]:
    """From ``A,B`` to both; an `InputError` if it is not two."""
    a, _, b = (name.strip() for name in names.partition(","))
    if not a or not b or a == b:
        raise InputError(f"--names {names!r} names no two models; give A,B, such as --names original,port")
    return a, b


def list_plugins(load: options.Load = True) -> None:
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


def _try_to_load(states: Mapping[str, plugins.PluginStatus], get: Callable[[str], object]) -> None:
    for name, state in states.items():
        if state.status == "available":
            with suppress(BackendLoadError):
                get(name)

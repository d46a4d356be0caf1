"""The commands that draw, each as thin as its Python call."""

from __future__ import annotations

from pathlib import Path

import typer

from ..attributions.cam import cam
from ..graphs.data_flow import graph
from ..views.heatmap import heatmap
from ..views.histogram import histogram
from ..views.tiles import feature_maps, kernels
from . import options
from .models import open_model
from .outputs import check_output, save
from .running import running


def draw_graph(
    model: options.Model,
    data: options.Input,
    output: options.Output,
    axes: options.Axes = None,
    trust: options.Trust = False,
) -> None:
    """Draw the data flow between layers, folded as far as needed to be read."""
    check_output(output)
    with running(model, data, axes, trust) as (network, x):
        view = graph(network, x)
    save(view, output)


def draw_kernels(
    model: options.Model,
    layer: options.LayerPath,
    output: options.Output,
    weight: options.WeightName = "kernel",
    channel: options.Channel = None,
    rgb: options.Rgb = None,
    limit: options.Limit = None,
    trust: options.Trust = False,
) -> None:
    """Draw the kernels of a convolution as small images."""
    check_output(output)
    network = open_model(model, trust=trust)
    save(kernels(network, layer, weight=weight, channel=channel, rgb=rgb, limit=limit), output)


def draw_histogram(
    model: options.Model,
    layer: options.LayerPath,
    output: options.Output,
    weight: options.WeightName = "kernel",
    bins: options.Bins = 50,
    trust: options.Trust = False,
) -> None:
    """Draw how the values of a weight are distributed."""
    check_output(output)
    save(histogram(open_model(model, trust=trust), layer, weight, bins), output)


def draw_heatmap(
    model: options.Model,
    layer: options.LayerPath,
    output: options.Output,
    weight: options.WeightName = "kernel",
    trust: options.Trust = False,
) -> None:
    """Draw a weight as a matrix, every number in its place."""
    check_output(output)
    save(heatmap(open_model(model, trust=trust), layer, weight), output)


def draw_feature_maps(
    model: options.Model,
    layer: options.LayerPath,
    data: options.Input,
    output: options.Output,
    axes: options.Axes = None,
    sample: options.Sample = 0,
    limit: options.Limit = None,
    trust: options.Trust = False,
) -> None:
    """Draw what a layer makes of one sample, channel by channel."""
    check_output(output)
    with running(model, data, axes, trust) as (network, x):
        view = feature_maps(network, layer, x, sample=sample, limit=limit)
    save(view, output)


def draw_cam(
    model: options.Model,
    data: options.Input,
    output: options.Output,
    layer: options.CamLayer = None,
    target: options.Target = None,
    method: options.Method = "grad-cam",
    axes: options.Axes = None,
    trust: options.Trust = False,
) -> None:
    """Draw which places of an image speak for a class."""
    check_output(output)
    with running(model, data, axes, trust) as (network, x):
        view = cam(network, x, layer, target, method)
    save(view, output)


def make_demo(folder: options.Folder = Path("netviz-demo")) -> None:
    """Train on handwritten digits and draw what was learned.

    The same small network learns in every framework installed; one piece of code draws them all.
    """
    # Here, since no other command needs its progress bars, which take a while to import.
    from ..demo import demo

    for note in (made := demo(folder)).notes:
        typer.echo(note)
    typer.echo(f"open {made.page}")

"""The commands that draw figures of one model, each as thin as its Python call."""

from __future__ import annotations

from pathlib import Path

import typer

from ..attributions.attention import attention
from ..attributions.cam import cam
from ..views.heatmap import heatmap
from ..views.histogram import histogram, histograms
from ..views.tiles import feature_maps, kernels
from . import options
from .inputs import class_names
from .models import open_model, open_model_or_capture
from .outputs import check_output, save
from .running import running
from .saying import busy


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
    model: options.ModelOrCapture,
    layer: options.LayerPath,
    output: options.Output,
    weight: options.WeightName = "kernel",
    bins: options.Bins = 50,
    trust: options.Trust = False,
) -> None:
    """Draw how the values of a weight are distributed; of a capture: of what a layer returned."""
    check_output(output)
    save(histogram(open_model_or_capture(model, trust=trust), layer, weight, bins), output)


def draw_histograms(
    model: options.ModelOrCapture,
    output: options.Output,
    layers: options.Layers = None,
    weight: options.WeightNames = "kernel",
    bins: options.Bins = 50,
    trust: options.Trust = False,
) -> None:
    """Draw how the weights of many layers are distributed, a row for each; of a capture: what layers returned."""
    check_output(output)
    opened = open_model_or_capture(model, trust=trust)
    with busy("histograms"):
        view = histograms(opened, layers or "*", weight, bins)
    save(view, output)


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
    model: options.ModelOrCapture,
    layer: options.LayerPath,
    output: options.Output,
    data: options.InputOrOwn = None,
    axes: options.Axes = None,
    sample: options.Sample = 0,
    limit: options.Limit = None,
    trust: options.Trust = False,
) -> None:
    """Draw what a layer makes of one sample, channel by channel."""
    check_output(output)
    with running(model, data, axes, trust, open_model_or_capture) as (network, x), busy("feature-maps"):
        view = feature_maps(network, layer, x, sample=sample, limit=limit)
    save(view, output)


def draw_attention(
    model: options.Model,
    data: options.Input,
    output: options.Output,
    layer: options.AttentionLayer = None,
    sample: options.Sample = 0,
    window: options.Window = None,
    rollout: options.Rollout = False,
    mean: options.MeanOfHeads = False,
    over_image: options.OverImage = False,
    axes: options.Axes = None,
    trust: options.Trust = False,
) -> None:
    """Draw where an attention layer looks, head by head."""
    check_output(output)
    with running(model, data, axes, trust) as (network, x), busy("attention"):
        view = attention(network, layer, x, sample=sample, window=window, rollout=rollout)
    maps = view.mean() if mean else view
    save(maps.over_image() if over_image else maps, output)


def draw_cam(
    model: options.Model,
    data: options.Input,
    output: options.Output,
    layer: options.CamLayer = None,
    target: options.Target = None,
    method: options.Method = "grad-cam",
    part: options.Part = None,
    names: options.ClassNames = None,
    axes: options.Axes = None,
    trust: options.Trust = False,
) -> None:
    """Draw which places of an image speak for a class."""
    check_output(output)
    called, asked = class_names(names), int(target) if target and target.lstrip("-").isdecimal() else target
    with running(model, data, axes, trust) as (network, x), busy("cam"):
        view = cam(network, x, layer, asked, method, output=part, names=called)
    save(view, output)


def make_demo(folder: options.Folder = Path("netviz-demo")) -> None:
    """Train on handwritten digits and draw what was learned.

    The same small network learns in every framework installed; one piece of code draws them all.
    """
    # Here, since no other command needs its progress bars, which take a while to import.
    from ..demo import demo

    for line in (made := demo(folder)).notes:
        typer.echo(line)
    typer.echo(f"open {made.page}")

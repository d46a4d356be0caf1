"""The commands that gather over data, or keep what a pass left, each as thin as its Python call."""

from __future__ import annotations

from ..attributions.losses import LOSSES
from ..attributions.top_losses import top_losses
from ..captures.capture import capture
from ..measures.statistics import statistics
from ..words.errors import require_known
from . import forms, options
from .inputs import batched, class_names, read_targets
from .outputs import check_output, tell
from .running import running
from .saying import busy, is_talkative, note


def tell_statistics(
    model: options.Model,
    data: options.Data,
    output: options.StatisticsFiles = None,
    layers: options.Layers = None,
    every_value: options.EveryValue = False,
    axes: options.Axes = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Say how the values of every layer are spread, over all samples in one pass."""
    outputs = output or []
    writers = {".npz": lambda found, path: found.save(path)}
    for path in outputs:
        check_output(path, (*forms.STATISTICS, *writers))
    with running(model, data, axes, trust) as (network, x):
        found = statistics(
            network, batched(x), layers or "*", every_value=every_value, progress=is_talkative()
        )
    tell(found, forms.STATISTICS, outputs, as_json, found.heatmap(), writers)


def tell_top_losses(
    model: options.Model,
    data: options.Data,
    targets: options.RequiredTargets,
    loss: options.Loss = None,
    count: options.Count = 9,
    output: options.Answers = None,
    heatmap: options.Heatmap = True,
    layer: options.CamLayer = None,
    method: options.Method = "grad-cam",
    part: options.Part = None,
    names: options.ClassNames = None,
    axes: options.Axes = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Say which samples the model gets most wrong, and show where it looked."""
    outputs = output or []
    for path in outputs:
        check_output(path, forms.TOP_LOSSES)
    if loss is not None:
        require_known(loss, LOSSES, "loss")
    called, wanted = class_names(names), read_targets(targets)
    with running(model, data, axes, trust) as (network, x):
        found = top_losses(
            network,
            count,
            (x, wanted),
            loss,
            heatmap and bool(outputs),
            layer=layer,
            method=method,
            output=part,
            names=called,
            progress=is_talkative(),
        )
    tell(found, forms.TOP_LOSSES, outputs, as_json, found)


def keep_capture(
    model: options.Model,
    data: options.Input,
    output: options.CaptureFile,
    layers: options.Layers = None,
    complete: options.Complete = False,
    axes: options.Axes = None,
    as_json: options.AsJson = False,
    trust: options.Trust = False,
) -> None:
    """Write what layers return in one pass to a file, which every other command can look at."""
    check_output(output, (".safetensors",), is_drawn=False)
    with running(model, data, axes, trust) as (network, x), busy("capture"):
        found = capture(network, x, layers or "*", complete=complete)
        found.save(output)
    tell(found, forms.CAPTURE, (), as_json)
    note(f"wrote {output}", err=as_json)

"""Convolutions and pools: what slides over the axes of space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netviz_core.backend_api import Layout

from .held import Node
from .sources import Rule

_SPATIAL = ("z", "y", "x")
_POOLING = {"Max": "max", "Average": "average", "Lp": "power_average"}

Read = tuple[str, Mapping[str, Any], tuple[Rule, ...]]
"""A kind, a config and rules for weights."""


def convolution(node: Node, kernel: int, bias: int) -> Read:
    """A convolution, whose kernel and bias are its inputs at these places: plain, in groups, or depthwise."""
    if not node.is_constant(kernel):
        return "other", {}, ()
    form = node.form(kernel)
    rank, groups = len(form) - 2, node.option("group", default=1)
    if not 1 <= rank <= 3:
        return "other", {}, ()
    is_depthwise = groups > 1 and form[1] == 1 and rank < 3 and form[0] % groups == 0
    config = {"kernel_size": form[2:], "groups": groups, "units": form[0], **_window(node, rank)}
    if is_depthwise:
        config["depth_multiplier"] = form[0] // groups
    rules = [Rule("kernel", node.inputs[kernel], Layout(("out", "in", *_SPATIAL[3 - rank :])))]
    if node.is_constant(bias):
        rules.append(Rule("bias", node.inputs[bias], Layout(("out",))))
    return f"{'depthwise_' if is_depthwise else ''}conv{rank}d", config, tuple(rules)


def transposed_convolution(node: Node) -> Read:
    """What is cut off at the ends stands under ``padding``, less what is added behind."""
    if not node.is_constant(1):
        return "other", {}, ()
    form, groups = node.form(1), node.option("group", default=1)
    rank = len(form) - 2
    if not 1 <= rank <= 3:
        return "other", {}, ()
    config = {"kernel_size": form[2:], "groups": groups, "units": form[1] * groups, **_window(node, rank)}
    added = node.option("output_padding", default=[0] * rank)
    if node.option("output_shape") is not None:
        config.pop("padding", None)
    elif isinstance(config.get("padding"), tuple):
        config["padding"] = tuple(
            (cut, end - more) for (cut, end), more in zip(config["padding"], added, strict=True)
        )
    axes = _SPATIAL[3 - rank :]
    spatial = " ".join(axes)
    # ONNX stacks the groups along the input channels; canonically they stand along the outputs.
    layout = Layout(("out", "in", *axes), f"(g i) o {spatial} -> (g o) i {spatial}", {"g": groups})
    rules = [Rule("kernel", node.inputs[1], layout)]
    if node.is_constant(2):
        rules.append(Rule("bias", node.inputs[2], Layout(("out",))))
    return f"conv{rank}d_transpose", config, tuple(rules)


def pool(node: Node) -> Read:
    """A pool, or one over all there is of space."""
    pooling = next(word for part, word in _POOLING.items() if part in node.op)
    if node.op.startswith("Global"):
        return "pool", {"pooling": pooling, "output_size": 1}, ()
    size = tuple(node.option("kernel_shape", default=()))
    config = {"pooling": pooling, "kernel_size": size, **_window(node, len(size))}
    config["ceil_mode"] = bool(node.option("ceil_mode", default=0))
    if pooling == "average":
        config["count_include_pad"] = bool(node.option("count_include_pad", default=0))
    return "pool", config, ()


def _window(node: Node, rank: int) -> dict[str, Any]:
    """How a window moves; how much is added around is left out where that depends on the input in an unknown way."""
    ones = [1] * rank
    found: dict[str, Any] = {
        "stride": tuple(node.option("strides", default=ones)),
        "dilation": tuple(node.option("dilations", default=ones)),
        "data_format": "channels_first",
    }
    auto = node.option("auto_pad", default="NOTSET")
    pads = node.option("pads", default=[0] * 2 * rank)
    if auto == "NOTSET":
        found["padding"] = tuple(zip(pads[:rank], pads[rank:], strict=True))
    elif auto == "VALID":
        found["padding"] = ((0, 0),) * rank
    elif auto == "SAME_UPPER":
        found["padding"] = "same"
    return found

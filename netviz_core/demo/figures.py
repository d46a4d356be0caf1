"""The demo's figures: each is one function that knows no framework, printed on the page as it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import netviz_core as nv

from ..views.base import View


def first_kernels(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.side_by_side(
        nv.kernels(untrained, "conv1"),
        nv.kernels(trained, "conv1"),
        titles=["before training", "after training"],
    )


def weight_distribution(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.side_by_side(
        nv.histogram(untrained, "dense1"),
        nv.histogram(trained, "dense1"),
        titles=["before training", "after training"],
    )


def last_weights(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.heatmap(trained, "dense2")


def first_feature_maps(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.feature_maps(trained, "conv1", digit)


def second_feature_maps(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.feature_maps(trained, "conv2", digit)


def looked_at(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.cam(trained, digit)


def state_of_health(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.health(trained, digit)


def data_flow(untrained: Any, trained: Any, digit: nv.AxisArray) -> View:
    return nv.graph(trained, digit)


def kernels_compared(trained: dict[str, Any], digit: nv.AxisArray) -> View:
    views = [nv.kernels(model, "conv1") for model in trained.values()]
    return nv.side_by_side(*views, titles=list(trained))


def distributions_compared(trained: dict[str, Any], digit: nv.AxisArray) -> View:
    views = [nv.histogram(model, "dense1") for model in trained.values()]
    return nv.side_by_side(*views, titles=list(trained))


def feature_maps_compared(trained: dict[str, Any], digit: nv.AxisArray) -> View:
    views = [nv.feature_maps(model, "conv2", digit) for model in trained.values()]
    return nv.side_by_side(*views, titles=list(trained))


def port_compared(trained: dict[str, Any], digit: nv.AxisArray) -> View:
    first, second, *_ = trained.values()
    nv.copy_weights(first, second)
    return nv.compare(first, second, digit)


@dataclass(frozen=True)
class Figure:
    """One figure of the page.

    Parameters
    ----------
    slug : str
        How its file and its place on the page are called.
    heading, caption : str
        What stands over it.
    draw : callable
        What makes its view.
    wide : bool
        Whether it needs the page's full width.
    """

    slug: str
    heading: str
    caption: str
    draw: Callable[..., View]
    wide: bool = False


FOR_EACH = (
    Figure(
        "kernels",
        "What the first layer looks for",
        "Each square is one 3 × 3 kernel of the layer conv1: red counts a pixel for, blue counts it against, "
        "and white ignores it. Training sharpens random patterns until they answer to edges and strokes. "
        "Both sides share one colour scale, centred on zero.",
        first_kernels,
        wide=True,
    ),
    Figure(
        "weights",
        "How the weights spread",
        "The weights of dense1 before and after training, on the same axes. Training moves some of them "
        "away from where they started: the tails grow.",
        weight_distribution,
        wide=True,
    ),
    Figure(
        "heatmap",
        "Which unit votes for which digit",
        "The kernel of the last layer, dense2: a row for each of the ten digits, a column for each unit of "
        "dense1. Red votes for the digit, blue against it.",
        last_weights,
    ),
    Figure(
        "feature-maps-1",
        "What the first convolution sees",
        "The digit at the top of this page after conv1: one image for each kernel, red where the kernel "
        "finds its pattern.",
        first_feature_maps,
    ),
    Figure(
        "feature-maps-2",
        "What the second convolution makes of it",
        "The same digit after conv2, which combines what conv1 found, at half the resolution.",
        second_feature_maps,
    ),
    Figure(
        "cam",
        "Where the network looks",
        "Grad-CAM of the digit that the network reads, over the image: bright places speak for it.",
        looked_at,
    ),
    Figure(
        "health",
        "How each layer is",
        "What the layers make of the digit, in numbers: values that are not finite, zeros, dead and saturated units.",
        state_of_health,
        wide=True,
    ),
    Figure(
        "graph",
        "How the data flows",
        "The layers as they ran, with the size of what each returns.",
        data_flow,
    ),
)

TOGETHER = (
    Figure(
        "compared-kernels",
        "Side by side: the first layer",
        "The networks began with different random numbers, so the kernels are not the same. They are the "
        "same kind of thing, and one scale makes them comparable.",
        kernels_compared,
        wide=True,
    ),
    Figure(
        "compared-weights",
        "Side by side: the spread of the weights",
        "dense1 of each network after training, on the same axes.",
        distributions_compared,
        wide=True,
    ),
    Figure(
        "compared-feature-maps",
        "Side by side: the same digit",
        "The feature maps of conv2 for the digit at the top of this page. It went into each network as one "
        "array with named axes; each framework laid it out for itself.",
        feature_maps_compared,
        wide=True,
    ),
    Figure(
        "compared-port",
        "Side by side: is it the same network?",
        "The weights of the one network are copied into the other, and both are shown the digit: layer by layer, "
        "whether the two agree, and by how much they differ.",
        port_compared,
        wide=True,
    ),
)

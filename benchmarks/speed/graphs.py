"""What a graph costs beside torchview's, which has it written in DOT by then, so that netviz writes its own, too."""

from __future__ import annotations

import torchview

import netviz_core as nv

from .capture_torch import forward, pictures, resnet
from .turns import Case, Ways


def resnet50(quick: bool) -> Ways:
    model, x = resnet(quick), pictures(1, quick)
    return {
        "netviz": lambda: nv.graph(model, x).to_dot(),
        "torchview": lambda: torchview.draw_graph(
            model, input_data=x, depth=9, expand_nested=True, mode="eval"
        ),
        "bare pass": lambda: forward(model, x),
    }


CASES = [Case("graph of ResNet-50, with its operations", resnet50, {"torchview": 1.0})]

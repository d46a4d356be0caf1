"""What a summary costs beside torchinfo's: every layer with its shapes, parameters and multiply-accumulates."""

from __future__ import annotations

import torchinfo

import netviz_core as nv

from .capture_torch import forward, pictures, resnet
from .turns import Case, Ways


def with_a_pass(quick: bool) -> Ways:
    model, x = resnet(quick), pictures(1, quick)
    return {
        "netviz": lambda: str(nv.summary(model, x)),
        "torchinfo": lambda: str(torchinfo.summary(model, input_data=x, depth=9, verbose=0)),
        "bare pass": lambda: forward(model, x),
    }


def without(quick: bool) -> Ways:
    model = resnet(quick)
    return {
        "netviz": lambda: str(nv.summary(model)),
        "torchinfo": lambda: str(torchinfo.summary(model, depth=9, verbose=0)),
    }


CASES = [
    Case("summary of ResNet-50, with a pass over one picture", with_a_pass, {"torchinfo": 1.0}),
    Case("summary of ResNet-50, without a pass", without, {"torchinfo": 1.0}),
]

"""What a summary costs beside torchinfo's, on ResNet-50.

    python benchmarks/summary.py

Both list every layer with its shapes, parameters and multiply-accumulates, from one forward pass over one
picture of 224 × 224; measured in turns, in one run. torchinfo is in the dependency group `bench`.
"""

from __future__ import annotations

import argparse

import torch
import torchinfo
from torchvision_models import models
from turns import in_turns

from netviz_core.summaries.summary import summary


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(2)
    model, x = models.resnet50().eval(), torch.randn(1, 3, 224, 224)

    def forward() -> None:
        with torch.no_grad():
            model(x)

    in_turns(
        "one pass over a ResNet-50",
        {
            "forward pass": forward,
            "netviz": lambda: str(summary(model, x)),
            "torchinfo": lambda: str(torchinfo.summary(model, input_data=x, depth=9, verbose=0)),
        },
        rounds,
    )
    in_turns(
        "a ResNet-50 without a pass",
        {
            "netviz": lambda: str(summary(model)),
            "torchinfo": lambda: str(torchinfo.summary(model, depth=9, verbose=0)),
        },
        rounds,
    )
    ours, theirs = summary(model, x), torchinfo.summary(model, input_data=x, depth=9, verbose=0)
    print(f"parameters: netviz {ours.total_parameters:,}, torchinfo {theirs.total_params:,}")
    print(f"multiply-accumulates: netviz {ours.multiply_accumulates:,}, torchinfo {theirs.total_mult_adds:,}")


if __name__ == "__main__":
    main()

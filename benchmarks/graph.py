"""What a graph costs beside torchview's, on ResNet-50.

    python benchmarks/graph.py

Both trace one forward pass over one picture of 224 × 224, with the operations between layers; measured in
turns, in one run. torchview has its graph written in DOT by then, so netviz writes its own, too; it is in the
dependency group `bench`.
"""

from __future__ import annotations

import argparse

import torch
import torchview
from torchvision_models import models
from turns import in_turns

from netviz_core.graphs.data_flow import graph
from netviz_core.graphs.view import Graph


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

    def ours() -> Graph:
        made = graph(model, x)
        made.to_dot()
        return made

    def theirs() -> torchview.ComputationGraph:
        return torchview.draw_graph(model, input_data=x, depth=9, expand_nested=True, mode="eval")

    in_turns(
        "the graph of a ResNet-50", {"forward pass": forward, "netviz": ours, "torchview": theirs}, rounds
    )
    print(f"nodes: netviz {len(ours().nodes)}, torchview {len(theirs().id_dict)}")


if __name__ == "__main__":
    main()

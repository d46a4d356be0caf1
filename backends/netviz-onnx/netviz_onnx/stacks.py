"""Recurrent layers as exporters write them: one node for each of the stacked layers, and what lays out for them."""

from __future__ import annotations

from collections.abc import Sequence

from .held import Held, Node
from .kinds import LAYOUT, Described
from .recurrent import recurrent
from .regions import Region

_OF_STATES = frozenset(("Slice", "Concat", "Gather", "Expand", "Split"))
"""What cuts the first states to pieces, and joins the last."""


def joined(main: Sequence[Region], nodes: Sequence[Node], held: Held) -> Region | None:
    """The one layer that recurrent nodes of a scope are, if there is nothing else but what lays out for them."""
    cores = [region.nodes[-1] for region in main if region.described.kind in ("lstm", "gru", "rnn")]
    others = {node.op for node in nodes} - {node.op for node in cores}
    if not cores or not others <= LAYOUT | _OF_STATES or len({core.op for core in cores}) > 1:
        return None
    cores.sort(key=lambda node: node.index)
    read = [recurrent(core, number) for number, core in enumerate(cores)]
    kind, config, _ = read[0]
    first = next(node for node in sorted(nodes, key=lambda node: node.index) if node.op not in ("Expand", "Slice"))
    swaps = first.op == "Transpose" and first.option("perm") == [1, 0, 2]
    config = {**config, "layers": len(cores), "batch_first": swaps or config.get("batch_first", False)}
    rules = tuple(rule for _, _, rules in read for rule in rules)
    return Region(nodes, Described(kind, config, rules), cores[0].op)

"""Recurrent layers as exporters write them: one node for each of the stacked layers, and what lays out for them."""

from __future__ import annotations

from collections.abc import Sequence

from .held import Node
from .kinds import LAYOUT, Described
from .recurrent import recurrent
from .regions import Region

_OF_STATES = frozenset(("Slice", "Concat", "Gather", "Expand", "Split"))
"""What cuts the first states to pieces, and joins the last."""


def joined(main: Sequence[Region], nodes: Sequence[Node]) -> Region | None:
    """The one layer that the nodes of a scope are: recurrent, or one that transpositions lay out for and back again.

    Parameters
    ----------
    main : sequence of Region
        What computes in the scope.
    nodes : sequence of Node
        All that stands there.
    """
    if main and all(region.described.kind in ("lstm", "gru", "rnn") for region in main if not _cuts(region)):
        return _stacked([region for region in main if not _cuts(region)], nodes)
    return _turned(main[0], nodes) if len(main) == 1 else None


def _cuts(region: Region) -> bool:
    return {node.op for node in region.nodes} <= _OF_STATES


def _stacked(main: Sequence[Region], nodes: Sequence[Node]) -> Region | None:
    """One node above the other, with what cuts states to pieces and puts axes in their places."""
    cores = [region.nodes[-1] for region in main]
    others = {node.op for node in nodes} - {node.op for node in cores}
    if not cores or not others <= LAYOUT | _OF_STATES or len({core.op for core in cores}) > 1:
        return None
    read = [recurrent(core, number) for number, core in enumerate(cores)]
    kind, config, _ = read[0]
    swaps = [node for node in nodes if node.op == "Transpose" and node.option("perm") == [1, 0, 2]]
    is_swapped = bool(swaps) and swaps[0].index < cores[0].index
    config = {**config, "layers": len(cores), "batch_first": is_swapped or config.get("batch_first", False)}
    rules = tuple(rule for _, _, rules in read for rule in rules)
    return Region(nodes, Described(kind, config, rules), cores[0].op)


def _turned(core: Region, nodes: Sequence[Node]) -> Region | None:
    """A layer that is given its tensor with the axes in another order, and whose result is turned back."""
    own = {node.index for node in core.nodes}
    turns = [node for node in nodes if node.index not in own]
    if [node.op for node in turns] != ["Transpose", "Transpose"]:
        return None
    before, after = (list(node.option("perm") or ()) for node in turns)
    is_around = turns[0].index < min(own) and turns[1].index > max(own)
    if not before or not is_around or [before[place] for place in after] != list(range(len(before))):
        return None
    config = dict(core.described.config)
    if isinstance(config.get("axis"), int):
        config["axis"] = before[config["axis"]]
    elif "data_format" in config:
        config["data_format"] = "channels_last"
    else:
        return None
    return Region(nodes, core.described._replace(config=config), core.type_name)

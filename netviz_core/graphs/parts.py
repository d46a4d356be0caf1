"""What a graph consists of: nodes, edges, and the containers around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..words.cards import Record


@dataclass(frozen=True, repr=False)
class GraphNode(Record):
    """A layer, an operation between layers, an input, the output, or several of them folded into one.

    Parameters
    ----------
    id : str
        Unique: the path of a layer or a folded container; for an operation, the container in which it
        ran and its word, such as ``layer1.0/add`` and ``layer1.0/add:1``.
    path : str
        The layer's own, or that of the innermost layer in which an operation ran.
    kind : str
        One of `netviz_core.words.protocols.KINDS`.
    label : str
        What it does, in words that are the same in every framework: ``conv2d 3×3``, ``relu``, ``add``.
    group : str
        The path of the container in which it lies; ``""`` for none but the model itself.
    type_name : str
        The native class' name of a layer or container; empty for anything else.
    output_shape : tuple of int
        Of the first tensor that it returned; empty where it returned none.
    output_axes : tuple of str
        The names of its axes.
    calls : int
        How often the layer ran.
    repeats : int
        How many blocks of this structure follow one another, where they were folded into one.
    members : tuple of str
        The ids of the nodes that were folded into this one.
    config : mapping
        How a layer is set, in the words of `netviz_core.backend_api`; empty for anything else.
    """

    id: str
    path: str
    kind: str
    label: str
    group: str = ""
    type_name: str = ""
    output_shape: tuple[int, ...] = ()
    output_axes: tuple[str, ...] = ()
    calls: int = 1
    repeats: int = 1
    members: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def caption(self) -> str:
        """The label, with how often it ran or is repeated."""
        repeated = f" ×{self.repeats}" if self.repeats > 1 else ""
        called = f" · {self.calls} calls" if self.calls > 1 else ""
        return f"{self.label}{repeated}{called}"


@dataclass(frozen=True, repr=False)
class GraphEdge(Record):
    """A tensor that one node made and another read.

    Parameters
    ----------
    source, target : str
        Ids of nodes.
    shape : tuple of int
    axes : tuple of str
        The names of its axes.
    tensor : int
        Which tensor it is: edges of the same number carry the same.
    """

    source: str
    target: str
    shape: tuple[int, ...]
    axes: tuple[str, ...] = ()
    tensor: int = field(default=0, compare=False)

    about = ("source", "target")


@dataclass(frozen=True, repr=False)
class GraphGroup(Record):
    """A container, in which nodes and other containers lie.

    Parameters
    ----------
    path : str
    label : str
        The native class' name.
    group : str
        The path of the container around it; ``""`` for none but the model itself.
    """

    path: str
    label: str
    group: str = ""


def own_name(id: str, group: str) -> str:
    """What an id, or a path, adds to that of the container in which it lies.

    Examples
    --------
    >>> own_name("layer1.0", "layer1"), own_name("encoder/conv", "encoder"), own_name("fc", "")
    ('0', 'conv', 'fc')
    """
    own = id.removeprefix(group).lstrip("./") if group else id
    return own or id


RANKDIRS = ("TB", "LR")
"""Top to bottom and left to right, in the words of Graphviz and Keras."""


@dataclass(frozen=True, eq=False, repr=False)
class GraphParts:
    """What a graph is as data alone; its fields are those of `netviz_core.graphs.view.Graph`."""

    title: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    groups: tuple[GraphGroup, ...] = ()
    rankdir: str = "TB"

"""Graphs in a page that unfold: what of them goes into the page, where a script draws them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from ..graphs.export import sizes
from ..graphs.parts import GraphGroup, GraphNode, GraphParts, own_name
from ..words.cards import details, name, soft, words
from ..words.text_tables import printable

_MOST_IN_ONE, _PIECE = 40, 25
"""A container that holds more is drawn in pieces, of so many each: its layout would take long, and show nothing."""

_LONGEST = 400
"""Of longer names the middle is left out: nobody reads more, and a page has each several times."""

_OUTERMOST = -1


class Mark(NamedTuple):
    """What is to be seen of a node: a class of the page's style, and a few words."""

    state: str = ""
    words: str = ""


@dataclass(frozen=True)
class Unfolding:
    """One graph in a page.

    Parameters
    ----------
    graph : GraphParts
    heading : str
    marks : mapping from the id of a node, or the path of a container, to Mark
        Of states the one that comes last in the alphabet is the worst.
    sheets : mapping from such an id to HTML
        What is told of what is chosen; two may have one sheet.
    """

    graph: GraphParts
    heading: str
    marks: Mapping[str, Mark] = field(default_factory=dict)
    sheets: Mapping[str, str] = field(default_factory=dict)


class Unfolded(NamedTuple):
    """Graphs as HTML, and the number of each node in them, by which `link` finds it."""

    html: str
    numbers: tuple[Mapping[str, int], ...]


def unfolded(
    shown: Sequence[Unfolding], pairs: Iterable[tuple[str, str]] = (), legend: Mapping[str, str] | None = None
) -> Unfolded:
    """One graph, or two beside each other that unfold and scroll together.

    Parameters
    ----------
    shown : sequence of Unfolding
    pairs : iterable of pairs of ids
        Which nodes of two graphs correspond.
    legend : mapping from a state to words
        What the marks mean.
    """
    numbers: dict[str, int] = {}
    for part in shown:
        for sheet in part.sheets.values():
            numbers.setdefault(sheet, len(numbers))
    trees = [_Tree(part, numbers) for part in shown]
    data = {
        "graphs": [{"items": [asdict(item) for item in tree.items], "edges": tree.edges} for tree in trees],
        "partners": _partners(trees, list(pairs)),
    }
    panes = "".join(map(_pane, shown))
    sheets = "".join(
        f'<template data-told="{number}">{sheet}</template>' for sheet, number in numbers.items()
    )
    html = (
        f'<div class="graphs">{_TOOLS}{_legend(legend or {})}<div class="panes">{panes}</div>'
        f'<div class="told" aria-live="polite"></div>{sheets}'
        f'<script type="application/json">{_as_json(data)}</script></div>'
    )
    return Unfolded(html, tuple(tree.numbers for tree in trees))


def link(text: str, number: int, side: int = 0, graphs: int = 0) -> str:
    """Words that lead to a node in the graphs of a page."""
    return (
        f'<a href="#graphs" data-graphs="{graphs}" data-side="{side}" data-item="{number}">{words(text)}</a>'
    )


_TOOLS = (
    '<div class="tools" hidden><button type="button" data-does="unfold">Unfold all</button>'
    '<button type="button" data-does="fold">Fold all</button><button type="button" data-does="in">Larger</button>'
    '<button type="button" data-does="out">Smaller</button><button type="button" data-does="fit">Fit</button>'
    '<label>Find <input type="search" placeholder="layer"></label></div>'
)


def _legend(legend: Mapping[str, str]) -> str:
    entries = (
        f'<li><span class="sample {state}"></span>{words(told)}</li>' for state, told in legend.items()
    )
    return f'<ul class="legend">{"".join(entries)}</ul>' if legend else ""


def _pane(shown: Unfolding) -> str:
    nodes = "".join(
        f"<li>{name(node.id)} {words(node.caption)} {words(sizes(node.output_shape))}</li>"
        for node in shown.graph.nodes
    )
    return (
        f'<figure class="pane"><figcaption>{words(shown.heading)}</figcaption><div class="view">'
        f'<svg role="tree" aria-label="{words(shown.heading)}"></svg></div>'
        f"<noscript>{soft('The graph is drawn by a script, and none may run here.')}"
        f"{details('node by node', f'<ol>{nodes}</ol>')}</noscript></figure>"
    )


def _as_json(data: object) -> str:
    """Data in a page: nothing in it ends the element that it stands in."""
    return json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")


@dataclass
class _Item:
    """What the script draws: a node, a container, or a piece of one."""

    path: str
    name: str
    what: str
    shape: str = ""
    mark: str = ""
    words: str = ""
    told: int = -1
    within: int = _OUTERMOST


class _Tree:
    """The nodes of a graph, then the containers around them, each with its number."""

    def __init__(self, shown: Unfolding, sheets: Mapping[str, int]) -> None:
        graph = shown.graph
        self.numbers: dict[str, int] = {node.id: number for number, node in enumerate(graph.nodes)}
        self.edges = [
            (self.numbers[edge.source], self.numbers[edge.target], sizes(edge.shape)) for edge in graph.edges
        ]

        def told_of(id: str) -> tuple[Mark, int]:
            return shown.marks.get(id, Mark()), sheets.get(shown.sheets.get(id, ""), -1)

        self.items = [_node(node, *told_of(node.id)) for node in graph.nodes]
        containers = {group.path: number for number, group in enumerate(graph.groups, len(self.items))}
        self.items += [_container(group, *told_of(group.path)) for group in graph.groups]
        around = [part.group for part in graph.nodes] + [part.group for part in graph.groups]
        for item, path in zip(self.items, around, strict=True):
            item.within = containers.get(path, _OUTERMOST)
        self._in_pieces()
        self._mark_containers()

    def around(self, number: int) -> list[int]:
        """An item, and the containers around it from the inside out."""
        found = [number]
        while (number := self.items[number].within) != _OUTERMOST:
            found.append(number)
        return found

    @property
    def containers(self) -> dict[int, list[int]]:
        """The nodes that lie in each container, however deep."""
        found: dict[int, list[int]] = {}
        for number in self.numbers.values():
            for container in self.around(number)[1:]:
                found.setdefault(container, []).append(number)
        return found

    def _in_pieces(self) -> None:
        """Put what follows one another into pieces, where a container holds much."""
        first = {container: nodes[0] for container, nodes in self.containers.items()}
        held: dict[int, list[int]] = {}
        for number, item in enumerate(self.items):
            held.setdefault(item.within, []).append(number)
        for container, members in held.items():
            members.sort(key=lambda number: first.get(number, number))
            while len(members) > _MOST_IN_ONE:
                starts = range(0, len(members), _PIECE)
                members = [self._piece(members[start : start + _PIECE], container) for start in starts]

    def _mark_containers(self) -> None:
        """Let what holds nodes have the mark of the worst of them, where it has none of its own."""
        for container, members in self.containers.items():
            item = self.items[container]
            if not item.mark:
                marks = {word for member in members for word in self.items[member].mark.split()}
                levels = [word for word in marks if word not in ("fault", "broken")]
                item.mark = " ".join((*sorted(levels)[-1:], *sorted(marks.difference(levels))))

    def _piece(self, members: Sequence[int], container: int) -> int:
        number = len(self.items)
        for member in members:
            self.items[member].within = number
        first, last = (self.items[members[place]].name.split(" … ")[place] for place in (0, -1))
        self.items.append(_Item("", f"{first} … {last}", "", within=container))
        return number


def _node(node: GraphNode, mark: Mark, told: int) -> _Item:
    return _Item(
        _short(node.id),
        _short(own_name(node.id, node.group)),
        _short(node.caption),
        sizes(node.output_shape),
        mark.state,
        printable(mark.words),
        told,
    )


def _container(group: GraphGroup, mark: Mark, told: int) -> _Item:
    path, own = _short(group.path), _short(own_name(group.path, group.group))
    return _Item(path, own, _short(group.label), "", mark.state, printable(mark.words), told)


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"


def _partners(trees: Sequence[_Tree], pairs: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
    """For each graph the item of the other that corresponds to its own: nodes, and what holds the same nodes."""
    if len(trees) < 2:
        return []
    a, b = (tree.numbers for tree in trees)
    known = [(a[one], b[other]) for one, other in pairs if one in a and other in b]
    return [
        _partners_of(trees[0], trees[1], dict(reversed(known))),
        _partners_of(trees[1], trees[0], {other: one for one, other in reversed(known)}),
    ]


def _partners_of(own: _Tree, other: _Tree, nodes: Mapping[int, int]) -> list[tuple[int, int]]:
    found = sorted(nodes.items())
    for container, members in own.containers.items():
        chains = [other.around(nodes[member])[1:] for member in members if member in nodes]
        shared = (
            next((each for each in chains[0] if all(each in chain for chain in chains)), None)
            if chains
            else None
        )
        if shared is not None:
            found.append((container, shared))
    return found

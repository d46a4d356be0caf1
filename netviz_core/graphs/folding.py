"""Makes one node of many: of containers, of blocks that repeat, of what follows one another."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from ..words.errors import InputError, LayerNotFoundError, as_integer, nearest
from ..words.given import shown
from .contracting import Flow, Parts, all_around, contracted, together, words_of
from .parts import GraphGroup, GraphNode, GraphParts
from .repeating import repeats_in_a_row


def fold(graph: Parts, layers: str | None, depth: int | None, at_most: int | None, repeats: bool) -> Parts:
    """See `netviz_core.graphs.view.Graph.fold`."""
    if sum(choice is not None for choice in (layers, depth, at_most)) != 1:
        raise InputError(
            "say what to fold with one of layers= (a path or glob of containers), depth= and at_most= (nodes)"
        )
    if layers is not None:
        if not isinstance(layers, str):
            raise InputError(
                f"layers={shown(layers)} is not the path or glob of containers, such as 'layer*.*'"
            )
        return _folded(graph, _matching(graph, layers), repeats)
    if depth is not None:
        return _folded(graph, _at_depth(graph, _positive(depth, "depth")), repeats)
    most = _positive(at_most, "at_most")
    return next(folded for folded in foldings(graph, most, repeats) if len(folded.nodes) <= most)


def foldings(graph: Parts, most: int, repeats: bool = True) -> Iterator[Parts]:
    """The graph as it is, then coarser and coarser, until it has no more than so many nodes."""
    last: Parts | None = None
    for folded in _coarser(graph, most, repeats):
        if last is None or len(folded.nodes) < len(last.nodes):
            yield folded
            last = folded


def _coarser(graph: Parts, most: int, repeats: bool) -> Iterator[Parts]:
    yield graph
    deepest = max((len(around) for around in all_around(graph).values()), default=0)
    coarsest = graph
    for depth in range(deepest, -1, -1):
        if repeats:
            coarsest = repeats_in_a_row(coarsest)
            yield coarsest
        if depth:
            coarsest = _folded(graph, _unbroken(graph, _at_depth(graph, depth)), repeats)
            yield coarsest
    length, chains = 1, coarsest
    while length < len(coarsest.nodes):
        length *= 2
        chains = _chains_folded(coarsest, length)
        yield chains
    if len(chains.nodes) > most:
        yield _end_folded(chains, most)


def _positive(value: object, name: str) -> int:
    number = as_integer(value, name)
    if number < 1:
        raise InputError(f"{name}={number} is less than 1")
    return number


def _matching(graph: GraphParts, pattern: str) -> set[str]:
    paths = [group.path for group in graph.groups]
    found = {path for path in paths if path == pattern} or {
        path for path in paths if fnmatchcase(path, pattern)
    }
    if not found:
        known = nearest(pattern, paths) or "the model has none"
        raise LayerNotFoundError(f"there is no container {pattern!r} to fold; {known}")
    return found


def _at_depth(graph: GraphParts, depth: int) -> set[str]:
    return {path for path, around in all_around(graph).items() if len(around) == depth}


def _unbroken(graph: GraphParts, containers: set[str]) -> set[str]:
    """Those of the containers that nothing leaves to come back, as it does where activations lie outside a list."""
    bits = {path: 1 << number for number, path in enumerate(sorted(containers))}
    around = all_around(graph)
    own = {
        node.id: next((bits[path] for path in around[node.group] if path in bits), 0) for node in graph.nodes
    }
    flow, left, broken = Flow(graph), dict[str, int](), 0
    for node in graph.nodes:
        left[node.id] = 0
        for source in flow.sources(node.id):
            left[node.id] |= left.get(source, 0) | (own[source] if own[source] != own[node.id] else 0)
        broken |= left[node.id] & own[node.id]
    return {path for path, bit in bits.items() if not bit & broken}


def _folded(graph: Parts, containers: set[str], repeats: bool) -> Parts:
    """Each of these containers as one node; of those within each other the outermost."""
    around = all_around(graph)
    outermost = {
        place: next((path for path in paths if path in containers), None) for place, paths in around.items()
    }
    members: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        path = outermost[node.group]
        if path is not None:
            members.setdefault(path, []).append(node)
    groups = {group.path: group for group in graph.groups}
    flow = Flow(graph)
    made = {path: _container(groups[path], nodes, flow) for path, nodes in members.items()}
    folded = contracted(graph, {node.id: made[path] for path, nodes in members.items() for node in nodes})
    if not repeats:
        return folded
    structures = {path: flow.structure(nodes) for path, nodes in members.items()}
    return _repeats_folded(folded, structures)


def _container(group: GraphGroup, nodes: Sequence[GraphNode], flow: Flow) -> GraphNode:
    """A container as one node, which returns what is read outside last."""
    within = {node.id for node in nodes}
    last = next((node for node in reversed(nodes) if flow.targets(node.id) - within), nodes[-1])
    return GraphNode(
        id=group.path,
        path=group.path,
        kind="container",
        label=group.label,
        group=group.group,
        type_name=group.label,
        output_shape=last.output_shape,
        output_axes=last.output_axes,
        members=tuple(node.id for node in nodes),
    )


def _repeats_folded(graph: Parts, structures: Mapping[str, Hashable]) -> Parts:
    """Make one node of containers that follow one another and have equal structures, by path."""
    flow, nodes = Flow(graph), {node.id: node for node in graph.nodes}

    def repeats(first: str, second: str) -> bool:
        return (
            first in structures
            and structures[first] == structures.get(second)
            and nodes[first].group == nodes[second].group
            and flow.sources(second) - {first} <= flow.sources(first)
        )

    def blocks(run: Sequence[GraphNode]) -> GraphNode:
        members = tuple(id for node in run for id in node.members)
        return replace(run[0], repeats=len(run), members=members)

    return _runs_folded(graph, flow, repeats, blocks)


def _chains_folded(graph: Parts, longest: int) -> Parts:
    """Make one node of what follows one another without a branch, so many at a time."""
    flow, nodes = Flow(graph), {node.id: node for node in graph.nodes}

    def follows(first: str, second: str) -> bool:
        inner = nodes[first].kind != "input" and bool(flow.made[second])
        return inner and flow.sources(second) == {first}

    def chain(run: Sequence[GraphNode]) -> GraphNode:
        return together(run, f"{run[0].id} … {run[-1].id}", words_of(run))

    return _runs_folded(graph, flow, follows, chain, longest)


def _end_folded(graph: Parts, most: int) -> Parts:
    """Make one node of all that is too much."""
    end = graph.nodes[most - 1 :]
    more = together(end, "…", words_of(end))
    return contracted(graph, dict.fromkeys((node.id for node in end), more))


def _runs_folded(
    graph: Parts,
    flow: Flow,
    continues: Callable[[str, str], bool],
    folded: Callable[[Sequence[GraphNode]], GraphNode],
    longest: int | None = None,
) -> Parts:
    """Make one node of each run of nodes that are read by the next alone, and of which each continues the last."""
    nodes, run_of = {node.id: node for node in graph.nodes}, dict[str, list[GraphNode]]()
    for node in graph.nodes:
        run = run_of.setdefault(node.id, [node])
        targets = flow.targets(node.id)
        following = next(iter(targets)) if len(targets) == 1 else node.id
        if (
            (longest is None or len(run) < longest)
            and following not in run_of
            and continues(node.id, following)
        ):
            run.append(nodes[following])
            run_of[following] = run
    into: dict[str, GraphNode] = {}
    for id, run in run_of.items():
        if len(run) > 1:
            into[id] = into[run[0].id] if id != run[0].id else folded(run)
    return contracted(graph, into)

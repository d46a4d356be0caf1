"""The data flow of a model as a graph: made by `netviz_core.graph`, folded, written out and drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from ..views.base import View, of_source
from ..words.arrays import shape_text
from ..words.cards import NAME, TEXT, Told, details, table
from ..words.errors import LayerNotFoundError, nearest, require_known
from ..words.text_tables import counted
from . import export, model_explorer
from .folding import fold
from .parts import RANKDIRS, GraphNode, GraphParts

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, eq=False, repr=False)
class Graph(GraphParts, View):
    """The data flow of a model: layers and the operations between them, in the order in which they ran.

    Parameters
    ----------
    title : str
    nodes : tuple of GraphNode
        In the order in which they ran first, the inputs before all, the output last.
    edges : tuple of GraphEdge
        A tensor that a node reads twice is one edge.
    groups : tuple of GraphGroup
        The containers around nodes, outer ones first.
    rankdir : {"TB", "LR"}
        Whether it is drawn, and written out, from top to bottom or from left to right.
    """

    def plot(
        self, ax: Any = None, *, renderer: str | None = None, rankdir: str | None = None, **style: Any
    ) -> Any:
        """Draw the graph, folded no more than needed to be read in its place; a larger ``figsize`` shows more.

        Parameters
        ----------
        ax, renderer, **style
            As for every view.
        rankdir : {"TB", "LR"}, optional
            From top to bottom or from left to right, instead of the graph's own.

        Returns
        -------
        object
            What was drawn into; for matplotlib the `Axes`.
        """
        return super(Graph, self._directed(rankdir)).plot(ax, renderer=renderer, **style)

    def save(
        self,
        path: str | Path | BinaryIO,
        *,
        renderer: str | None = None,
        rankdir: str | None = None,
        **style: Any,
    ) -> None:
        """Write the drawing to exactly `path`; the arguments are those of `plot`."""
        super(Graph, self._directed(rankdir)).save(path, renderer=renderer, **style)

    def _directed(self, rankdir: str | None) -> Graph:
        if rankdir is None:
            return self
        require_known(rankdir, RANKDIRS, "rankdir")
        return replace(self, rankdir=rankdir)

    def __getitem__(self, id: str) -> GraphNode:
        """The node of this id.

        Raises
        ------
        LayerNotFoundError
            If there is none, naming the nearest.
        """
        found = next((node for node in self.nodes if node.id == id), None)
        if found is None:
            known = nearest(id, [node.id for node in self.nodes]) or "the graph is empty"
            raise LayerNotFoundError(f"the graph has no node {id!r}; {known}")
        return found

    def sources(self, id: str) -> list[str]:
        """The ids of the nodes whose tensors a node reads; the same id once for each tensor."""
        known = self[id].id
        return [edge.source for edge in self.edges if edge.target == known]

    def targets(self, id: str) -> list[str]:
        """The ids of the nodes that read the tensors of a node; the same id once for each tensor."""
        known = self[id].id
        return [edge.target for edge in self.edges if edge.source == known]

    def fold(
        self,
        layers: str | None = None,
        *,
        depth: int | None = None,
        at_most: int | None = None,
        repeats: bool = True,
    ) -> Graph:
        """Fold containers into one node each.

        Parameters
        ----------
        layers : str, optional
            The path of a container, or a glob (``*`` crosses separators): ``"layer3"``, ``"layer*.*"``.
            Of containers within each other the outermost is folded.
        depth : int, optional
            Fold the containers that lie within so many others: with 1 those of the model itself, with
            2 those within them.
        at_most : int, optional
            Fold no more than needed to be left with so many nodes: what repeats in a row, then containers,
            the inner ones before the outer; then what follows one another without a branch; then all at the end.
        repeats : bool
            Make one node of containers that follow one another and are alike in structure and
            shapes, with their number in `GraphNode.repeats`; with `at_most`, also of layers that repeat in a row
            where no container holds them.

        Returns
        -------
        Graph
            Edges within what was folded are gone; this graph stays as it is.

        Raises
        ------
        LayerNotFoundError
            If no container has this path, or fits this glob.
        InputError
            If not exactly one of `layers`, `depth` and `at_most` is given, or a number is less than 1.
        """
        return of_source(self.source, fold(self, layers, depth, at_most, repeats))

    def to_dot(self, rankdir: str | None = None) -> str:
        """The graph in Graphviz' DOT language, containers as clusters; `rankdir` is that of `plot`."""
        return export.to_dot(self._directed(rankdir))

    def to_mermaid(self, rankdir: str | None = None) -> str:
        """The graph as a Mermaid flowchart, containers as subgraphs; `rankdir` is that of `plot`."""
        return export.to_mermaid(self._directed(rankdir))

    def to_model_explorer(self, rankdir: str | None = None) -> str:
        """The graph as JSON for Google's Model Explorer, where containers unfold; `rankdir` is that of `plot`.

        Examples
        --------
        >>> import json
        >>> graph = Graph("small", (GraphNode("fc", "fc", "dense", "dense"),), ())
        >>> made = json.loads(graph.to_model_explorer())
        >>> made["label"], [node["label"] for node in made["graphs"][0]["nodes"]]
        ('small', ['dense'])
        """
        return model_explorer.to_model_explorer(self._directed(rankdir))

    def to_json(self) -> str:
        """Title, nodes, edges and groups as JSON, each with all its fields."""
        return export.to_json(self)

    def to_networkx(self) -> Any:
        """The graph as a `networkx.MultiDiGraph`, with the fields of nodes and edges as attributes.

        Raises
        ------
        ImportError
            If networkx is not installed.
        """
        return export.to_networkx(self)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield self._counts
        rows = self._rows
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        for *cells, read in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            yield (f"{line}  ← {read}" if read else line.rstrip()).replace("\n", "\\n")

    @property
    def _counts(self) -> str:
        return f"{self.title}: {counted(len(self.nodes), 'node')}, {counted(len(self.edges), 'edge')}"

    @property
    def _rows(self) -> list[tuple[str, str, str, str]]:
        """Each node, what it does, what it returns, and whose tensors it reads."""
        sources: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            sources[edge.target].append(edge.source)
        return [
            (
                node.id,
                node.caption,
                shape_text(node.output_shape, node.output_axes),
                ", ".join(dict.fromkeys(sources[node.id])),
            )
            for node in self.nodes
        ]

    def _told(self) -> Told:
        columns = {"node": NAME, "what": TEXT, "returns": TEXT, "reads": NAME}
        return Told(self._counts, [details("node by node", table(columns, self._rows, list))])

"""The data flow of a model: a marker for each node, lines for tensors, in the layout that the core finds."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.colors import qualitative

from netviz_core.renderer_api import Graph, GraphNode, lay_out, printable, short_names, sizes

from ..parts.place import Place
from ..parts.texts import safe

_PER_ROW, _PER_COLUMN, _HIGHEST = 0.42, 2.6, 60.0


def size(view: Graph) -> tuple[float, float]:
    """Width and height in inches; a long graph is a long page."""
    if not view.nodes:
        return 4.0, 3.0
    layout = lay_out(view)
    along = min(_PER_ROW * layout.rows + 1.6, _HIGHEST)
    if view.rankdir == "LR":
        return min(0.9 * layout.rows + 2.0, _HIGHEST), 1.2 * layout.columns + 2.0
    return min(_PER_COLUMN * layout.columns + 2.0, 20.0), max(along, 3.0)


def draw(place: Place, view: Graph) -> None:
    """Draw nodes in rows, and edges on ways around them."""
    if not view.nodes:
        place.empty("no nodes")
        return
    layout = lay_out(view)

    def point(across: float, along: float) -> tuple[float, float]:
        return (along, -across) if view.rankdir == "LR" else (across, -along)

    xs, ys = list[float | None](), list[float | None]()
    for edge in view.edges:
        direct = (layout.places[edge.source], layout.places[edge.target])
        for across, along in layout.routes.get((edge.source, edge.target), direct):
            x, y = point(across, along)
            xs.append(x)
            ys.append(y)
        xs.append(None)
        ys.append(None)
    line = {"color": place.look.ink, "width": 1}
    place.add(
        go.Scatter(x=xs, y=ys, mode="lines", line=line, opacity=0.5, hoverinfo="skip", showlegend=False)
    )
    names = [printable(node.caption) for node in view.nodes]
    captions = dict(zip((node.id for node in view.nodes), short_names(names, 32), strict=True))
    palette = qualitative.Safe
    for number, kind in enumerate(dict.fromkeys(node.kind for node in view.nodes)):
        nodes = [node for node in view.nodes if node.kind == kind]
        places = [point(*layout.places[node.id]) for node in nodes]
        place.add(
            go.Scatter(
                x=[x for x, _ in places], y=[y for _, y in places], mode="markers+text", name=safe(kind),
                marker={"symbol": "square", "size": 12, "color": palette[number % len(palette)],
                        "line": {"color": place.look.ink, "width": 0.5}},
                text=[safe(captions[node.id]) for node in nodes], cliponaxis=False,
                textposition="top center" if view.rankdir == "LR" else "middle right",
                hovertext=[_told(node) for node in nodes], hoverinfo="text", showlegend=place.look.colorbar,
            )
        )  # fmt: skip
    places = [point(*place) for place in layout.places.values()]
    (left, right), (low, high) = ((min(ends), max(ends)) for ends in zip(*places, strict=True))
    beside = 0.5 if view.rankdir == "LR" else 1.0
    place.x(visible=False, range=[left - 0.5, right + beside])
    place.y(visible=False, range=[low - 0.7, high + 0.7])


def _told(node: GraphNode) -> str:
    shape = sizes(node.output_shape)
    more = f"×{node.repeats}" if node.repeats > 1 else ""
    return safe(
        ": ".join(filter(None, (node.path or node.id, " ".join(filter(None, (node.label, shape, more))))))
    )

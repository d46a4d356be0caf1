"""The data flow of a model: boxes in rows from top to bottom, and what goes from one to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text

from netviz_core.renderer_api import Graph, GraphEdge, GraphNode, foldings, sizes

from ..parts.colours import ColourScale
from ..parts.graph_layout import Layout, lay_out, rows_of
from ..parts.inches import height_of, width_of
from ..parts.style import Style
from ..parts.text import PLAIN, POINTS, add_footer, longest_that_fits, say_empty, shortened, text_width

# In inches, where letters have their full size.
_NARROWEST, _WIDEST, _HIGHEST = 3.6, 6.6, 9.0
_ENTRIES_OF_LINE, _LINE_OF_LEGEND = 2, 0.17
_BOX_HEIGHT, _BOX_AIR, _LEAST_BOX, _WIDEST_BOX = 0.34, 0.16, 0.9, 2.0
_BESIDE, _LEAST_GAP, _MOST_GAP, _MARGIN = 0.26, 0.17, 0.4, 0.2
_GROUP_PAD = 0.055
# In points.
_LABEL, _SMALL = 8.0, 6.0
_LEAST_SCALE, _MOST_SCALE = 0.7, 1.2
_BETWEEN = " · "
_INK, _FAINT_INK, _LINE = "#1a1a1a", "#5a5a5a", "#7a7a7a"

_FAMILIES = (
    ("#cfe2f3", "convolution", ("conv", "depthwise", "separable")),
    ("#d5e8d4", "dense, embedding", ("dense", "einsum_dense", "embedding")),
    ("#e4e2f5", "normalisation", ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")),
    ("#c9ebe6", "recurrent", ("lstm", "gru", "rnn")),
    ("#f7d0e3", "attention", ("attention",)),
    ("#fff0c2", "activation", ("activation",)),
    ("#e0cdea", "pooling", ("pool",)),
    ("#f8cecc", "merge", ("merge",)),
    ("#dfe3e8", "block", ("container",)),
)
"""Colours, what they stand for, and how the kinds of each begin. All others are white."""


@dataclass(frozen=True)
class Plan:
    """A graph, folded so far that it can be read in its place, and where its parts lie.

    Parameters
    ----------
    graph : Graph
    layout : Layout
    scale : float
        The size of everything, in parts of its full size.
    widest_box : float
        Boxes are no wider, and texts are shortened.
    """

    graph: Graph
    layout: Layout
    scale: float = 1.0
    widest_box: float = _WIDEST_BOX

    @classmethod
    def of(cls, view: Graph, width: float, height: float) -> Plan:
        """Fold a graph no more than needed to be readable in so many inches."""
        most_rows = max(int((height / _LEAST_SCALE - 2 * _MARGIN) / (_BOX_HEIGHT + _LEAST_GAP)), 2)
        for graph in foldings(view, most_rows):
            if max(rows_of(graph).values()) >= most_rows:
                continue
            plan = cls(graph, lay_out(graph))._fitted(width, height)
            if plan.scale >= 0.999 * _LEAST_SCALE:
                break
        return plan

    def _fitted(self, width: float, height: float) -> Plan:
        """The same in so many inches: with narrower boxes, and then with smaller letters, if need be."""
        room = (width / _LEAST_SCALE - 2 * _MARGIN + _BESIDE) / self.layout.columns - _BESIDE
        plan = replace(self, widest_box=min(max(room, _LEAST_BOX), _WIDEST_BOX))
        return replace(plan, scale=min(width / plan.width, height / plan.height, _MOST_SCALE))

    @cached_property
    def box_width(self) -> float:
        """As wide as the longest text needs, within limits."""
        label, small = FontProperties(size=_LABEL), FontProperties(size=_SMALL)
        texts = ((node.caption, _BETWEEN.join(_details(node))) for node in self.graph.nodes)
        longest = max(max(text_width(first, label), text_width(second, small)) for first, second in texts)
        return min(max(longest + _BOX_AIR, _LEAST_BOX), self.widest_box)

    @cached_property
    def width(self) -> float:
        """Of all, at full size."""
        return self._pitch * self.layout.columns - _BESIDE + 2 * _MARGIN

    @cached_property
    def height(self) -> float:
        """Of all, at full size."""
        return self._tops[-1] + _BOX_HEIGHT + _MARGIN

    def across(self, column: float) -> float:
        """The middle of a column."""
        return _MARGIN + self.box_width / 2 + self._pitch * (column - self.layout.first_column)

    def top(self, row: int) -> float:
        """The upper side of the boxes of a row."""
        return self._tops[row]

    @property
    def _pitch(self) -> float:
        return self.box_width + _BESIDE

    @cached_property
    def _tops(self) -> list[float]:
        """Rows stand further apart where edges lead far to the side between them."""
        aside = [0.0] * (self.layout.rows - 1)
        for route in self.layout.routes.values():
            for (column, row), (other, below) in pairwise(sorted(route, key=lambda place: place[1])):
                aside[row] = max(aside[row], self._pitch * abs(column - other))
                assert below == row + 1
        gaps = [min(_LEAST_GAP + 0.06 * inches, _MOST_GAP) for inches in aside]
        return list(accumulate((_BOX_HEIGHT + gap for gap in gaps), initial=_MARGIN))


class ScaledText(Text):
    """A text in units of its Axes, each of them an inch at full size: it fits its box whatever the Axes' size."""

    def __init__(self, ax: Axes, points: float, x: float, y: float, text: str, **options: Any) -> None:
        super().__init__(x, y, text, transform=ax.transData, **options, **PLAIN)
        self._points = points
        self.set_in_layout(False)
        ax.add_artist(self)

    def draw(self, renderer: Any) -> None:
        """Draw the text in letters as large as a unit is now."""
        (_, below), (_, above) = self.get_transform().transform([(0, 1), (0, 0)])
        self.set_fontsize(self._points * abs(above - below) / renderer.points_to_pixels(POINTS))
        super().draw(renderer)


def size(view: Graph) -> tuple[float, float]:
    """Width and height in inches: what the graph needs, a page at most."""
    if not view.nodes:
        return 2.4, 2.4
    plan = Plan.of(view, _WIDEST, _HIGHEST)
    scale = min(plan.scale, 1.0)
    entries = [*_legend(plan.graph, Style()), *_notes(view, plan)]
    below = len(entries) / _ENTRIES_OF_LINE * _LINE_OF_LEGEND
    return max(plan.width * scale, _NARROWEST), plan.height * scale + below


def scale(view: Graph, style: Style) -> ColourScale | None:
    """Nothing that a colour bar would explain."""
    return None


def label(view: Graph) -> str:
    """No colour bar, no label."""
    return ""


def draw(ax: Axes, view: Graph, style: Style) -> None:
    """Draw boxes, edges and the containers around them, as far as there is room to read them."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if not view.nodes:
        say_empty(ax, "no nodes to show")
        return
    plan = Plan.of(view, width_of(ax), height_of(ax))
    # A unit is an inch at full size.
    wide, high = width_of(ax) / plan.scale, height_of(ax) / plan.scale
    ax.set(xlim=(plan.width / 2 - wide / 2, plan.width / 2 + wide / 2), ylim=(high, 0.0))
    ax.set_aspect("equal", anchor="N")
    _draw_groups(ax, plan)
    returned = {node.id: node.output_shape for node in plan.graph.nodes}
    parallel: dict[tuple[str, str], list[GraphEdge]] = {}
    for edge in plan.graph.edges:
        parallel.setdefault((edge.source, edge.target), []).append(edge)
    for ends, edges in parallel.items():
        _draw_edge(ax, plan, edges[0])
        if ends in plan.layout.routes and any(edge.shape != returned[edge.source] for edge in edges):
            shapes = dict.fromkeys(_without_batch(edge.shape, edge.axes) for edge in edges)
            _draw_shape(ax, plan, edges[0], ", ".join(shapes))
    for node in plan.graph.nodes:
        _draw_node(ax, plan, node)
    add_footer(ax, [*_legend(plan.graph, style), *_notes(view, plan)], width_of(ax))


def _draw_node(ax: Axes, plan: Plan, node: GraphNode) -> None:
    column, row = plan.layout.places[node.id]
    x, top = plan.across(column), plan.top(row)
    colour = _colour(node)
    ax.add_patch(
        FancyBboxPatch(
            (x - plan.box_width / 2, top), plan.box_width, _BOX_HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={_BOX_HEIGHT / 2 if colour == 'white' else 0.06}",
            facecolor=colour, edgecolor=_darker(colour), linewidth=0.8 * plan.scale, zorder=3,
        )
    )  # fmt: skip
    details = _details(node)
    middle = top + _BOX_HEIGHT / 2
    _write(ax, plan, x, middle - (0.068 if details else 0), (node.caption,), _LABEL, _INK)
    if details:
        _write(ax, plan, x, middle + 0.085, details, _SMALL, _FAINT_INK)


def _write(
    ax: Axes, plan: Plan, x: float, y: float, parts: Sequence[str], points: float, colour: str
) -> None:
    """Write one line into a box, the first part of it shortened where it is too long."""
    font = FontProperties(size=points)
    first, others = parts[0], parts[1:]

    def version(most: int) -> str:
        return _BETWEEN.join((shortened(first, most), *others))

    text = longest_that_fits(
        version, len(first), lambda line: text_width(line, font) <= plan.box_width - _BOX_AIR / 2
    )
    ScaledText(ax, points, x, y, text, ha="center", va="center", color=colour, zorder=4)


def _draw_edge(ax: Axes, plan: Plan, edge: GraphEdge) -> None:
    route = plan.layout.routes.get((edge.source, edge.target))
    if route is not None:
        path = _way(plan, route)
    else:
        path = _way_along_row(plan, plan.layout.places[edge.source], plan.layout.places[edge.target])
    ax.add_patch(
        FancyArrowPatch(
            path=path, arrowstyle="-|>,head_length=4,head_width=1.8", mutation_scale=plan.scale,
            color=_LINE, linewidth=0.9 * plan.scale, shrinkA=0, shrinkB=0, zorder=2, fill=True,
            joinstyle="miter", capstyle="butt",
        )
    )  # fmt: skip


def _draw_shape(ax: Axes, plan: Plan, edge: GraphEdge, shape: str) -> None:
    """Write the shape of what goes along an edge beside the middle of its first step."""
    (column, row), (other, below) = plan.layout.routes[edge.source, edge.target][:2]
    upper, lower = min(row, below), max(row, below)
    y = (plan.top(upper) + _BOX_HEIGHT + plan.top(lower)) / 2
    x = (plan.across(column) + plan.across(other)) / 2
    ScaledText(ax, _SMALL, x + 0.05, y, shape, ha="left", va="center", color=_FAINT_INK, zorder=4)


def _way(plan: Plan, route: Sequence[tuple[float, int]]) -> Path:
    """From one box to another, straight through the rows between and bent from row to row."""
    upwards = route[0][1] > route[-1][1]
    points: list[tuple[float, float]] = []
    for column, row in route:
        sides = (plan.top(row), plan.top(row) + _BOX_HEIGHT)
        points += [(plan.across(column), side) for side in (sides[::-1] if upwards else sides)]
    vertices, codes = [points[1]], [Path.MOVETO]
    for number, (before, after) in enumerate(pairwise(points[1:-1])):
        if number % 2:
            vertices.append(after)
            codes.append(Path.LINETO)
        else:
            middle = (before[1] + after[1]) / 2
            vertices += [(before[0], middle), (after[0], middle), after]
            codes += [Path.CURVE4] * 3
    return Path(vertices, codes)


def _way_along_row(plan: Plan, source: tuple[float, int], target: tuple[float, int]) -> Path:
    """A loop at the right of a box, or a line to another of the same row."""
    half, middle = plan.box_width / 2, plan.top(source[1]) + _BOX_HEIGHT / 2
    start, end = plan.across(source[0]), plan.across(target[0])
    if start == end:
        side, out, up = start + half, start + half + 0.6 * _BESIDE, 0.3 * _BOX_HEIGHT
        corners = [
            (side, middle + up),
            (out, middle + 1.4 * up),
            (out, middle - 1.4 * up),
            (side, middle - up),
        ]
        return Path(corners, [Path.MOVETO, *[Path.CURVE4] * 3])
    direction = 1 if end > start else -1
    return Path([(start + direction * half, middle), (end - direction * half, middle)])


def _draw_groups(ax: Axes, plan: Plan) -> None:
    """Lay a faint ground under what lies in one container, where nothing else lies between."""
    inside: dict[str, list[str]] = {}
    outer = {group.path: group.group for group in plan.graph.groups}
    for node in plan.graph.nodes:
        path = node.group
        while path:
            inside.setdefault(path, []).append(node.id)
            path = outer[path]
    levels: dict[str, int] = {}
    for group in reversed(plan.graph.groups):
        path = group.path
        box = _around(plan, inside[path], levels.get(path, 1))
        if len(inside[path]) < 2 or _holds_others(plan, box, inside[path]):
            continue
        level = levels.get(path, 1)
        levels[group.group] = max(levels.get(group.group, 1), level + 1)
        _draw_ground(ax, box, path, level)


def _draw_ground(ax: Axes, box: tuple[float, float, float, float], path: str, level: int) -> None:
    left, top, width, height = box
    ink = matplotlib.rcParams["text.color"]
    ax.add_patch(
        Rectangle(
            (left, top), width, height, facecolor=ink, alpha=0.05, edgecolor="none", zorder=1 - level / 100
        )
    )
    font = FontProperties(size=_SMALL)
    text = longest_that_fits(
        lambda most: shortened(path, most), len(path), lambda line: text_width(line, font) <= height
    )
    ScaledText(
        ax, 0.85 * _SMALL, left + 0.055, top + height / 2, text,
        rotation=90, ha="center", va="center", color=ink, alpha=0.6, zorder=1,
    )  # fmt: skip


def _around(plan: Plan, ids: Sequence[str], level: int) -> tuple[float, float, float, float]:
    """Left, top, width and height of the ground under boxes, wider for outer containers."""
    places = [plan.layout.places[id] for id in ids]
    pad = _GROUP_PAD * min(level, 3)
    xs, rows = [plan.across(column) for column, _ in places], [row for _, row in places]
    left, right = min(xs) - plan.box_width / 2 - pad - 0.06, max(xs) + plan.box_width / 2 + pad
    top, bottom = plan.top(min(rows)) - pad, plan.top(max(rows)) + _BOX_HEIGHT + pad
    return left, top, right - left, bottom - top


def _holds_others(plan: Plan, box: tuple[float, float, float, float], ids: Sequence[str]) -> bool:
    left, top, width, height = box
    half, own = plan.box_width / 2, set(ids)
    return any(
        id not in own
        and left - half < plan.across(column) < left + width + half
        and top - _BOX_HEIGHT < plan.top(row) < top + height
        for id, (column, row) in plan.layout.places.items()
    )


def _details(node: GraphNode) -> tuple[str, ...]:
    """What stands in small letters under a node's label: its path, and the shape of what it returns."""
    path = node.path if node.path == node.id and node.path != node.label else ""
    return tuple(filter(None, (path, _without_batch(node.output_shape, node.output_axes))))


def _without_batch(shape: tuple[int, ...], axes: tuple[str, ...]) -> str:
    return sizes(shape[1:] if axes[:1] == ("batch",) and len(shape) > 1 else shape)


def _family(node: GraphNode) -> tuple[str, str] | None:
    fitting = ((colour, name) for colour, name, kinds in _FAMILIES if node.kind.startswith(kinds))
    return next(fitting, None)


def _colour(node: GraphNode) -> str:
    family = _family(node)
    return family[0] if family is not None else "white"


def _darker(colour: str) -> tuple[float, ...]:
    return tuple(0.6 * part for part in to_rgb(colour))


def _legend(graph: Graph, style: Style) -> Iterator[tuple[Any, str]]:
    if style.colorbar:
        yield from (family for family in dict.fromkeys(map(_family, graph.nodes)) if family is not None)


def _notes(view: Graph, plan: Plan) -> Iterator[tuple[Any, str]]:
    if plan.graph is not view:
        shown, all_nodes = len(plan.graph.nodes), len(view.nodes)
        yield None, f"{all_nodes:,} nodes folded into {shown}"
        yield None, "a larger figsize shows more"

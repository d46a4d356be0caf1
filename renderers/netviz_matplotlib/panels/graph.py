"""The data flow of a model: boxes in rows, downwards or to the right, and what goes from one to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, pairwise
from statistics import fmean
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text

from netviz_core.renderer_api import Graph, GraphNode, printable

from ..parts.colours import ColourScale, ink_on
from ..parts.graph_plan import BESIDE_NAME, BETWEEN, BOX_AIR, BOX_HEIGHT, LABEL, ROUNDED, SMALL, Ends, Plan
from ..parts.inches import height_of, is_laid_out, room_for, width_of
from ..parts.style import Style
from ..parts.text import (
    PLAIN,
    POINTS,
    add_footer,
    footer_height,
    lines_height,
    longest_that_fits,
    say_empty,
    shortened,
    text_width,
)

_PAGES = {"TB": (7.2, 9.0), "LR": (10.0, 6.6)}
"""Inches that a graph may take, by its direction."""

_NARROWEST, _TITLE = 3.6, 0.4
_LOOP = 0.16
_INK, _FAINT_INK, _LINE = "#1a1a1a", "#484848", "#7a7a7a"

_FAMILIES = (
    ("#b5d4ee", "convolution", "-", 0.8, ("conv", "depthwise", "separable")),
    ("#d9efd0", "dense, embedding", "-", 1.8, ("dense", "einsum_dense", "embedding")),
    ("#ebe9f7", "normalisation", "--", 0.8, ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")),
    ("#9ad6cd", "recurrent", "--", 1.8, ("lstm", "gru", "rnn")),
    ("#f2bfd9", "attention", "-.", 1.4, ("attention",)),
    ("#fff3cd", "activation", "--", 0.8, ("activation",)),
    ("#d3bfe4", "pooling", ":", 1.4, ("pool",)),
    ("#f7c4bf", "merge", "-", 1.8, ("merge",)),
    ("#dfe3e8", "block", "-.", 0.8, ("container",)),
)  # fmt: skip
"""Colours, what they stand for, the lines around their boxes, and how the kinds of each begin. All others are white."""

_ROUND = ("activation", "merge")
"""Families whose boxes have round ends, as white ones have."""

_Family = tuple[str, str, str, float, tuple[str, ...]]


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
    plan = Plan.of(view, *_PAGES[view.rankdir])
    scale = min(plan.scale, 1.0)
    width = max(plan.width * scale, _NARROWEST)
    return width, plan.height * scale + footer_height(_footer(view, plan, Style()), width)


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
    if is_laid_out(ax):
        width, height, plan = _plan_above_footer(view, style, *room_for(ax))
    else:
        width, height = width_of(ax), height_of(ax)
        plan = Plan.of(view, width, height)
    # A unit is an inch at full size.
    wide, high = width / plan.scale, height / plan.scale
    ax.set(xlim=(plan.width / 2 - wide / 2, plan.width / 2 + wide / 2), ylim=(high, 0.0))
    ax.set_aspect("equal", anchor="N")
    _draw_groups(ax, plan)
    for edge in dict.fromkeys((edge.source, edge.target) for edge in plan.graph.edges):
        _draw_edge(ax, plan, edge)
    for edge, shape in plan.shapes.items():
        _draw_shape(ax, plan, edge, shape)
    for node in plan.graph.nodes:
        _draw_node(ax, plan, node)
    add_footer(ax, _footer(view, plan, style), width)


def _plan_above_footer(view: Graph, style: Style, width: float, height: float) -> tuple[float, float, Plan]:
    """Width, height and plan where a title and a footer, which depends on the plan, take part of the height."""
    lines = 0
    while True:
        below = lines_height(lines)
        left = max(height - _TITLE - below, BOX_HEIGHT)
        plan = Plan.of(view, width, left)
        if left == BOX_HEIGHT or footer_height(_footer(view, plan, style), width) <= below:
            return width, left, plan
        lines += 1


def _draw_node(ax: Axes, plan: Plan, node: GraphNode) -> None:
    x, middle = plan.point(*plan.middle(node.id))
    corner = x - plan.box_width / 2, middle - BOX_HEIGHT / 2
    ax.add_patch(_box(_family(node), corner, plan.box_width, BOX_HEIGHT, plan.scale))
    details = plan.details(node)
    _write(ax, plan, x, middle - (0.068 if details else 0), (node.caption,), LABEL, _INK)
    if details:
        _write(ax, plan, x, middle + 0.085, details, SMALL, _FAINT_INK)


def _box(
    family: _Family | None, corner: tuple[float, float], width: float, height: float, scale: float
) -> FancyBboxPatch:
    """A box that tells its family by its colour, by its line, and by its ends."""
    colour, name, line, thickness, _ = family or ("white", "", "-", 0.8, ())
    is_round = family is None or name in _ROUND
    # Between the light box and the ground, so that lines are seen on either.
    shade = 0.45 if ink_on(matplotlib.rcParams["figure.facecolor"]) == "black" else 0.65
    return FancyBboxPatch(
        corner, width, height, boxstyle=f"round,pad=0,rounding_size={height * (0.5 if is_round else 0.15)}",
        facecolor=colour, edgecolor=tuple(shade * part for part in to_rgb(colour)), linestyle=line,
        linewidth=thickness * scale, zorder=3,
    )  # fmt: skip


def _write(
    ax: Axes, plan: Plan, x: float, y: float, parts: Sequence[str], points: float, colour: str
) -> None:
    """Write one line into a box, the first part of it shortened where it is too long."""
    font = FontProperties(size=points)
    first, *others = map(printable, parts)

    def version(most: int) -> str:
        return BETWEEN.join((shortened(first, most), *others))

    text = longest_that_fits(
        version, len(first), lambda line: ROUNDED * text_width(line, font) <= plan.box_width - BOX_AIR / 2
    )
    ScaledText(ax, points, x, y, text, ha="center", va="center", color=colour, zorder=4)


def _draw_edge(ax: Axes, plan: Plan, edge: Ends) -> None:
    route = plan.layout.routes.get(edge)
    path = _way(plan, route) if route is not None else _way_along_row(plan, edge)
    vertices = np.asarray(path.vertices)
    path = Path(vertices[:, ::-1] if plan.is_to_the_right else vertices, path.codes)
    ax.add_patch(
        FancyArrowPatch(
            path=path, arrowstyle="-|>,head_length=4,head_width=1.8", mutation_scale=plan.scale,
            color=_LINE, linewidth=0.9 * plan.scale, shrinkA=0, shrinkB=0, zorder=2, fill=True,
            joinstyle="miter", capstyle="butt",
        )
    )  # fmt: skip


def _draw_shape(ax: Axes, plan: Plan, edge: Ends, shape: str) -> None:
    """Write the shape of what goes along an edge beside the middle of its first step, or where that turns."""
    step = next(pairwise(plan.layout.routes[edge]))
    across = [plan.across(column) for column, _ in step]
    if plan.leaves_lane(step):
        out, between, _ = plan.turns(step)
        place = (out - 0.03, between - 0.03) if plan.is_to_the_right else (across[0] + 0.05, out + 0.02)
        aligned = ("right", "bottom") if plan.is_to_the_right else ("left", "top")
    else:
        rows = sorted(row for _, row in step)
        x, y = plan.point(fmean(across), (plan.end(rows[0]) + plan.start(rows[1])) / 2)
        place = (x, y - 0.03) if plan.is_to_the_right else (x + 0.05, y)
        aligned = ("center", "bottom") if plan.is_to_the_right else ("left", "center")
    ink = matplotlib.rcParams["text.color"]
    ScaledText(ax, SMALL, *place, shape, ha=aligned[0], va=aligned[1], color=ink, zorder=4)


def _way(plan: Plan, route: Sequence[tuple[float, int]]) -> Path:
    """From one box to another, straight through the rows between and bent from row to row, around to another lane."""
    lanes = [plan.layout.lane_of(column) for column, _ in (route[0], route[-1])]
    is_back = lanes[0] > lanes[1] or (lanes[0] == lanes[1] and route[0][1] > route[-1][1])
    places = route[::-1] if is_back else route
    vertices = [(plan.across(places[0][0]), plan.end(places[0][1]))]
    codes = [Path.MOVETO]
    for number, step in enumerate(pairwise(places)):
        (column, row), (other, below) = step
        left, right, start, end = plan.across(column), plan.across(other), plan.end(row), plan.start(below)
        if number:
            vertices.append((left, start))
            codes.append(Path.LINETO)
        if plan.leaves_lane(step):
            out, between, back = plan.turns(step)
            vertices += [(left, out), (between, out), (between, back), (right, back), (right, end)]
            codes += [Path.LINETO] * 5
        else:
            middle = (start + end) / 2
            vertices += [(left, middle), (right, middle), (right, end)]
            codes += [Path.CURVE4] * 3
    if is_back:
        return Path(vertices[::-1], [Path.MOVETO, *codes[:0:-1]])
    return Path(vertices, codes)


def _way_along_row(plan: Plan, edge: Ends) -> Path:
    """A loop beside a box, or a line to another of the same row."""
    (start, middle), (end, _) = map(plan.middle, edge)
    half = plan.breadth / 2
    if start == end:
        side, out, up = start + half, start + half + _LOOP, 0.3 * plan.depth
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
        level = levels.get(path, 1)
        grounds = [_around(plan, ids, level) for ids in _by_lane(plan, inside[path])]
        if len(inside[path]) < 2 or any(_holds_others(plan, ground, inside[path]) for ground in grounds):
            continue
        levels[group.group] = max(levels.get(group.group, 1), level + 1)
        for ground in grounds:
            _draw_ground(ax, plan, ground, printable(path), level)


def _by_lane(plan: Plan, ids: Sequence[str]) -> list[list[str]]:
    def lane(id: str) -> int:
        return plan.layout.lane_of(plan.layout.places[id][0])

    return [list(same) for _, same in groupby(sorted(ids, key=lane), lane)]


_Ground = tuple[float, float, float, float]
"""Where a ground begins and how long it is, across and along."""


def _draw_ground(ax: Axes, plan: Plan, ground: _Ground, path: str, level: int) -> None:
    across, along, breadth, depth = ground
    ink = matplotlib.rcParams["text.color"]
    corner, (width, height) = plan.point(across, along), plan.point(breadth, depth)
    ax.add_patch(
        Rectangle(corner, width, height, facecolor=ink, alpha=0.05, edgecolor="none", zorder=1 - level / 100)
    )
    if not plan.has_room_for_name(level):
        return
    font = FontProperties(size=SMALL)
    text = longest_that_fits(
        lambda most: shortened(path, most), len(path), lambda line: text_width(line, font) <= depth
    )
    x, y = plan.point(across + BESIDE_NAME, along + depth / 2)
    ScaledText(
        ax, 0.85 * SMALL, x, y, text, rotation=0 if plan.is_to_the_right else 90, ha="center", va="center",
        color=ink, zorder=1,
    )  # fmt: skip


def _around(plan: Plan, ids: Sequence[str], level: int) -> _Ground:
    """The ground under boxes, wider for outer containers."""
    places = [plan.layout.places[id] for id in ids]
    pad = plan.around_ground(level)
    acrosses, rows = [plan.across(column) for column, _ in places], [row for _, row in places]
    left, right = (
        min(acrosses) - plan.breadth / 2 - plan.beside_ground(level),
        max(acrosses) + plan.breadth / 2 + pad,
    )
    top, bottom = plan.start(min(rows)) - pad, plan.end(max(rows)) + pad
    return left, top, right - left, bottom - top


def _holds_others(plan: Plan, ground: _Ground, ids: Sequence[str]) -> bool:
    left, top, breadth, depth = ground
    half, own = plan.breadth / 2, set(ids)
    return any(
        id not in own
        and left - half < plan.across(column) < left + breadth + half
        and top - plan.depth < plan.start(row) < top + depth
        for id, (column, row) in plan.layout.places.items()
    )


def _family(node: GraphNode) -> _Family | None:
    return next((family for family in _FAMILIES if node.kind.startswith(family[-1])), None)


def _footer(view: Graph, plan: Plan, style: Style) -> list[tuple[Any, str]]:
    return [*(_legend(plan.graph) if style.colorbar else ()), *_notes(view, plan)]


def _legend(graph: Graph) -> Iterator[tuple[Any, str]]:
    for family in dict.fromkeys(map(_family, graph.nodes)):
        if family is not None:
            yield partial(_key, family), family[1]


def _key(family: _Family, side: float) -> Artist:
    """A small box for the legend."""
    return _box(family, (0.0, 0.0), side, side, 0.8)


def _notes(view: Graph, plan: Plan) -> Iterator[tuple[Any, str]]:
    if axes := plan.axes_words():
        yield None, f"sizes: {axes}"
    if plan.graph is not view:
        yield None, f"{len(view.nodes):,} nodes folded into {len(plan.graph.nodes)}"

"""How a graph is folded, wrapped and scaled such that it can be read in its place, and where its parts then lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

from matplotlib.font_manager import FontProperties

from netviz_core.renderer_api import (
    BETWEEN_LANES,
    Graph,
    GraphEdge,
    GraphNode,
    Layout,
    are_named,
    foldings,
    lay_out,
    rows_of,
    sizes,
)

from .text import text_width

Ends = tuple[str, str]
"""The ids of what an edge leads from and to."""

Point = tuple[float, float]
Step = tuple[tuple[float, int], tuple[float, int]]
"""From a place in one row to one in the next."""

# In inches, where letters have their full size.
BOX_HEIGHT, BOX_AIR, LEAST_BOX, WIDEST_BOX = 0.34, 0.16, 0.9, 2.6
LEAST_GAP, MOST_GAP, MARGIN = 0.17, 0.4, 0.2
_BESIDE, _AROUND, _APART, _AROUND_SHAPE = 0.28, 0.1, 0.07, 0.16
_PAD, _FIRST_NAME, _NAME, BESIDE_NAME, _MOST_LEVELS = 0.055, 0.06, 0.08, 0.055, 3
# In points.
LABEL, SMALL = 8.0, 6.5
LEAST_SCALE, _MOST_SCALE = 0.8, 1.2
_MOST_WRAPPED, _MOST_LANES, _MOST_SHAPES = 60, 12, 2
BETWEEN = " · "
ROUNDED = 1.1
"""How much wider than it should be a line of small letters becomes, as each is put on whole pixels."""


@dataclass(frozen=True)
class Plan:
    """A graph, folded so far that it can be read in its place, and where its parts lie.

    Places have two coordinates: `across`, and along the flow, which is downwards or to the right.

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
    widest_box: float = WIDEST_BOX

    @classmethod
    def of(cls, view: Graph, width: float, height: float) -> Plan:
        """Fold and wrap a graph no more than needed to be readable in so many inches."""
        room = width / LEAST_SCALE - 2 * MARGIN, height / LEAST_SCALE - 2 * MARGIN
        box = LEAST_BOX + LEAST_GAP, BOX_HEIGHT + LEAST_GAP
        across, along = (max(int(inches / side), 1) for inches, side in zip(room, box, strict=True))
        if view.rankdir == "LR":
            across, along = along, across
        lanes = min(across, _MOST_LANES)
        most = max(along, min(lanes * along, _MOST_WRAPPED), 2)
        while True:
            plan = cls._folded(view, most, across * along, lanes, (width, height))
            if plan.is_readable or most == 2:
                return plan
            most = max(5 * most // 6, 2)

    @classmethod
    def _folded(cls, view: Graph, most: int, boxes: int, lanes: int, size: Point) -> Plan:
        """The first plan that can be read, with so many nodes in a line, boxes and lanes at most; else the last."""
        for graph in foldings(view, most):
            is_last = len(graph.nodes) <= most
            if not is_last and (len(graph.nodes) > boxes or max(rows_of(graph).values()) >= most):
                continue
            whole = lay_out(graph)
            layouts = (whole if count == 1 else whole.wrapped(count) for count in range(1, lanes + 1))
            plan = _best([cls(graph, layout)._fitted(*size) for layout in layouts if layout])
            if plan.is_readable:
                break
        return plan

    def _fitted(self, width: float, height: float) -> Plan:
        """The same in so many inches: with narrower boxes, and then with smaller letters, if need be."""
        room = width / LEAST_SCALE - 2 * self._margin
        if self.is_to_the_right:
            room = (room - sum(self._gaps)) / self.layout.rows
        else:
            room = (room + _BESIDE) / self.layout.columns - _BESIDE
        plan = replace(self, widest_box=min(max(room, LEAST_BOX), WIDEST_BOX))
        return replace(plan, scale=min(width / plan.width, height / plan.height, _MOST_SCALE))

    @property
    def is_to_the_right(self) -> bool:
        """Whether the flow is not downwards."""
        return self.graph.rankdir == "LR"

    @property
    def box_width(self) -> float:
        """As wide as the longest text needs, within limits."""
        return min(self._wanted, self.widest_box)

    @property
    def is_readable(self) -> bool:
        """Whether letters are large enough."""
        return self.scale >= 0.999 * LEAST_SCALE

    @cached_property
    def _wanted(self) -> float:
        label, small = FontProperties(size=LABEL), FontProperties(size=SMALL)
        texts = ((node.caption, BETWEEN.join(self.details(node))) for node in self.graph.nodes)
        longest = max(max(text_width(first, label), text_width(second, small)) for first, second in texts)
        return min(max(ROUNDED * longest + BOX_AIR, LEAST_BOX), WIDEST_BOX)

    @property
    def breadth(self) -> float:
        """Of a box, across the flow."""
        return BOX_HEIGHT if self.is_to_the_right else self.box_width

    @property
    def depth(self) -> float:
        """Of a box, along the flow."""
        return self.box_width if self.is_to_the_right else BOX_HEIGHT

    @property
    def width(self) -> float:
        """Of all, at full size."""
        return self._whole[0]

    @property
    def height(self) -> float:
        """Of all, at full size."""
        return self._whole[1]

    @cached_property
    def _whole(self) -> Point:
        last = self.layout.first_column + self.layout.columns - 1
        return self.point(
            self.across(last) + self.breadth / 2 + self._margin, self.end(self.layout.rows - 1) + self._margin
        )

    def point(self, across: float, along: float) -> Point:
        """A place as x and y."""
        return (along, across) if self.is_to_the_right else (across, along)

    def across(self, column: float) -> float:
        """The middle of a column."""
        aside = self._pitch * (column - self.layout.first_column)
        return self._margin + self.breadth / 2 + aside + self.layout.lane_of(column) * self._lane_air

    def start(self, row: int) -> float:
        """Where the boxes of a row begin, along the flow."""
        return self._starts[row]

    def end(self, row: int) -> float:
        """Where the boxes of a row end, along the flow."""
        return self._starts[row] + self.depth

    def middle(self, id: str) -> Point:
        """The middle of a box, across and along."""
        column, row = self.layout.places[id]
        return self.across(column), self.start(row) + self.depth / 2

    def leaves_lane(self, step: Step) -> bool:
        """Whether a step leads from one lane to another."""
        return len({self.layout.lane_of(column) for column, _ in step}) > 1

    def turns(self, step: Step) -> tuple[float, float, float]:
        """Where an edge between lanes turns: along after a row, across between the lanes, and along before a row.

        Each has a way of its own; of those from one lane the last across turns first, so that none crosses another.
        """
        step = self._to_the_next_lane(step)
        (_, row), (column, below) = step
        number, count = self._turning[step]
        out = self.end(row) + self._pads + _AROUND + _APART * number
        back = self.start(below) - self._pads - _AROUND - _APART * (count - 1 - number)
        first = self.across(self.layout.lane_of(column) * self.layout.lane) - self.breadth / 2
        between = self._pitch * BETWEEN_LANES + _BESIDE + self._lane_air
        middle = first - (between + self.beside_ground(self._levels) - self._pads) / 2
        return out, middle + _APART * (number - (count - 1) / 2), back

    @cached_property
    def _turning(self) -> dict[Step, tuple[int, int]]:
        """Of each step to another lane the number, among how many from the same lane."""
        leaving: dict[int, list[Step]] = {}
        for route in self.layout.routes.values():
            for step in filter(self.leaves_lane, pairwise(route)):
                step = self._to_the_next_lane(step)
                leaving.setdefault(self.layout.lane_of(step[0][0]), []).append(step)
        return {
            step: (number, len(steps))
            for steps in leaving.values()
            for number, step in enumerate(sorted(steps, reverse=True))
        }

    def _to_the_next_lane(self, step: Step) -> Step:
        first, last = sorted(step, key=lambda place: self.layout.lane_of(place[0]))
        return first, last

    @cached_property
    def _levels(self) -> int:
        """How many containers lie within each other, as far as their grounds are told apart."""
        outer = {group.path: group.group for group in self.graph.groups}
        deepest = 0
        for path in outer:
            level = 0
            while path:
                level, path = level + 1, outer.get(path, "")
            deepest = max(deepest, level)
        return min(deepest, _MOST_LEVELS)

    def around_ground(self, level: int) -> float:
        """How far the ground of a container reaches beyond its boxes; the innermost is of level 1."""
        return _PAD * min(level, _MOST_LEVELS)

    def beside_ground(self, level: int) -> float:
        """How far it reaches where its name stands: that of each level has a strip of its own."""
        return _PAD + _FIRST_NAME + _NAME * (min(level, _MOST_LEVELS) - 1) if level else 0.0

    def has_room_for_name(self, level: int) -> bool:
        """Whether the ground of a container is not that of one within it, too."""
        return level <= _MOST_LEVELS

    @property
    def _pads(self) -> float:
        return self.around_ground(self._levels)

    @property
    def _margin(self) -> float:
        return MARGIN + self._pads

    @cached_property
    def _lane_air(self) -> float:
        """What lanes stand further apart than they were laid out, for grounds, their names and edges between."""
        beside = max((count for _, count in self._turning.values()), default=1)
        needed = self._pads + self.beside_ground(self._levels) + _APART * (beside - 1) + _AROUND
        return max(needed - self._pitch * BETWEEN_LANES - _BESIDE, 0.0)

    @cached_property
    def shapes(self) -> dict[Ends, str]:
        """What is written beside edges: the shapes of what they carry, where these are not all that of the box."""
        returned = {node.id: node.output_shape for node in self.graph.nodes}
        carried: dict[Ends, list[GraphEdge]] = {}
        for edge in self.graph.edges:
            carried.setdefault((edge.source, edge.target), []).append(edge)
        return {
            ends: _first_of([self.size_text(edge.shape, edge.axes) for edge in edges])
            for ends, edges in carried.items()
            if ends in self.layout.routes and any(edge.shape != returned[edge.source] for edge in edges)
        }

    def details(self, node: GraphNode) -> tuple[str, ...]:
        """What stands in small letters under a node's label: its path, and the size of what it returns."""
        path = node.path if node.path == node.id and node.path != node.label else ""
        path = node.id if node.repeats > 1 else path
        return tuple(filter(None, (path, self.size_text(node.output_shape, node.output_axes))))

    def size_text(self, shape: Sequence[int], axes: Sequence[str]) -> str:
        """A shape without the batch; with the names of its axes, if one legend cannot name them for all."""
        shape, axes = _without_batch(shape, axes)
        is_told = len(shape) > 1 and are_named(axes) and axes not in self._common_axes
        return sizes(shape) + (f" ({', '.join(axes)})" if is_told else "")

    def axes_words(self) -> str:
        """The names of the axes of sizes, as far as they are the same wherever there are as many."""
        return ", ".join("×".join(axes) for axes in self._common_axes)

    @cached_property
    def _common_axes(self) -> list[tuple[str, ...]]:
        known = dict.fromkeys(axes for axes in self._all_axes() if len(axes) > 1 and are_named(axes))
        return [axes for axes in known if sum(len(other) == len(axes) for other in known) == 1]

    def _all_axes(self) -> Iterator[tuple[str, ...]]:
        for part in self.graph.nodes:
            yield _without_batch(part.output_shape, part.output_axes)[1]
        for edge in self.graph.edges:
            yield _without_batch(edge.shape, edge.axes)[1]

    @property
    def _pitch(self) -> float:
        return self.breadth + _BESIDE

    @cached_property
    def _starts(self) -> list[float]:
        return list(accumulate((self.depth + gap for gap in self._gaps), initial=self._margin))

    @cached_property
    def _gaps(self) -> list[float]:
        """Rows stand further apart where edges lead far to the side, or have something written above, between them."""
        aside = [0.0] * (self.layout.rows - 1)
        for route in self.layout.routes.values():
            for (column, row), (other, below) in pairwise(sorted(route, key=lambda place: place[1])):
                if self.layout.lane_of(column) == self.layout.lane_of(other):
                    assert below == row + 1
                    aside[row] = max(aside[row], self._pitch * abs(column - other))
        gaps = [min(LEAST_GAP + 0.06 * inches, MOST_GAP) for inches in aside]
        font = FontProperties(size=SMALL)
        for ends, shape in self.shapes.items() if self.is_to_the_right else ():
            (column, row), (other, below) = self.layout.routes[ends][:2]
            if self.layout.lane_of(column) == self.layout.lane_of(other):
                before = min(row, below)
                gaps[before] = max(gaps[before], text_width(shape, font) + _AROUND_SHAPE)
        return gaps


def _first_of(shapes: Sequence[str]) -> str:
    """Different shapes, as many as there is room for."""
    told = list(dict.fromkeys(shapes))
    return ", ".join([*told[:_MOST_SHAPES], *[f"+{len(told) - _MOST_SHAPES}"] * (len(told) > _MOST_SHAPES)])


def _best(plans: Sequence[Plan]) -> Plan:
    """The first in which texts are shortened least, of those that can be read; else the largest."""
    found = [plan for plan in plans if plan.is_readable]
    return max(found or plans, key=lambda plan: round(plan.box_width, 2) if found else plan.scale)


def _without_batch(shape: Sequence[int], axes: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    start = 1 if tuple(axes[:1]) == ("batch",) and len(shape) > 1 else 0
    return tuple(shape[start:]), tuple(axes[start:])

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
    GraphNode,
    Layout,
    are_named,
    foldings,
    lay_out,
    rows_of,
    sizes,
)

from .text import text_width

Point = tuple[float, float]

# In inches, where letters have their full size.
BOX_HEIGHT, BOX_AIR, LEAST_BOX, WIDEST_BOX = 0.34, 0.16, 0.9, 2.6
LEAST_GAP, MOST_GAP, MARGIN = 0.17, 0.4, 0.2
_BESIDE = 0.26
# In points.
LABEL, SMALL = 8.0, 6.5
LEAST_SCALE, _MOST_SCALE = 0.8, 1.2
_MOST_WRAPPED, _MOST_LANES = 60, 12
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
            most = max(2 * most // 3, 2)

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
        count, beside = (
            (self.layout.rows, LEAST_GAP) if self.is_to_the_right else (self.layout.columns, _BESIDE)
        )
        room = (width / LEAST_SCALE - 2 * MARGIN + beside) / count - beside
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

    @property
    def is_whole(self) -> bool:
        """Whether no text has to be shortened for want of room."""
        return self.is_readable and self.widest_box >= self._wanted

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
        return self.point(
            self._pitch * self.layout.columns - _BESIDE + 2 * MARGIN, self.end(self.layout.rows - 1) + MARGIN
        )

    def point(self, across: float, along: float) -> Point:
        """A place as x and y."""
        return (along, across) if self.is_to_the_right else (across, along)

    def across(self, column: float) -> float:
        """The middle of a column."""
        return MARGIN + self.breadth / 2 + self._pitch * (column - self.layout.first_column)

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

    def before_lane(self, column: float) -> float:
        """The middle of the gap before the lane in which a column lies."""
        first = self.across(self.layout.lane_of(column) * self.layout.lane) - self.breadth / 2
        return first - (self._pitch * BETWEEN_LANES + _BESIDE) / 2

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
        """Rows stand further apart where edges lead far to the side between them."""
        aside = [0.0] * (self.layout.rows - 1)
        for route in self.layout.routes.values():
            for (column, row), (other, below) in pairwise(sorted(route, key=lambda place: place[1])):
                if self.layout.lane_of(column) == self.layout.lane_of(other):
                    assert below == row + 1
                    aside[row] = max(aside[row], self._pitch * abs(column - other))
        gaps = [min(LEAST_GAP + 0.06 * inches, MOST_GAP) for inches in aside]
        return list(accumulate((self.depth + gap for gap in gaps), initial=MARGIN))


def _best(plans: Sequence[Plan]) -> Plan:
    """The first in which no text is shortened, else the first that can be read, else the largest."""
    found = [plan for plan in plans if plan.is_whole] or [plan for plan in plans if plan.is_readable]
    return found[0] if found else max(plans, key=lambda plan: plan.scale)


def _without_batch(shape: Sequence[int], axes: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    start = 1 if tuple(axes[:1]) == ("batch",) and len(shape) > 1 else 0
    return tuple(shape[start:]), tuple(axes[start:])

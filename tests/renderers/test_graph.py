"""Graphs: boxes that do not touch, edges that avoid them, and folding to what can be read."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from netviz_core import Graph, InputError
from netviz_core.graphs.layout import lay_out, rows_of
from netviz_core.graphs.parts import GraphEdge, GraphNode
from netviz_matplotlib import MatplotlibRenderer
from netviz_matplotlib.panels.graph import ScaledText

from .handmade import graph_view
from .looks import faults

BRANCHES = [
    ("in", "a.0"), ("in", "b.0"), ("b.0", "b.1"), ("in", "c.0"), ("c.0", "c.1"), ("c.1", "c.2"),
    ("a.0", "cat"), ("b.1", "cat"), ("c.2", "cat"), ("in", "cat"), ("cat", "out"),
]  # fmt: skip


def line(count: int) -> list[tuple[str, str]]:
    return list(pairwise(f"layer{number}" for number in range(count)))


def residual(count: int) -> list[tuple[str, str]]:
    links = []
    for number in range(count):
        before = f"s{number - 1}.add" if number else "in"
        links += [(before, f"s{number}.x"), (f"s{number}.x", f"s{number}.y")]
        links += [(f"s{number}.y", f"s{number}.add"), (before, f"s{number}.add")]
    return links


def random_links(nodes: int, edges: int, seed: int) -> list[tuple[str, str]]:
    """A graph of any form, each node of which is read or reads."""
    random = np.random.default_rng(seed)
    links = line(nodes)
    for _ in range(edges):
        first, second = sorted(random.choice(nodes, 2, replace=False))
        links.append((f"layer{first}", f"layer{second}"))
    return list(dict.fromkeys(links))


def boxes(ax: Axes) -> list[Bbox]:
    return [patch.get_window_extent() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def arrows(ax: Axes) -> list[FancyArrowPatch]:
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def drawn(view: Graph, size: tuple[float, float] | None = None, **style: Any) -> Axes:
    ax = view.plot(figsize=size, **style) if size is not None else view.plot(**style)
    ax.figure.draw_without_rendering()
    ax.figure.canvas.draw()
    return ax


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_children() if isinstance(text, ScaledText)]


def footer(ax: Axes) -> str:
    return " ".join(text.get_text() for text in ax.findobj(plt.Text) if not isinstance(text, ScaledText))


@pytest.mark.parametrize(
    "links", [BRANCHES, residual(4), line(5), *(random_links(12, 10, seed) for seed in range(6))]
)
def test_rows_lead_downwards_and_boxes_keep_apart(links: list[tuple[str, str]]) -> None:
    view = graph_view(links)
    rows, layout = rows_of(view), lay_out(view)
    assert all(rows[source] < rows[target] for source, target in links)
    assert sorted(set(rows.values())) == list(range(max(rows.values()) + 1))
    for first, second in combinations(layout.places, 2):
        (left, row), (right, other) = layout.places[first], layout.places[second]
        assert row != other or abs(left - right) >= 1 - 1e-9
    assert set(layout.routes) == set(links)
    for (source, target), route in layout.routes.items():
        assert (route[0], route[-1]) == (layout.places[source], layout.places[target])
        assert [row for _, row in route] == list(range(rows[source], rows[target] + 1))
        for column, row in route[1:-1]:
            for place in layout.places.values():
                assert place[1] != row or abs(place[0] - column) > 0.5  # half a box


@pytest.mark.parametrize("links", [BRANCHES, residual(4), *(random_links(9, 5, seed) for seed in range(4))])
def test_no_edge_runs_through_a_box(links: list[tuple[str, str]]) -> None:
    view = graph_view(links)
    ax = drawn(view, (14, 14))
    assert len(boxes(ax)) == len(view.nodes)
    for first, second in combinations(boxes(ax), 2):
        assert Bbox.intersection(first, second) is None
    assert len(arrows(ax)) == len(view.edges)
    inner = [Bbox.from_extents(box.x0 + 1, box.y0 + 1, box.x1 - 1, box.y1 - 1) for box in boxes(ax)]
    for arrow in arrows(ax):
        for curve in arrow.get_path().to_polygons(closed_only=False):
            points = ax.transData.transform(Path(curve).interpolated(20).vertices)
            assert not any(box.count_contains(points) for box in inner)


def test_a_chain_stands_in_one_straight_column_and_branches_stand_evenly() -> None:
    chain = lay_out(graph_view(line(6)))
    assert {column for column, _ in chain.places.values()} == {0.0}
    fan = lay_out(graph_view([("in", branch) for branch in "abc"]))
    columns = sorted(column for column, row in fan.places.values() if row == 1)
    assert columns == [0.0, 1.0, 2.0]
    assert fan.places["in"] == (1.0, 0)


def test_loops_and_cycles_are_drawn() -> None:
    view = graph_view([("in", "fc"), ("fc", "fc"), ("fc", "act"), ("act", "fc"), ("act", "out")])
    ax = drawn(view)
    assert len(arrows(ax)) == 5
    assert rows_of(view) == {"in": 0, "fc": 1, "act": 2, "out": 3}


def test_what_nothing_leads_to_stands_where_it_is_needed() -> None:
    rows = rows_of(graph_view([("in", "a"), ("a", "b"), ("position", "add"), ("b", "add")]))
    assert rows["position"] == rows["b"] == 2


@pytest.mark.parametrize("size", [None, (3, 5), (12, 4), (5, 20)])
def test_letters_fit_their_boxes_whatever_the_size(size: tuple[float, float] | None) -> None:
    names = ["encoder.stages.3.blocks.11.residual_branch.depthwise.pointwise.convolution", "b"]
    ax = drawn(graph_view(list(pairwise(["in", *names, "out"]))), size)
    written = [text for text in ax.get_children() if isinstance(text, ScaledText)]
    assert len(written) == 8
    for text in written:
        extent = text.get_window_extent()
        assert any(
            box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1
            for box in boxes(ax)
        ), text.get_text()
    assert any("…" in text for text in texts(ax))


def test_boxes_say_label_path_and_shape_without_the_batch() -> None:
    assert texts(drawn(graph_view([("a", "b")])))[:2] == ["conv2d 3×3", "a · 16×8×8"]


def test_a_shape_stands_on_an_edge_where_it_is_not_that_of_the_box() -> None:
    axes = ("batch", "channel")
    nodes = tuple(GraphNode(id, id, "other", id, output_shape=(2, 4), output_axes=axes) for id in "abc")
    edges = (GraphEdge("a", "b", (2, 4), axes), GraphEdge("a", "c", (2, 7), axes, 1))
    assert sorted(texts(drawn(Graph("t", nodes, edges)))) == ["4", "4", "4", "7", "a", "b", "c"]


def test_containers_lie_on_a_ground_unless_something_else_lies_between() -> None:
    def grounds(ax: Axes) -> list[Rectangle]:
        return [patch for patch in ax.patches if isinstance(patch, Rectangle)]

    ax = drawn(graph_view([("in", "g.a"), ("g.a", "g.b"), ("g.b", "out")], ["g"]))
    (ground,) = grounds(ax)
    inside = [ground.get_window_extent().contains(*np.mean(box.get_points(), axis=0)) for box in boxes(ax)]
    assert inside == [False, True, True, False]
    assert "g" in texts(ax)
    assert not grounds(drawn(graph_view([("g.a", "other"), ("other", "g.b")], ["g"])))


@pytest.mark.parametrize("count", [300, 5000])
def test_what_repeats_in_a_row_is_one_box_that_says_how_often(count: int) -> None:
    view = graph_view(line(count))
    start = time.perf_counter()
    ax = drawn(view)
    assert time.perf_counter() - start < 20
    assert f"conv2d 3×3 ×{count - 1}" in texts(ax)
    assert f"{count:,} nodes folded into {len(boxes(ax))}" in footer(ax)


def unlike(count: int) -> Graph:
    """A line of nodes in which hardly anything repeats."""
    kinds = ("conv2d", "activation", "batch_norm", "pool")
    view = graph_view(line(count))
    labels = [kinds[number.bit_count() % 4] for number in range(len(view.nodes))]
    nodes = tuple(replace(node, kind=kind, label=kind) for node, kind in zip(view.nodes, labels, strict=True))
    return replace(view, nodes=nodes)


@pytest.mark.parametrize("count", [300, 5000])
@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_a_graph_that_is_too_long_is_wrapped_and_folded_and_says_so(count: int, rankdir: str) -> None:
    view = unlike(count)
    start = time.perf_counter()
    ax = drawn(replace(view, rankdir=rankdir))
    assert time.perf_counter() - start < 20
    assert 20 < len(boxes(ax)) <= 60
    assert f"{count:,} nodes folded into {len(boxes(ax))}" in footer(ax)
    assert not [text for text in texts(ax) if "nodes" in text], "what they do is said, not how many"
    width, height = ax.figure.get_size_inches()
    assert width < (8.5 if rankdir == "TB" else 11)
    assert height < 11


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("links", [line(5), BRANCHES, residual(3)])
def test_edges_lead_downwards_or_to_the_right(rankdir: str, links: list[tuple[str, str]]) -> None:
    view = graph_view(links)
    size = (9, 14) if rankdir == "TB" else (14, 9)
    ax = drawn(view, size, rankdir=rankdir)
    middles = [box.get_points().mean(axis=0) for box in boxes(ax)]
    place = dict(zip((node.id for node in view.nodes), middles, strict=True))
    for source, target in links:
        (x, y), (other, below) = place[source], place[target]
        assert (y > below) if rankdir == "TB" else (x < other)
    inner = [box.padded(-1) for box in boxes(ax)]
    for arrow in arrows(ax):
        for curve in arrow.get_path().to_polygons(closed_only=False):
            points = ax.transData.transform(Path(curve).interpolated(20).vertices)
            assert not any(box.count_contains(points) for box in inner)


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_a_long_line_is_wrapped_into_lanes_and_no_edge_runs_through_a_box(rankdir: str) -> None:
    ax = drawn(unlike(40), rankdir=rankdir)
    assert len(boxes(ax)) == 40
    starts = {round(box.x0 if rankdir == "TB" else box.y0) for box in boxes(ax)}
    assert 2 <= len(starts) <= 12
    for first, second in combinations(boxes(ax), 2):
        assert Bbox.intersection(first, second) is None
    inner = [box.padded(-1) for box in boxes(ax)]
    assert len(arrows(ax)) == 39
    for arrow in arrows(ax):
        for curve in arrow.get_path().to_polygons(closed_only=False):
            points = ax.transData.transform(Path(curve).interpolated(20).vertices)
            assert not any(box.count_contains(points) for box in inner)


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("count", [8, 11])
def test_ways_past_a_block_have_a_way_of_their_own_where_a_lane_ends(rankdir: str, count: int) -> None:
    view = graph_view(residual(count))
    ax = drawn(view, rankdir=rankdir)
    assert len(boxes(ax)) == len(view.nodes)
    ways = []
    for arrow in arrows(ax):
        (line, *_) = arrow.get_path().to_polygons(closed_only=False)
        ways.append(ax.transData.transform(Path(line).interpolated(30).vertices))
    for (one, first), (other, second) in combinations(zip(ways, view.edges, strict=True), 2):
        if {first.source, first.target} & {second.source, second.target}:
            continue  # these begin or end together
        apart = np.hypot(*(one[:, None] - other[None]).transpose(2, 0, 1)).min(axis=1)
        assert np.count_nonzero(apart < 2) <= 4, (first, second)  # as where they cross


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("links", [line(3), residual(3), residual(12)])
def test_there_is_no_empty_band_below_a_graph(rankdir: str, links: list[tuple[str, str]]) -> None:
    ax = drawn(graph_view(links), rankdir=rankdir)
    (notes,) = (artist for artist in ax.artists if isinstance(artist, AnnotationBbox))
    lowest, dpi = min(box.y0 for box in boxes(ax)), ax.figure.dpi
    assert lowest - notes.get_window_extent().y1 < 0.6 * dpi


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_names_of_containers_within_each_other_stand_apart(rankdir: str) -> None:
    links = list(pairwise(["in", *(f"a.b.c.d.{part}" for part in "xyz"), "out"]))
    ax = drawn(graph_view(links, ["a", "a.b", "a.b.c", "a.b.c.d"]), rankdir=rankdir)
    assert {"a.b", "a.b.c", "a.b.c.d"} <= set(texts(ax))
    assert faults(ax.figure) == []


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("size", [None, (3.3, 3.3)])
def test_shapes_on_edges_keep_off_the_boxes(rankdir: str, size: tuple[float, float] | None) -> None:
    view = graph_view(line(3))
    carried = [*view.edges, *(replace(view.edges[-1], shape=(2, number, 128, 128)) for number in range(5))]
    ax = drawn(replace(view, edges=tuple(carried)), size, rankdir=rankdir)
    (shape,) = (
        text for text in ax.get_children() if isinstance(text, ScaledText) and "+4" in text.get_text()
    )
    for box in boxes(ax):
        assert Bbox.intersection(shape.get_window_extent(), box) is None
    assert faults(ax.figure) == []


def test_a_direction_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="rankdir='up' is not known"):
        graph_view(line(3)).plot(rankdir="up")


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
@pytest.mark.parametrize("count", [2, 12, 60, 300])
def test_letters_are_large_enough_in_a_column_of_a_paper(count: int, rankdir: str) -> None:
    ax = drawn(unlike(count), (3.3, 3.5), rankdir=rankdir)
    sizes = [text.get_fontsize() for text in ax.get_children() if isinstance(text, ScaledText)]
    assert min(sizes) >= 5
    paper = ax.figure.bbox
    for box in boxes(ax):
        assert paper.x0 <= box.x0
        assert box.x1 <= paper.x1
        assert paper.y0 <= box.y0


def test_names_of_axes_stand_in_the_legend_or_where_they_differ_in_the_boxes() -> None:
    torch, keras = ("batch", "channel", "y", "x"), ("batch", "y", "x", "channel")

    def node(id: str, axes: tuple[str, ...]) -> GraphNode:
        return GraphNode(id, id, "conv2d", "conv2d", output_shape=(2, 8, 6, 6), output_axes=axes)

    def view(*axes: tuple[str, ...]) -> Graph:
        nodes = tuple(node(f"n{number}", each) for number, each in enumerate(axes))
        return Graph("t", nodes, tuple(GraphEdge(*ends, ()) for ends in pairwise(one.id for one in nodes)))

    same = drawn(view(torch, torch))
    assert "sizes: channel×y×x" in footer(same)
    assert "n0 · 8×6×6" in texts(same)
    apart = drawn(view(torch, keras))
    assert "sizes" not in footer(apart)
    assert {"n0 · 8×6×6 (channel, y, x)", "n1 · 8×6×6 (y, x, channel)"} <= set(texts(apart))
    unknown = drawn(view(("batch", "axis1", "axis2", "axis3")))
    assert "n0 · 8×6×6" in texts(unknown)
    assert "sizes" not in footer(unknown)


def test_families_are_told_by_their_boxes_and_not_by_colour_alone() -> None:
    kinds = [
        "conv2d",
        "dense",
        "batch_norm",
        "lstm",
        "attention",
        "activation",
        "pool",
        "merge",
        "container",
        "other",
    ]
    nodes = tuple(GraphNode(kind, kind, kind, kind) for kind in kinds)
    ax = drawn(Graph("t", nodes, ()), (12, 3))
    looks = {
        (patch.get_linestyle(), round(patch.get_linewidth(), 1), patch.get_boxstyle().rounding_size)
        for patch in ax.patches
        if isinstance(patch, FancyBboxPatch)
    }
    assert len(looks) == len(kinds)


def test_a_wide_graph_of_a_thousand_nodes_does_not_hang() -> None:
    links = [("in", f"branch{n}") for n in range(500)] + [(f"branch{n}", "out") for n in range(500)]
    start = time.perf_counter()
    ax = drawn(graph_view(links))
    assert time.perf_counter() - start < 20
    assert "nodes folded into" in footer(ax)


def test_more_is_shown_where_there_is_room() -> None:
    view = graph_view(line(60))
    assert len(boxes(drawn(view, (4, 40)))) == 60


def test_containers_are_folded_before_anything_else() -> None:
    links = list(pairwise(f"block{n}.{part}" for n in range(12) for part in "abcdef"))
    ax = drawn(graph_view(links, [f"block{n}" for n in range(12)]))
    assert len(boxes(ax)) < 72
    assert any(text.startswith("Block") for text in texts(ax))


def test_the_legend_names_the_colours_that_occur_and_can_be_left_out() -> None:
    view = graph_view(line(3))
    assert "convolution" in footer(drawn(view))
    ax = view.plot(colorbar=False)
    assert "convolution" not in footer(ax)


@pytest.mark.parametrize("links", [[], [("alone", "alone")]])
def test_empty_and_tiny_graphs(links: list[tuple[str, str]], renderer: MatplotlibRenderer) -> None:
    assert renderer.png(graph_view(links))[:4] == b"\x89PNG"


def test_into_an_axes_of_any_size() -> None:
    for size in ((0.3, 0.3), (2, 1), (20, 20)):
        graph_view(BRANCHES).plot(Figure(figsize=size).add_subplot())

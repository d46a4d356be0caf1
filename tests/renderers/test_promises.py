"""What drawing leaves alone, what it refuses, and what files hold."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from netviz_core import FileFormatError, InputError, UnsupportedError, kernels, side_by_side
from netviz_core.testing import example_model
from netviz_core.views.base import View

from ..comparisons import weights_apart, with_outputs
from .handmade import (
    attention_view,
    comparison_view,
    feature_map_grid,
    graph_view,
    heatmap_view,
    histogram_view,
    history_histogram_view,
    history_view,
    in_colour,
    kernel_grid,
    losses_view,
    measures_view,
    normal,
    overlays_view,
    similarity_view,
)

LONG = (
    "backbone.encoder.stages.3.blocks.11.residual_branch.depthwise.pointwise"
    " · separable_conv2d · kernel 512 out × 512 in, 3 × 3"
)


def spoiled(*shape: int) -> np.ndarray:
    values = normal(*shape)
    values.flat[:3] = np.nan, np.inf, -np.inf
    return values


def counts_of(values: np.ndarray) -> np.ndarray:
    """Counts as large as the values are, in any number of bins."""
    finite = np.nan_to_num(values.astype(np.float64), nan=0, posinf=1e12, neginf=0)
    counts = np.clip(np.abs(finite), 0, 1e12).astype(np.int64)
    return counts.reshape(-1, values.shape[2]) if values.size else np.zeros((1, values.shape[2]), np.int64)


EXTREMES = {
    "ordinary": normal(4, 3, 3),
    "constant": np.full((4, 3, 3), 0.5),
    "zero": np.zeros((4, 3, 3)),
    "not finite": spoiled(4, 3, 3),
    "all NaN": np.full((4, 3, 3), np.nan),
    "all infinite": np.full((4, 3, 3), -np.inf),
    "huge": (1.7e308 * np.linspace(-1, 1, 36)).reshape(4, 3, 3),
    "denormal": (5e-324 * np.arange(36)).reshape(4, 3, 3),
    "largest": np.full((4, 3, 3), np.finfo(np.float64).max),
    "integers": np.arange(36).reshape(4, 3, 3),
    "booleans": np.arange(36).reshape(4, 3, 3) % 2 == 0,
    "float16": normal(4, 3, 3).astype(np.float16),
    "one": np.ones((1, 1, 1)),
    "empty": np.zeros((0, 3, 3)),
}
VIEWS = {
    "kernels": lambda v: kernel_grid(v),
    "feature maps": lambda v: feature_map_grid(v),
    "histogram": lambda v: histogram_view(v),
    "heatmap": lambda v: heatmap_view(v.reshape(len(v), v.shape[1] * v.shape[2])),
    "colour": lambda v: kernel_grid(np.stack([v, v, v], -1)),
    "side by side": lambda v: side_by_side(*[kernel_grid(v)] * 2),
    "histograms side by side": lambda v: side_by_side(histogram_view(v), histogram_view(normal(9))),
    "heat over pictures": lambda v: overlays_view(in_colour(v), v),
    "heat alone": lambda v: overlays_view(None, v),
    "pictures alone": lambda v: overlays_view(in_colour(v), None),
    "losses in a table": lambda v: losses_view(v[:, 0, 0]),
    "losses of pictures": lambda v: losses_view(v[:, 0, 0], images=in_colour(v)),
    "attention": lambda v: attention_view(v),
    "history": lambda v: history_view(v.reshape(len(v), v.shape[1] * v.shape[2])),
    "graph": lambda v: graph_view(list(pairwise(f"{LONG}.{number}" for number in range(len(v))))),
    "similarity": lambda v: similarity_view(v.reshape(len(v), v.shape[1] * v.shape[2])),
    "measures": lambda v: measures_view(v.reshape(len(v), v.shape[1] * v.shape[2])),
    "comparison": lambda v: comparison_view(v.ravel()),
    "maps of a comparison": lambda v: with_outputs(v[np.newaxis], v[np.newaxis, ::-1]).feature_maps(),
    "weights of a comparison": lambda v: weights_apart(v, v[::-1]).weight_histograms(),
    "history of a histogram": lambda v: history_histogram_view(counts_of(v)),
}


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize("values", EXTREMES)
def test_nothing_makes_drawing_fail_or_warn(kind, values, renderer):
    assert renderer.png(VIEWS[kind](EXTREMES[values])).startswith(b"\x89PNG")
    assert plt.get_fignums() == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(VIEWS)),
    st.tuples(st.integers(0, 70), st.integers(1, 20), st.integers(1, 20)),
    st.data(),
)
def test_random_views_are_drawn(renderer, kind, shape, data):
    elements = st.floats(width=64)
    values = data.draw(arrays(np.float64, shape, elements=elements, fill=elements))
    assert renderer.png(VIEWS[kind](values)).startswith(b"\x89PNG")


def test_pyplot_shows_what_is_plotted_and_nothing_else(tmp_path):
    view = kernels(example_model(), "conv1")
    view.save(tmp_path / "kernels.png")
    view._repr_png_()
    view.plot(Figure().add_subplot())
    assert plt.get_fignums() == []
    ax = view.plot()
    assert plt.get_fignums() == [ax.figure.number]
    assert plt.gca() is ax


def test_an_ax_is_drawn_into_and_its_neighbours_are_left_alone():
    figure, (mine, yours) = plt.subplots(1, 2)
    assert kernel_grid(normal(4, 3, 3)).plot(mine) is mine
    assert plt.get_fignums() == [figure.number]
    assert figure.axes == [mine, yours]
    assert not yours.has_data()


def test_a_figure_that_could_not_be_drawn_is_not_left_open():
    broken = copy.copy(kernel_grid(normal(4, 3, 3)))
    object.__setattr__(broken, "tiles", np.full((4, 3, 3), "text"))
    with pytest.raises(ValueError, match="could not convert"):
        broken.plot()
    assert plt.get_fignums() == []


def test_backend_and_settings_stay_as_they_were(tmp_path):
    with matplotlib.rc_context(
        {"figure.dpi": 33, "image.cmap": "gray", "axes.grid": True, "savefig.bbox": "tight"}
    ):
        before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
        for make in VIEWS.values():
            view = make(EXTREMES["not finite"])
            view.plot()
            view.save(tmp_path / "view.svg")
            plt.close("all")
        assert dict(matplotlib.rcParams) == before
        assert matplotlib.get_backend() == backend


def test_saving_needs_neither_pyplot_nor_a_display(tmp_path):
    script = f"""
import sys
from netviz_core import kernels
from netviz_core.testing import example_model
view = kernels(example_model(), "conv1")
view.save({str(tmp_path / "k.pdf")!r})
view._repr_png_()
assert "matplotlib.pyplot" not in sys.modules
"""
    hidden = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "MPLBACKEND")}
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, env=hidden)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        ("png", b"\x89PNG"),
        ("svg", b"<?xml"),
        ("pdf", b"%PDF"),
        ("jpg", b"\xff\xd8"),
        ("WEBP", b"RIFF"),
        ("tif", b"II"),
    ],
)
def test_the_suffix_names_the_format_and_the_same_view_gives_the_same_bytes(tmp_path, suffix, start):
    view = side_by_side(kernel_grid(spoiled(9, 3, 3)), kernel_grid(normal(9, 3, 3)))
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    view.save(first)
    view.save(second)
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_histograms_too_are_saved_reproducibly(tmp_path):
    paths = [tmp_path / f"{i}.{suffix}" for suffix in ("svg", "pdf", "png") for i in (0, 1)]
    for path in paths:
        histogram_view(spoiled(50)).save(path)
    for one, other in zip(paths[::2], paths[1::2], strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ["view.xyz", "view", "view."])
def test_an_unknown_suffix_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(FileFormatError, match=r"use one of \.png, \.svg, \.pdf"):
        kernel_grid(normal(4, 3, 3)).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_os_error_that_names_it(tmp_path):
    view, missing = kernel_grid(normal(4, 3, 3)), tmp_path / "nowhere" / "view.png"
    with pytest.raises(FileNotFoundError) as caught:
        view.save(missing)
    assert caught.value.filename == str(missing)
    directory = tmp_path / "folder.png"
    directory.mkdir()
    with pytest.raises(IsADirectoryError):
        view.save(directory)
    assert list(tmp_path.iterdir()) == [directory]


def test_a_failed_drawing_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "view.png"
    path.write_bytes(b"precious")
    broken = copy.copy(kernel_grid(normal(4, 3, 3)))
    object.__setattr__(broken, "tiles", np.full((4, 3, 3), "text"))
    with pytest.raises(ValueError, match="could not convert"):
        broken.save(path)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced_and_a_link_stays_a_link(tmp_path):
    path, link = tmp_path / "view.png", tmp_path / "link.png"
    path.write_bytes(b"old")
    link.symlink_to(path)
    kernel_grid(normal(4, 3, 3)).save(link)
    assert link.is_symlink()
    assert path.read_bytes().startswith(b"\x89PNG")


def test_figsize_and_dpi_give_exactly_that_many_pixels(tmp_path):
    path = tmp_path / "view.png"
    kernel_grid(normal(4, 3, 3)).save(path, figsize=(4, 3), dpi=50)
    assert plt.imread(path).shape[:2] == (150, 200)


@pytest.mark.parametrize(
    ("style", "said"),
    [
        (
            {"colour": "red"},
            "no option 'colour'; it has title, cmap, colorbar, figsize, limits, fontsize, dpi",
        ),
        ({"cmap": "viridsi"}, "did you mean 'viridis'"),
        ({"cmap": 3}, "cmap=3"),
        ({"title": 3}, "title=3"),
        ({"colorbar": "no"}, "colorbar='no'"),
        ({"dpi": -1}, "dpi=-1"),
        ({"limits": (1, 1)}, "limits="),
        ({"limits": 3}, "limits=3"),
        ({"figsize": 4}, "figsize=4"),
        ({"figsize": (0, float("nan"))}, "figsize="),
    ],
)
def test_an_option_that_cannot_be_is_refused(style, said, tmp_path):
    view = kernel_grid(normal(4, 3, 3))
    with pytest.raises(InputError, match=said):
        view.plot(**style)
    with pytest.raises(InputError, match=said):
        view.save(tmp_path / "view.png", **style)
    assert plt.get_fignums() == []


def test_a_given_ax_has_a_size_of_its_own():
    with pytest.raises(InputError, match="new figure"):
        kernel_grid(normal(4, 3, 3)).plot(Figure().add_subplot(), figsize=(3, 3))


def test_title_and_colour_bar_can_be_chosen():
    view = kernel_grid(normal(4, 3, 3))
    plain = view.plot(Figure().add_subplot(), title="", colorbar=False)
    assert (plain.get_title(), plain.child_axes) == ("", [])
    titled = view.plot(Figure().add_subplot(), title="mine")
    assert titled.get_title() == "mine"
    assert [bar.get_ylabel() for bar in titled.child_axes] == ["kernel"]


def test_limits_of_colours_can_be_chosen():
    ax = kernel_grid(normal(4, 3, 3)).plot(Figure().add_subplot(), limits=(-2, 5))
    (bar,) = ax.child_axes
    assert (bar.scale.low, bar.scale.high) == (-2, 5)
    both = side_by_side(*[kernel_grid(normal(4, 3, 3))] * 2).plot(limits=(0, 1))
    assert both[0].figure.axes[-1].scale.high == 1
    with pytest.raises(InputError, match=r"no effect on a Histogram.*netviz_core\.histogram"):
        histogram_view(normal(9)).plot(limits=(0, 1))


def test_an_unknown_view_is_named_with_those_that_are_known(renderer):
    @dataclass(frozen=True)
    class Portrait(View):
        title: str = "me"

    with pytest.raises(
        UnsupportedError, match="cannot draw a Portrait; it draws AttentionMaps, TileGrid, Heatmap, Histogram"
    ):
        renderer.png(Portrait())


@pytest.mark.parametrize("title", [LONG, "x" * 200, "a$\\frac$_{b}", "two\nlines"])
@pytest.mark.parametrize("kind", VIEWS)
def test_a_long_title_stays_on_the_paper_and_off_its_neighbours(kind, title):
    view = VIEWS[kind](normal(4, 3, 3))
    if kind == "side by side":
        view = side_by_side(*view.views, titles=[title, title])
    axes = np.atleast_1d(view.plot() if "side" in kind else view.plot(title=title))
    figure = axes[0].figure
    FigureCanvasAgg(figure).draw()
    boxes = [ax.title.get_window_extent() for ax in axes]
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height
    for left, right in pairwise(boxes):
        assert left.x1 < right.x0


def test_a_wrapped_title_loses_nothing_but_the_dots_it_breaks_at():
    shown = kernel_grid(normal(4, 3, 3)).plot(title=LONG).get_title()
    assert "\n" in shown
    assert "".join(shown.replace("·", "").split()) == "".join(LONG.replace("·", "").split())


def test_figures_can_be_pickled():
    for make in VIEWS.values():
        axes = np.atleast_1d(make(normal(4, 3, 3)).plot())
        again = pickle.loads(pickle.dumps(axes[0].figure))
        FigureCanvasAgg(again).draw()
        plt.close("all")


def test_two_threads_can_draw_at_once(renderer):
    view = kernel_grid(normal(16, 3, 3))
    expected, drawn = renderer.png(view), []
    threads = [threading.Thread(target=lambda: drawn.append(renderer.png(view))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [expected, expected]

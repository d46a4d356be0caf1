"""Training over time, and attention: places and colours of every number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from netviz_core import side_by_side
from netviz_core.renderer_api import NAN_COLOUR
from netviz_matplotlib.parts.colours import ColourScale, scale_for
from netviz_matplotlib.parts.row_labels import short_names
from netviz_matplotlib.parts.steps import column_edges
from netviz_matplotlib.parts.style import Style

from .handmade import attention_view, history_histogram_view, history_view, normal
from .test_charts import colour_bars
from .test_grids import footer_of

UNEVEN = [0, 1, 5, 100]


def axes():
    return Figure(figsize=(6, 4)).add_subplot()


def picture_of(ax) -> np.ndarray:
    (image,) = ax.images
    return np.asarray(image.get_array() if image.get_array() is not None else image._A)


def test_layers_are_rows_from_the_top_and_looks_columns():
    view = history_view(np.abs(normal(3, 4)))
    ax = view.plot(axes())
    colours = scale_for(view.limits, Style()).rgba(view.values)
    assert (picture_of(ax) == colours).all()
    low, high = ax.get_ylim()
    assert low > high, "the first row is at the top"
    assert [label.get_text() for label in ax.get_yticklabels()] == list(view.layers)
    assert ax.get_xlabel() == "step"


@pytest.mark.parametrize("steps", [UNEVEN, [0, 50, 100, 150], [7, 8, 9, 4000]])
def test_columns_stand_at_their_steps(steps):
    view = history_view(np.abs(normal(3, 4)), steps)
    ax = view.plot(axes())
    assert ax.get_xlim() == (column_edges(np.array(steps))[0], column_edges(np.array(steps))[-1])
    for column, step in enumerate(steps):
        told = ax.format_coord(step, 2)
        assert told == f"encoder.blocks.2.conv, step {step}: {view.values[2, column]:.4g}"
    assert ax.format_coord(-1e6, 0) == ax.format_coord(steps[0], 9) == ""
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_one_look_is_one_column_with_one_tick():
    ax = history_view(np.abs(normal(3, 1)), [50]).plot(axes())
    assert list(ax.get_xticks()) == [50]


def test_what_was_not_seen_has_the_colour_of_nan():
    values = np.ones((2, 3))
    values[0, 1] = np.nan
    ax = history_view(values).plot(axes())
    assert footer_of(ax) == ["1 NaN"]
    red, green, blue = (int(NAN_COLOUR[place : place + 2], 16) for place in (1, 3, 5))
    assert picture_of(ax)[0, 1].tolist() == [red, green, blue, 255]


def test_limits_below_zero_that_are_not_centred_are_sequential():
    view = replace(history_view(normal(2, 3) - 4), limits=(-6.0, -2.0))
    assert scale_for(view.limits, Style()).colormap.name == "viridis"
    assert colour_bars(view.plot(axes()).figure)[0].scale.low == -6.0


def test_limits_below_zero_stay_so_side_by_side():
    views = [
        replace(history_view(normal(2, 3) - 4), limits=limits) for limits in [(-6.0, -2.0), (-5.0, -1.0)]
    ]
    left, right = side_by_side(*views).views
    assert left.limits == right.limits == (-6.0, -1.0)


@pytest.mark.parametrize("count", [1, 30, 800])
def test_as_many_layers_are_named_as_fit(count):
    ax = history_view(np.abs(normal(count, 2))).plot(axes())
    assert len(ax.get_yticks()) == count if count == 1 else 1 < len(ax.get_yticks()) < 30


def test_long_names_keep_what_tells_them_apart():
    names = [
        f"backbone.encoder.stages.{stage}.blocks.{block}.residual_branch.depthwise_convolution.conv"
        for stage in range(4)
        for block in range(12)
    ]
    shown = short_names(names)
    assert len(set(shown)) == len(names)
    assert max(map(len, shown)) <= 36
    assert short_names(["conv1", "fc"]) == ["conv1", "fc"]
    assert len(short_names(["x" * 90])[0]) <= 36


def test_nothing_seen_is_told():
    ax = history_view(np.zeros((0, 3))).plot(axes())
    assert [text.get_text() for text in ax.texts] == ["nothing was seen"]


def test_colours_of_a_history_of_a_histogram_are_logarithms_of_shares():
    counts = np.array([[0, 1], [9, 99], [999, 908]])
    ax = history_histogram_view(counts, [-1, 0, 1, 10]).plot(axes())
    levels = np.log1p(counts)  # shares of 1,008 values, in units of the smallest that can be
    expected = ColourScale(0.0, np.log1p(999.0), scale_for((0, 1), Style()).colormap).rgba(levels)
    assert (picture_of(ax) == expected).all()
    low, high = ax.get_ylim()
    assert low < high, "large numbers are at the top"


def test_a_step_with_fewer_values_looks_like_the_others():
    counts = np.array([[64, 1, 640], [192, 3, 1920]])
    picture = picture_of(history_histogram_view(counts, [0, 1, 2]).plot(axes()))
    assert (picture == picture[:, :1]).all()


def test_its_colour_bar_says_the_shares_themselves():
    ax = history_histogram_view(np.array([[0, 12000]])).plot(axes())
    bar = colour_bars(ax.figure)[0]
    ticks = {
        label.get_text(): place for label, place in zip(bar.get_yticklabels(), bar.get_yticks(), strict=True)
    }
    assert {"0", "0.001", "0.01", "0.1", "1"} <= set(ticks)
    assert ticks["0.01"] == pytest.approx(np.log1p(120))


def test_ticks_are_round_numbers_at_their_true_places():
    edges = np.array([-2.0, -1.0, -0.5, -0.1, 0.1, 0.5, 1.0, 2.0])
    ax = history_histogram_view(np.ones((7, 2), int), edges).plot(axes())
    places = {
        label.get_text(): float(tick)
        for label, tick in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
    }
    assert places["0"] == 3.5
    assert (places["1"], places["−1"]) == (6, 1)
    assert ax.format_coord(50, 6.5) == "step 50, 1 to 2: 1"
    assert ax.format_coord(50, 99) == ""


def test_histories_of_histograms_side_by_side_share_scale_and_axes():
    one = history_histogram_view(np.array([[5, 6], [7, 8]]), [0, 1, 2])
    other = history_histogram_view(np.array([[500, 6], [7, 8], [1, 1]]), [-1, 0, 1, 2])
    left, right = side_by_side(one, other).plot()
    assert left.get_ylim() == right.get_ylim() == (0, 3)
    assert len(colour_bars(left.figure)) == 1
    assert tuple(left.images[0].get_extent()[2:]) == (1, 3)
    assert picture_of(left)[0, 0].tolist() != picture_of(right)[0, 0].tolist()


def test_numbers_without_counts_are_told():
    ax = history_histogram_view(np.zeros((3, 2), int)).plot(axes())
    assert [text.get_text() for text in ax.texts] == ["no finite values"]


def test_a_single_map_of_attention_has_axes_of_queries_and_keys():
    ax = attention_view(np.abs(normal(1, 6, 9)), "mean of heads").plot(axes())
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("query", "key")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2", "3", "4", "5"]
    assert ax.format_coord(ax.get_xticks()[-1], ax.get_yticks()[2]).startswith("mean of heads 0, y=2, x=8")
    assert colour_bars(ax.figure)[0].get_ylabel() == "attention (mean of heads)"


@pytest.mark.parametrize("shape", [(12, 8, 8), (12, 197, 197), (12, 1024, 1024), (3, 5, 40)])
def test_heads_are_tiles_that_say_what_is_down_and_across(shape):
    weights = np.random.default_rng(0).dirichlet(np.ones(shape[2]), shape[:2]).astype(np.float32)
    ax = attention_view(weights).plot(axes())
    assert footer_of(ax)[0] == "queries down, keys across"
    assert [note.startswith("mean of") for note in footer_of(ax)[1:]] == [True] * (shape[2] == 1024)
    assert ax.get_ylabel() == "head" or ax.get_xlabel() == "head"


def test_small_weights_of_attention_can_be_seen():
    weights = np.full((1, 1, 100), 0.01)
    weights[0, 0, 0] = 1.0
    bar = colour_bars(attention_view(weights).plot(axes()).figure)[0]
    named = {
        label.get_text(): tick for label, tick in zip(bar.get_yticklabels(), bar.get_yticks(), strict=True)
    }
    assert named["0.1"] == pytest.approx(np.sqrt(0.1))

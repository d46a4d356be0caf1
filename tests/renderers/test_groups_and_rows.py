"""Gates and heads are marked, large weights are drawn by blocks, many histograms are one picture."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from netviz_core.testing import example_model
from netviz_core.views.heatmap import Heatmap
from netviz_core.views.histogram import HistogramRows, histograms


def heatmap_of(values: np.ndarray, **fields) -> Heatmap:
    return Heatmap("w", values, "gate·out", "in", (-1.0, 1.0), 0, 0, "kernel", **fields)


def axes():
    return Figure(layout="constrained").add_subplot()


def test_groups_are_named_at_their_centres_and_parted_by_lines():
    view = heatmap_of(
        np.zeros((8, 6)), row_groups=("input", "forget"), column_groups=("head 0", "head 1", "head 2")
    )
    ax = view.plot(axes())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["input", "forget"]
    np.testing.assert_allclose(ax.get_yticks(), [1.5, 5.5])
    np.testing.assert_allclose(ax.get_xticks(), [0.5, 2.5, 4.5])
    assert sorted(line.get_ydata()[0] for line in ax.lines[:1]) == [3.5]
    assert [line.get_xdata()[0] for line in ax.lines[1:]] == [1.5, 3.5]


def test_many_groups_are_not_all_named():
    view = heatmap_of(np.zeros((64, 2)), row_groups=tuple(f"head {index}" for index in range(64)))
    assert len(view.plot(axes()).get_yticks()) <= 8


def test_blocks_are_drawn_where_the_weight_has_them():
    view = heatmap_of(np.eye(4), shape=(400, 100))
    ax = view.plot(axes())
    assert ax.get_xlabel() == "in (100)"
    assert tuple(ax.images[0].get_extent()) == (-0.5, 99.5, 399.5, -0.5)
    assert ax.format_coord(99, 399) == "around gate·out 399, in 99: 1"
    assert ax.format_coord(99, 0) == "around gate·out 0, in 99: 0"


def test_rows_of_histograms_are_one_picture():
    view = histograms(example_model(), weight="*")
    ax = view.plot(axes())
    assert len(ax.collections) == 1
    assert [label.get_text() for label in ax.get_yticklabels()] == list(view.labels)


@pytest.mark.parametrize("rows", [1, 3, 2000])
def test_any_number_of_rows_is_drawn(rows, tmp_path):
    counts = np.random.default_rng(0).integers(0, 9, (rows, 50))
    labels = tuple(f"a.very.long.path.of.a.layer.in.a.deep.model.block.{index}.conv" for index in range(rows))
    none = np.zeros(rows, int)
    view = HistogramRows(
        "kernel of all", labels, counts, np.linspace(-1, 1, 51), none, none + 2, none, "kernel"
    )
    view.save(tmp_path / "rows.png")
    assert (tmp_path / "rows.png").stat().st_size > 1000


def test_rows_without_a_finite_value_say_so():
    zero = np.zeros((2, 3), int)
    view = HistogramRows(
        "k",
        ("a", "b"),
        zero,
        np.linspace(0, 1, 4),
        np.array([1, 2]),
        np.zeros(2, int),
        np.zeros(2, int),
        "kernel",
    )
    assert "no finite values" in [text.get_text() for text in view.plot(axes()).texts]
